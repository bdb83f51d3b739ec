#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Whether programs with shared memory are faster on two nodes than on one: matrix multiplication and the
# travelling salesman, in turn on one and on two, PAIRS (5) times. Two figures: the time that passed,
# which is worth something on a quiet host with two processors for the nodes; and the host's processor
# time of the machine that took most, which other work of the host hardly changes, but which knows
# nothing of time that is waited.
#
#   tests/bench/dsm/speedup.sh BUILD-FOLDER [PAIRS [PROGRAM-WITH-ARGUMENTS]…]
set -eu

cd "$(dirname "$0")/../../.."
build=${1:?build folder}
pairs=${2:-5}
shift $(($# < 2 ? $# : 2))
[ $# -ne 0 ] || set -- "matmul -n 384" "tsp -n 19"
name=bench-speedup-$$
work=$(mktemp -d)
trap './qemu-cluster.sh --name "$name" down >/dev/null 2>&1; rm -rf "$work" "build/cluster/$name"' EXIT
trap 'exit 1' INT TERM HUP

cluster() {
    ./qemu-cluster.sh --name "$name" "$@" </dev/null
}

# Clock ticks of the host's processors that the machine of each node has had.
ticks() {
    local process
    for process in "${processes[@]}"; do
        awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$process/stat"
    done
}

# run_on NODES WORDS…: a line `NODES seconds processor-seconds` of the run.
run_on() {
    local nodes=$1 line nanoseconds before after
    shift
    before=$(ticks)
    line=$(cluster exec 1 -- corvus run --on "$nodes" -- "/tmp/$1" "${@:2}" -t 1000)
    after=$(ticks)
    [[ $line == *" result=right"* ]] || { echo "speedup: $line" >&2; exit 1; }
    nanoseconds=${line#* nanoseconds=}
    echo "$nodes ${nanoseconds%% *}" \
        "$(paste <(echo "$before") <(echo "$after") | awk -v hz="$(getconf CLK_TCK)" '
            { used = ($2 - $1) / hz; if (used > most) most = used } END { print most }')"
}

# Medians, and their quotients.
table_line() {
    python3 tests/bench/dsm/speedup.py "$1" "$work/runs"
}

cluster up -n 2 >/dev/null
mapfile -t processes < <(cluster status --json | python3 -c '
import json, sys
print(*(node["process"] for node in json.load(sys.stdin)["nodes"]), sep="\n")')
printf '%-16s %10s %10s %8s   %10s %10s %8s\n' program "1 node, s" "2 nodes" faster "proc., s" "2 nodes" faster
for program in "$@"; do
    read -r -a words <<<"$program"
    cluster cp "$build/tests/dsm/experiments/${words[0]}" 1:/tmp >/dev/null
    : >"$work/runs"
    for ((pair = 0; pair < pairs; pair++)); do
        run_on 1 "${words[@]}" >>"$work/runs"
        run_on 1,2 "${words[@]}" >>"$work/runs"
    done
    table_line "$program"
done
