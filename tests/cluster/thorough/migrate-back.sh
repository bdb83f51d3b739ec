#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: a process that has moved moves back home, and onward, told so on either node: with its threads,
# pipes, timer and pending signals, and all of its memory. Its output is that of one that never moved.
# CORVUS_MOVES times (500) it goes to another node and back as fast as it can: 1,000 moves.
set -u

cd "$(dirname "$0")/../../.." || exit 1
name=migrate-back-$$
# shellcheck source=tests/cluster/migrate/common.sh
. tests/cluster/migrate/common.sh
mib=4
times=${CORVUS_MOVES:-500}

back() {
    must "a process goes on on node 1" begin_wandering $mib
    check "where it is it need not go" refused "it is on this node" 1 node1
    must "it moves to node 2" moves 1 node2
    check "it goes on there" goes_on
    check "to where it is it does not move" refused "it is on that node" 1 node2
    must "it moves back, told so at home" moves 1 node1
    check "it goes on" goes_on
    check "it is not on node 2 any more" within 30 gone_on 2
    check "node 1 knows it as one that never moved" within 60 unlisted 1
    check "node 2, too" within 60 unlisted 2
    must "it moves to node 2 again" moves 1 node2
    check "it goes on there" goes_on
    must "and back, told so there" moves 2 node1
    check "it goes on" goes_on
}

onward() {
    must "it moves to node 2" moves 1 node2
    must "and on to node 3, told so on node 2" moves 2 node3
    check "it goes on there" goes_on
    check "it is on node 3" there_on 3
    check "node 1 knows where it is" listed 1 "node1 .*node3 .*away"
    check "it is not on node 2" within 30 gone_on 2
    check "node 2 has nothing of it in the end" within 100 unlisted 2
    must "it moves to node 2 once more, told so at home" moves 1 node2
    must "back to node 3" moves 2 node3
    check "node 2 has nothing of it in the end" within 100 unlisted 2
    check "node 2 dies" cluster kill 2
    check "which does not concern it" goes_on
    must "it moves home" moves 3 node1
    check "it goes on" goes_on
    check "node 3 has nothing of it in the end" within 100 unlisted 3
}

# One after the other, as fast as they go.
there_and_back() {
    local i begun=$SECONDS
    for ((i = 0; i < times; i++)); do
        moves 1 node3 && moves 1 node1 || return 1
    done
    echo "# $((2 * times)) moves took $((SECONDS - begun)) s"
}

# refused TEXT N NODE: node N says no in one line.
refused() {
    local status=0
    moves "$2" "$3" || status=$?
    [ "$status" -eq 1 ] && [ "$(wc -l <<<"$output")" -eq 1 ] && says "$1"
}

must "up -n 3" succeeds "node 3 is ready" up -n 3 -m 192 --patience 8
must "the program is there" cluster cp "$wander" 1:/tmp
back
onward
must "it goes to node 3 and back $times times" there_and_back
check "it goes on" goes_on
check "it ends, having missed nothing, and nothing came twice" ends_well
check "its output is that of one that never moved" as_unmoved $mib
check "nobody complained" healthy
finish
