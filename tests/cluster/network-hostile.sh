#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: somebody on the wire who means no good, in the place of a node that was killed: floods of frames
# and connections, and a node that has another key. Linux and calls between nodes go on meanwhile.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=hostile-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# Of each flood, and frames a second.
flood_seconds=8
rate=5000
quiet=0
took=0

counter() {
    ports "$2" state && output=$(sed -n "s/^$1=//p" <<<"$output") && [ -n "$output" ]
}

# grown COUNTER N BEFORE
grown() {
    counter "$1" "$2" && [ "$output" -gt "$3" ]
}

# Milliseconds that a command takes, in `took`.
timed() {
    local begin=${EPOCHREALTIME/[.,]/}
    node 1 true || return 1
    took=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
}

# Within 5 s, where a command takes none to speak of; on a busy machine so many times more.
answers_soon() {
    timed || return 1
    output="a command took $took ms, without a flood $quiet ms"
    echo "# $output"
    [ "$took" -le $((5000 + 10 * quiet)) ]
}

# One of ten packets: a flood displaces others' in the cards' rings, as on any wire.
reaches() {
    node "$1" ping -c 10 -i 0.5 -W 10 "$2"
}

is_over() {
    local status=0
    wait "$1" || status=$?
    output=$(cat "$work/flood")
    echo "# $output"
    [ $status -eq 0 ] && [[ $output =~ ^[1-9] ]]
}

# flood TEXT COUNTER KIND…: meanwhile all goes on, and it is counted.
flood() {
    local what=$1 which=$2 before flooder
    shift 2
    check "$which is a counter" counter "$which" 1
    before=$output
    check "$what: a command, before" timed
    quiet=$took
    check "calls from node 1 to node 2" begin 1 /tmp/call call echo 2 $((flood_seconds - 2))
    tests/cluster/network/intruder.py "$state" 3 $flood_seconds $rate "$@" >"$work/flood" 2>&1 &
    flooder=$!
    sleep 2
    check "$what: commands are executed" answers_soon
    check "Linux of node 1 reaches node 2" reaches 1 node2
    check "it was a flood" is_over $flooder
    check "calls went on" within 20 wrote 1 /tmp/call "calls answered"
    echo "# $output" | tail -n 1
    [ "$which" = sessions ] || check "$which has grown" grown "$which" 1 "$before"
    check "no session has ended" test "$(sessions 1 2)$(sessions 2 1)" = 11
}

memory_was_there() {
    counter no_memory 1 && [ "$output" -eq 0 ]
}

# Connections that are answered, in the name of a node that was there, and say what is no hello.
false_hellos() {
    local before
    check "hellos_refused is a counter" counter hellos_refused 1
    before=$output
    check "false hellos, a few" tests/cluster/network/intruder.py "$state" 3 4 20 connect
    check "they are refused, and counted" within 10 grown hellos_refused 1 "$before"
    check "no session has ended" test "$(sessions 1 2)$(sessions 2 1)" = 11
}

floods() {
    false_hellos
    flood "frames of no protocol" sessions broadcast unicast
    flood "questions for addresses" sessions arp
    flood "SYNs" strangers syn
    flood "false beacons" beacons_refused beacon
    flood "packets of random contents" sessions random
    flood "connections of strangers" connects_refused connect
    check "which have taken no memory from others" memory_was_there
    flood "all of these" beacons_refused broadcast unicast arp syn beacon random connect
}

# Node 3, with a key that is not this cluster's.
start_impostor() {
    local key
    key=$(printf '%064d' 7)
    deploy/boot.sh --append "node=3 nodes=3 cluster=$name key=$key patience=4" --serial "$work/impostor" \
        --nic virtio --mac 52:54:00:c0:00:03 --nic-socket "$state/node3.nic" --wire "$state/wire3" \
        --pid-file "$work/impostor.pid" </dev/null >"$work/impostor.qemu" 2>&1 &
    impostor=$!
    output="$work/impostor"
    within 120 grep -a -s -q "init: node ready" "$work/impostor"
}

impostor_sees_nobody() {
    output=$(grep -a 'net: node' "$work/impostor")
    [[ $output == *"node 3 of 3"* ]] && [[ $output != *"is there"* ]]
}

wrong_key() {
    local before
    check "node 1 counts beacons that it refuses" counter beacons_refused 1
    before=$output
    check "a node with another key comes up" start_impostor
    check "its beacons are refused" within 20 grown beacons_refused 1 "$before"
    sleep 10
    check "it sees nobody" impostor_sees_nobody
    check "nobody sees it" misses 1 3
    check "nor had a session with it" test "$(sessions 1 3)$(sessions 2 3)" = 11
    check "nor tells it of anything" field exports peer=3 1
    check "not a right" test "$output" = 0
    kill "$impostor"
    wait "$impostor" 2>/dev/null
    rm -f "$state/node3.nic"
    check "the true one is started" succeeds "node 3 is ready" start 3
    check "and seen by all" within 20 all_see 1 2 3
    check "no session of the others has ended" test "$(sessions 1 2)$(sessions 2 1)" = 11
}

impostor=
trap '[ -z "$impostor" ] || kill "$impostor" 2>/dev/null; clean_up' EXIT
must "up" succeeds "node 3 is ready" up -n 3 --patience 4
must "all see each other" within 20 all_see 1 2 3
must "each node has programs" give_ports 1 2
check "a port of node 2 is checked in" begin 2 /tmp/serve serve echo
check "as it says" within 10 wrote 2 /tmp/serve "checked in"
check "node 3 is killed" succeeds killed kill 3
check "which the others see" within 20 misses 1 3
floods
wrong_key
check "nobody complained" healthy
finish
