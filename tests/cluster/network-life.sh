#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: three nodes of which one is frozen, cut off, killed: who takes whom for dead, when, and that
# both sides always do; what becomes of rights and of calls then; and that all find each other again.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=life-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# After how many seconds without a sound a node is dead: twice the patience. What is shorter
# by far than that must be lived through; and it is told at most so much later, on a busy machine.
patience=4
limit=$((2 * patience))
later=$((limit + 10))

# What each node said of each other one since it came up, there and dead by turns: else somebody would
# have had two sessions at once, or lost one without a word.
by_turns() {
    local one other
    output=$(for one in 1 2 3; do
        for other in 1 2 3; do
            grep -a -o "net: node $other is [a-z]*" "$state/node$one.log" | uniq -d | sed "s/^/node $one: /"
        done
    done)
    [ -z "$output" ]
}

remember() {
    local one other
    for one in 1 2 3; do
        for other in 1 2 3; do
            before[one * 10 + other]=$(sessions "$one" "$other")
        done
    done
}

# same_sessions NODE OTHER…, new_session NODE OTHER: since `remember`, as both of them say.
same_sessions() {
    local one=$1 other
    shift
    for other in "$@"; do
        output="nodes $one and $other: $(sessions "$one" "$other") and $(sessions "$other" "$one") sessions"
        [ "$(sessions "$one" "$other")" -eq "${before[one * 10 + other]}" ] &&
            [ "$(sessions "$other" "$one")" -eq "${before[other * 10 + one]}" ] || return 1
    done
}

new_session() {
    more_sessions "$1" "$2" "${before[$1 * 10 + $2]}" && more_sessions "$2" "$1" "${before[$2 * 10 + $1]}"
}

# Programs on both nodes hold rights of the other one.
holders() {
    check "a program on node $2 holds rights of node $1" begin "$2" /tmp/hold hold "echo$1" "$1" 100
    check "and one there of this one" begin "$1" /tmp/hold hold "echo$2" "$2" 100
    check "as both say" within 10 wrote "$2" /tmp/hold holds
    check "both" within 10 wrote "$1" /tmp/hold holds
}

# Both are over, and had nothing to complain of.
ended() {
    local which
    for which in "$@"; do
        node "$which" sh -c '! ps | grep -v grep | grep -q "ports hold" && cat /tmp/hold' || return 1
        [[ $output != *ports:* ]] || return 1
    done
}

# frozen_shortly NODE [--signal]
frozen_shortly() {
    local other=$(($1 % 3 + 1))
    remember
    check "a program on node $other calls node $1" begin "$other" /tmp/call call "echo$1" "$1" $limit
    check "and is answered" within 10 wrote "$other" /tmp/call calls
    check "node $1 is frozen${2:+ by a signal}" succeeds frozen freeze ${2:+"$2"} "$1"
    sleep $((limit / 4))
    check "and thawed before others lose patience" succeeds thawed thaw ${2:+"$2"} "$1"
    sleep $((limit / 2))
    check "all see each other" all_see 1 2 3
    check "no session has ended" same_sessions 1 2 3
    check "nor the third" same_sessions 2 3
    check "each call was answered" within "$later" wrote "$other" /tmp/call "calls answered"
}

# frozen_long NODE [--signal]
frozen_long() {
    local frozen=$1 one other
    read -r one other < <(tr -d "$frozen" <<<"1 2 3" | xargs)
    remember
    holders "$frozen" "$one"
    check "node $frozen is frozen${2:+ by a signal}" succeeds frozen freeze ${2:+"$2"} "$frozen"
    check "which is death to node $one" within "$later" misses "$one" "$frozen"
    check "and to node $other" within "$later" misses "$other" "$frozen"
    check "they see each other" all_see "$one" "$other"
    check "and are the majority" sees_cluster "$one" 2 1
    check "a right to its port is dead" within 5 wrote "$one" /tmp/hold "dead after"
    check "thawed" succeeds thawed thaw ${2:+"$2"} "$frozen"
    check "it begins new sessions" within "$later" new_session "$frozen" "$one"
    check "with both" within "$later" new_session "$frozen" "$other"
    check "all see each other again" within "$later" all_see 1 2 3
    check "the others had no new one" same_sessions "$one" "$other"
    check "rights that it held are dead" within 5 wrote "$frozen" /tmp/hold "dead after"
    check "and stay so" within 5 ended "$frozen" "$one"
    check "by name it is called anew" ports "$one" call "echo$frozen" "$frozen" 1
    check "its Linux reaches node$one" pings "$frozen" "node$one"
    check "nobody was believed twice" by_turns
}

