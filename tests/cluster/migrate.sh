#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: `corvus migrate`, `ps` and `top` on two nodes: a program that counts goes to the other node and
# counts on with its output where it was; signals, its end and its status are its parent's; refusals.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=migrate-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# shell N SCRIPT: a script on node N, true when it is and has printed nothing wrong.
shell() {
    node "$1" bash -c "$2"
}

# counted N: how far the counter has come, as its output on node 1 says.
counted() {
    node 1 tail -n 1 /tmp/counted
    output=${output//[^0-9]/}
    [ -n "$output" ] && [ "$output" -ge "$1" ]
}

# counts_on: it comes at least ten further.
counts_on() {
    counted 0 || return 1
    within 60 counted $((output + 10))
}

# No number is missing, none is there twice.
nothing_lost() {
    shell 1 'awk "\$1 != NR { print \"line\", NR, \"is\", \$1; bad = 1 } END { exit bad }" /tmp/counted'
}

# begin_counting: on node 1; `counter` becomes its process number, and its parent writes its status.
begin_counting() {
    shell 1 'rm -f /tmp/counted /tmp/status
        (bash -c "i=0; trap \"exit 42\" USR1; while :; do i=\$((i + 1)); echo \$i; sleep 0.05; done" >/tmp/counted &
        echo $! >/tmp/pid; wait $!; echo $? >/tmp/status) </dev/null >/dev/null 2>&1 &
        until [ -s /tmp/counted ]; do sleep 0.1; done; cat /tmp/pid' || return 1
    counter=${output//[^0-9]/}
    [ -n "$counter" ]
}

# moves N NODE: the counter, from node N.
moves() {
    node "$1" corvus migrate "$counter" "$2"
}

# listed N TEXT: `corvus ps` there has a line of the counter with the text.
listed() {
    node "$1" corvus ps
    grep "^ *$counter " <<<"$output" | grep -q "$2"
}

# refused TEXT WORDS…: `corvus migrate WORDS…` on node 1 says no in one line.
refused() {
    local status=0
    node 1 corvus migrate "${@:2}" || status=$?
    [ "$status" -eq 1 ] && [ "$(wc -l <<<"$output")" -eq 1 ] && says "$1"
}

there_on() {
    node "$1" test -d "/proc/$2"
}

gone_on() {
    ! there_on "$1" "$2"
}

status_is() {
    node 1 cat /tmp/status
    [ "${output//[^0-9]/}" = "$1" ]
}

messages() {
    check "a message to node 2's driver comes back" node 1 corvus migrate-echo node2 1000 10
    check "one of 256 KiB, too" node 1 corvus migrate-echo node2 262144 3
    check "and to its own" node 2 corvus migrate-echo 2 262144 3
    node 1 sh -c 'echo $$'
    one=${output//[^0-9]/}
    node 2 sh -c 'echo $$'
    two=${output//[^0-9]/}
    check "pids of node 1 are its own" [ "$((one / 65536))" = 1 ]
    check "and those of node 2" [ "$((two / 65536))" = 2 ]
}

refusals() {
    check "no such process" refused "process 99: there is no process 99" 99 node2
    check "the first process" refused "process 1: " 1 node2
    check "to where it is" refused "it is on this node" "$counter" node1
    check "to a node that is not there" refused "node 7 is not there" "$counter" node7
    shell 2 "chmod a-x /usr/bin/corvus"
    check "to a node that cannot start its shepherd" refused "no shepherd can be started there" "$counter" node2
    shell 2 "chmod a+x /usr/bin/corvus"
    check "it counts on" counts_on
}

counting() {
    must "a program counts on node 1" begin_counting
    check "it counts" counts_on
    refusals
    must "it moves to node 2" moves 1 node2
    check "it counts on, with its output on node 1" counts_on
    check "it is on node 2" there_on 2 "$counter"
    check "node 1's \`corvus ps\` shows it" listed 1 "node1 .*node2 .*away"
    check "and how long it stood still" listed 1 "[1-9][0-9.]* ms "
    check "node 2's, too" listed 2 "node1 .*node2"
    check "nothing was lost" nothing_lost
    check "a signal sent on node 1 reaches it" shell 1 "kill -USR1 $counter"
    check "its parent has its status" within 30 status_is 42
    check "it is gone on node 2" within 30 gone_on 2 "$counter"
    check "and on node 1" within 30 gone_on 1 "$counter"
}

killing() {
    must "another counts" begin_counting
    must "it moves, with its memory" node 1 corvus migrate --eager "$counter" node2
    check "nothing of it has to follow, nor is at risk" listed 2 " 0   *- "
    check "it counts on" counts_on
    check "killed on node 1" shell 1 "kill -9 $counter"
    check "its parent hears of it" within 30 status_is 137
    check "it is gone on node 2" within 30 gone_on 2 "$counter"
}

losing() {
    must "a third counts" begin_counting
    must "it moves" moves 1 node2
    check "node 2 is killed" cluster kill 2
    check "its parent hears of its end" within 60 status_is 137
    check "it is gone on node 1" within 30 gone_on 1 "$counter"
}

tops() {
    check "\`corvus top\` shows both nodes" node 2 corvus --json top -n 1
    check "node 1" says '"node": 1'
    check "and node 2" says '"node": 2'
}

must "up -n 2" succeeds "node 2 is ready" up -n 2 --patience 8
messages
tops
counting
killing
losing
check "nobody complained" healthy
finish
