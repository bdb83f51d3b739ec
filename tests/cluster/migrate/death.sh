#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: a move is held at a step, then a node dies or is cut off; what then holds is as the table in
# docs/migration.md says: never two of the process, and one, if both nodes live and that says so; and
# nothing is left of what has ended. A case is MOVE:STEP:WHAT; those that match a pattern are tested, as
# 'on:*' or '*:commit:cut'; without any, all 116.
#
#   MOVE   out    from home, node 1, to node 2
#          back   from node 2 home
#          on     from node 2 to node 3
#   STEP   of linuxserver/migration/move_hold.c; or serving (pages have not followed), settled (they have)
#   WHAT   source, target: dies, and is started again; cut: the node that is not home (of `on` the target)
#          is cut off from the others until all have noticed; shepherd: that of the target is killed (not
#          of `back`, which has none)
#
#   tests/cluster/migrate/death.sh [PATTERN…]
set -u

cd "$(dirname "$0")/../../.." || exit 1
name=migrate-death-$$
# shellcheck source=tests/cluster/migrate/common.sh
. tests/cluster/migrate/common.sh
all=(
    out:{check,freeze,frozen,build,built,ready,committed,commit,running,settle,serving,settled}:{cut,target,source}
    {back,on}:{check,freeze,frozen,build,built,ready,committed,commit,running,settle}:{cut,target,source}
    {out,on}:{check,freeze,frozen,build,built,ready,committed,commit,running,settle}:shepherd
)
[ $# -ne 0 ] || set -- '*'
cases=()
for each in "${all[@]}"; do
    for pattern in "$@"; do
        # shellcheck disable=SC2053 # it is a pattern
        [[ $each != $pattern ]] || { cases+=("$each") && break; }
    done
done
if [ ${#cases[@]} -eq 0 ]; then
    echo "usage: $0 [PATTERN…], and no case matches" >&2
    exit 2
fi
nodes=2
[[ "${cases[*]}" != *on:* ]] || nodes=3

# outcome MOVE STEP WHAT: stays, goes (at the source, at the target), ends (and home says so), or nothing
# (home has died).
outcome() {
    local phase=later
    case $2 in
    check | freeze | frozen | build | built | ready) phase=undecided ;;
    committed | commit) phase=decided ;;
    running | settle) phase=$2 ;;
    esac
    case $1:$phase:$3 in
    out:*:source | back:*:target) echo nothing ;;
    out:undecided:* | on:undecided:target | on:undecided:cut | on:undecided:shepherd) echo stays ;;
    out:decided:cut | on:decided:cut | out:running:cut) echo goes ;;
    back:running:* | back:settle:* | on:running:source | on:settle:source) echo goes ;;
    *) echo ends ;;
    esac
}

# Where a step is held: at the node `from` or `to`.
holder() {
    case $1 in
    check | build | built | commit | running) echo "$to" ;;
    *) echo "$from" ;;
    esac
}

hold() {
    shell "$1" "echo '$2' >/sys/module/migration/parameters/hold"
}

drain() {
    shell "$1" "echo $2 >/sys/module/cor/parameters/drain"
}

# In the background: /tmp/moved has what it says, and its status at the end.
begin_to_move() {
    shell "$from" "rm -f /tmp/moved; (corvus migrate $pid node$to >/tmp/moving 2>&1; echo \$? >>/tmp/moving
        mv /tmp/moving /tmp/moved) </dev/null >/dev/null 2>&1 &"
}

# moved STATUS
moved() {
    shell "$from" 'cat /tmp/moved' && [ "$(tail -n 1 <<<"$output")" = "$1" ]
}

# It is held at the step now, or is where it is to be.
at_step() {
    case $1 in
    serving) within 60 moved 0 && drained_not ;;
    settled) within 60 moved 0 && within 60 listed "$to" " 0 " ;;
    *) within 60 log_says "the move of process $pid is held at $1" "$(holder "$1")" ||
        { shell "$from" 'cat /tmp/moved /tmp/moving' && false; } ;;
    esac
}
drained_not() {
    listed "$to" "settled .* node$from " && ! listed "$to" " 0 "
}

let_go() {
    local which
    for which in "$@"; do
        hold "$which" "" && drain "$which" 1 || return 1
    done
}

others_than() {
    seq "$nodes" | grep -v -x "$1"
}

# all_miss N: the others know that it is not there.
all_miss() {
    local other
    for other in $(others_than "$1"); do
        within 60 misses "$other" "$1" || return 1
    done
}

# Each node knows of each other's absence before the wire is whole again.
cut_off() {
    local other
    cluster cut "$1" && all_miss "$1" || return 1
    for other in $(others_than "$1"); do
        within 60 misses "$1" "$other" || return 1
    done
}