cut_off() {
    local apart=$1 one=$2 other=$3
    remember
    check "node $apart is cut off" succeeds "" cut "$apart"
    check "node $one misses it" within "$later" misses "$one" "$apart"
    check "so does node $other" within "$later" misses "$other" "$apart"
    check "it misses node $one" within "$later" misses "$apart" "$one"
    check "and node $other" within "$later" misses "$apart" "$other"
    check "these two see each other" all_see "$one" "$other"
    check "node $one knows that they are the majority" within 5 sees_cluster "$one" 2 1
    check "so does node $other" within 5 sees_cluster "$other" 2 1
    check "it knows that it is not" within 5 sees_cluster "$apart" 1 0
    check "and had no new session" same_sessions "$one" "$other"
    check "healed" succeeds "" heal
    check "all see each other" within "$later" all_see 1 2 3
    check "and know it" within 5 all_three
    check "nobody was believed twice" by_turns
}

all_three() {
    sees_cluster 1 3 1 && sees_cluster 2 3 1 && sees_cluster 3 3 1
}

cut_one_way() {
    remember
    check "node 2 does not hear node 1" succeeds "" cut '1>2'
    check "it misses it" within "$later" misses 2 1
    check "and is missed" within "$later" misses 1 2
    check "node 3 sees both" all_see 3 1
    check "as before" same_sessions 3 1 2
    check "healed" succeeds "" heal
    check "all see each other" within "$later" all_see 1 2 3
    check "nobody was believed twice" by_turns
}

# ended_in_time N FILE: the calls of `ports wait` did, neither before the node could be taken for dead, nor
# long after it had to be: heartbeats are a sign of life, too, and a busy machine's clock goes on.
ended_in_time() {
    local took
    node "$1" cat "$2"
    took=$(sed -n 's/.* the last \([0-9]*\) ms after the last sign of life$/\1/p' <<<"$output")
    echo "# node $1: $took ms, of which $((limit * 1000)) are patience"
    [ "${took:-0}" -ge $((limit * 1000 - 500)) ] && [ "$took" -le $((limit * 1000 + 5000)) ]
}

killed() {
    local incarnation
    remember
    check "node 2 has an incarnation" field incarnation peer=2 1
    incarnation=$output
    check "50 calls to it wait" begin 1 /tmp/wait wait echo2 2 50 100
    check "from another node, too" begin 3 /tmp/wait wait echo2 2 50 100
    check "as one says" within 20 wrote 1 /tmp/wait waits
    check "as the other says" within 20 wrote 3 /tmp/wait waits
    check "node 2 is killed" succeeds killed kill 2
    check "node 1 misses it" within "$later" misses 1 2
    check "node 3 misses it" within "$later" misses 3 2
    check "all calls have ended" within 5 wrote 1 /tmp/wait "50 calls ended"
    check "of the other, too" within 5 wrote 3 /tmp/wait "50 calls ended"
    check "within the limit" ended_in_time 1 /tmp/wait
    check "there, too" ended_in_time 3 /tmp/wait
    check "it is started again" succeeds "node 2 is ready" start 2
    check "all see each other" within "$later" all_see 1 2 3
    check "it gets its programs again" give_ports 2
    check "it has an incarnation" field incarnation peer=2 1
    check "which is a later one" test "$((0x$output))" -gt "$((0x$incarnation))"
    check "which it says itself" field incarnation node=2 2
    check "its name is gone with it" not_found
    check "and reach each other" pings 2 node3
    # Its log is a new one.
    remember
    check "the wire's hub is killed" succeeds killed kill wire
    sleep $((limit / 4))
    check "and started" succeeds started start wire
    sleep $((limit / 2))
    check "which no session has noticed" same_sessions 1 2 3
    check "nobody was believed twice" by_turns
}

# There is nobody who would ever check it in again, so this waits.
not_found() {
    ! cluster_seconds=3 ports 1 call echo2 2 1 && ! says calls
}

before=()
must "up" succeeds "node 3 is ready" up -n 3 --patience $patience
check "all see each other" within "$later" all_see 1 2 3
must "each node has programs" give_ports 1 2 3
for one in 1 2 3; do
    check "a port of node $one is checked in" begin "$one" /tmp/serve serve "echo$one"
    check "as it says" within 10 wrote "$one" /tmp/serve "checked in"
done
frozen_shortly 2
frozen_shortly 1 --signal
frozen_long 2
frozen_long 1 --signal
cut_off 3 1 2
cut_one_way
killed
check "nobody complained" healthy
finish
