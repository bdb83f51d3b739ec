#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Bash: pipes, redirections, subshells, traps, coprocesses, background jobs, arrays and functions.
# The tools themselves are what is tested, old-fashioned or not.
# shellcheck disable=SC2003,SC2012,SC2016,SC2018,SC2019,SC2050,SC2154
export LC_ALL=C

echo "== pipes"
seq 10 | grep -v 5 | (read -r first; cat >/dev/null; echo "first $first")
false | true | false
echo "${PIPESTATUS[*]}"
set -o pipefail
false | true
echo "pipefail $?"
set +o pipefail
diff <(seq 3) <(seq 3) && echo same
tee >(wc -l >lines) <<<"one" >/dev/null
wait $!
cat lines
for ((i = 0; i < 200; i++)); do echo "$i" | cat | cat; done | awk '{ s += $1 } END { print s }'
yes | head -n 1
echo "yes ended with ${PIPESTATUS[0]}"

echo "== redirections"
{
    echo out
    echo err >&2
} >both 2>&1
cat both
exec 5<>both
read -r -u 5 line
echo "read $line"
exec 5>&-
cat <<'END'
a here document with $no expansion
END
cat <<END
and one with $((6 * 7))
END
echo data >|both
cat <both
ls /nonexistent 2>/dev/null || echo "status $?"
(exit 42)
echo "subshell $?"
/nonexistent 2>/dev/null
echo "not found $?"
: >plain
./plain 2>/dev/null
echo "not executable $?"

echo "== signals"
trap 'echo caught' USR1
kill -USR1 $$
(
    trap 'echo "child ends"' EXIT
    exit 3
)
echo "it said $?"
sleep 100 &
kill %1
wait %1
echo "killed: $?"
bash -c 'kill -9 $$'
echo "by 9: $?"
trap '' INT
bash -c 'kill -INT $$; echo "ignored in the child, too"'
trap - INT

echo "== background"
for i in 1 2 3 4 5; do
    (sleep 0.0$i; exit $i) &
    pids[i]=$!
done
for i in 1 2 3 4 5; do
    wait "${pids[i]}"
    printf '%d ' $?
done
echo
for i in $(seq 50); do (echo "$i" >>"counted.$i") & done
wait
cat counted.* | sort -n | tail -n 1
(sleep 0.3; exit 7) &
short=$!
sleep 100 &
long=$!
# Without numbers bash may give a process that was waited for before once more.
wait -n $short $long
echo "first to end: $?"
kill $long
wait $long 2>/dev/null
coproc upper { tr a-z A-Z; }
# Bash forgets the coprocess's pipes as soon as it has ended: what it says is read through one of ours.
exec 6<&"${upper[0]}"
echo "to the coprocess" >&"${upper[1]}"
eval "exec ${upper[1]}>&-"
cat <&6
exec 6<&-
wait "$upper_PID" 2>/dev/null
read -r -t 0.2 line <><(sleep 5)
echo "time-out: $(($? > 128))"

echo "== language"
declare -A map=([one]=1 [two]=2)
for key in $(printf '%s\n' "${!map[@]}" | sort); do echo "$key=${map[$key]}"; done
mapfile -t lines < <(seq 5)
echo "${#lines[@]} ${lines[*]: -2}"
fibonacci() { (($1 < 2)) && echo "$1" || echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); }
fibonacci 10
text=/usr/lib/name.tar.gz
echo "${text##*/} ${text%%.*} ${text^^} ${#text} ${text/lib/share}"
case $text in *.tar.*) echo archive ;; esac
[[ $text =~ ([a-z]+)\.tar ]] && echo "${BASH_REMATCH[1]}"
while getopts 'ab:' option -a -b value; do echo "option $option $OPTARG"; done
printf -v padded '%05d' 42
echo "$padded $((16#ff)) $((2 ** 62))"
eval "$(printf 'echo %q' 'quoted "text"')"
ulimit -n 64
ulimit -n
echo "depth $BASH_SUBSHELL $( (echo $BASH_SUBSHELL))"
dash -c 'for i in 1 2 3; do printf "%s " $i; done; echo; echo $((010 + 0x10)); set -- a b; echo $#'
for script in 1 2 3; do printf '#!/bin/sh\necho "script %d: $*"\n' $script >s$script; chmod +x s$script; done
./s1 a && ./s2 "b c" && ./s3