all_there() {
    # shellcheck disable=SC2046 # numbers
    within 100 all_see $(seq "$nodes")
}

dies() {
    check "node $1 dies" cluster kill "$1"
    check "which the others notice" all_miss "$1"
    # shellcheck disable=SC2046 # numbers
    check "they go on" let_go $(others_than "$1")
    [ "$2" != stays ] || check "so does the process, on node $from" goes_on
    must "node $1 is started again" succeeds "node $1 is ready" start "$1"
    check "all are there" all_there
    # shellcheck disable=SC2046 # numbers
    check "and know of each other's drivers" greet $(others_than "$1")
}

is_cut() {
    local which=$to
    [ "$to" -ne 1 ] || which=$from
    check "node $which is cut off" cut_off "$which"
    # shellcheck disable=SC2046 # numbers
    check "the nodes go on" let_go $(seq "$nodes")
    [ "$1:$which" != "stays:$to" ] || check "so does the process, on node $from" goes_on
    check "the wire is whole again" cluster heal
    check "all are there" all_there
}

# Of the target, and with it what it looks after: all that goes on there is the process's.
shepherd_dies() {
    # shellcheck disable=SC2016 # the node's to expand
    check "the shepherd on node $to is killed" shell "$to" \
        'kill -9 $(cd /proc && grep -a -l "s[h]epherd" [0-9]*/cmdline | cut -d / -f 1)'
    # shellcheck disable=SC2046 # numbers
    check "the nodes go on" let_go $(seq "$nodes")
    check "node $to has nothing of it" nothing_on "$to"
}

# A driver finds another one's new life when somebody asks for it.
greet() {
    local which other
    for which in "$@"; do
        for other in $(others_than "$which"); do
            within 60 node "$which" corvus migrate-echo "$other" || return 1
        done
    done
}

status_is() {
    shell 1 'cat /tmp/status' && [ "${output//[^0-9]/}" = "$1" ]
}

# No process there looks after it (the brackets: nor is it the one that asks).
no_shepherd_on() {
    shell "$1" '! grep -a -l "s[h]epherd" /proc/[0-9]*/cmdline 2>/dev/null'
}

# nothing_on N…: of the process, soon.
nothing_on() {
    local which
    for which in "$@"; do
        within 60 gone_on "$which" && within 60 unlisted "$which" &&
            within 60 no_shepherd_on "$which" || return 1
    done
}

# goes_on_at N: there only.
goes_on_at() {
    local which
    check "it goes on" goes_on
    check "on node $1" there_on "$1"
    for which in $(seq 2 "$nodes"); do
        [ "$which" = "$1" ] || check "node $which has nothing of it" nothing_on "$which"
    done
    check "it ends, having missed nothing, and nothing came twice" ends_well
}

one_case() {
    local move step what expected
    IFS=: read -r move step what <<<"$1"
    expected=$(outcome "$move" "$step" "$what")
    from=2 to=1
    [ "$move" != out ] || from=1 to=2
    [ "$move" != on ] || to=3
    echo "# $1: $expected"
    check "the program is there" cluster cp "$wander" 1:/tmp
    must "$1: a process goes on on node 1" begin_wandering 1 2
    if [ "$from" != 1 ]; then
        must "it moves to node 2" node 1 corvus migrate --eager "$pid" node2
        must "and is settled there" within 30 listed 2 settled
    fi
    [ "$step" != serving ] || check "its pages do not follow by themselves" drain "$to" 0
    [ "$step" = serving ] || [ "$step" = settled ] || must "node $(holder "$step") is to hold it" hold "$(holder "$step")" "$step"
    check "node $from is told to move it to node $to" begin_to_move
    must "it is at '$step'" at_step "$step"
    case $move:$step in
    back:running | back:settle | on:running | on:settle)
        check "its pages are there" within 60 listed "$to" " 0 "
        ;;
    esac
    case $what in
    source) dies "$from" "$expected" ;;
    target) dies "$to" "$expected" ;;
    shepherd) shepherd_dies ;;
    *) is_cut "$expected" ;;
    esac
    case $expected in
    stays) goes_on_at "$from" ;;
    goes) goes_on_at "$to" ;;
    ends) check "its parent hears that it was killed" within 60 status_is 137 ;;
    esac
    # shellcheck disable=SC2046 # numbers
    check "in the end nobody has anything of it" nothing_on $(seq "$nodes")
}

must "up" succeeds "node $nodes is ready" up -n "$nodes" -m 192 --patience 3
must "all are there" all_there
for each in "${cases[@]}"; do
    one_case "$each"
done
check "nobody complained" healthy
finish
