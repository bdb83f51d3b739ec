#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: programs on three nodes send each other messages with rights of all kinds in all directions,
# over a wire that loses, doubles, delays and spoils frames: each comes once, in order and whole,
# and no right is left. Then a node's network server is ended under load.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=load-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# To each of the two others, by each of so many programs on each node, so often: 21,000 in all.
messages=${CORVUS_LOAD_MESSAGES:-3500}
programs=${CORVUS_LOAD_PROGRAMS:-1}
rounds=${CORVUS_LOAD_ROUNDS:-1}
# After how long a silence a node is dead: 2 s times this. 5 % lost in both directions are silent for that
# long at times, in a million messages.
patience=${CORVUS_LOAD_PATIENCE:-8}
load_seconds=${CORVUS_LOAD_SECONDS:-400}
# Bits of frames that the wire turns over, few: TCP's checksum lets pass one in 32 frames with two of
# them, which ends the session, as it should.
bit_errors=${CORVUS_LOAD_BIT_ERRORS:-1e-7}
rights=()

remember_rights() {
    local which
    for which in 1 2 3; do
        rights_of "$which" || return 1
        rights[which]=$output
    done
}

rights_are_back() {
    local which
    for which in 1 2 3; do
        rights_are "$which" "${rights[which]}" || return 1
    done
}

# loads MESSAGES: by all programs of all nodes at once.
loads() {
    local which processes=() said=0
    for which in 1 2 3; do
        # shellcheck disable=SC2016 # for the shell in the node
        timeout $((load_seconds + 50)) ./qemu-cluster.sh --name "$name" exec "$which" -- sh -c '
            for set in $(seq "$3"); do /tmp/ports load 3 "$1" "$2" "$set" & all="$all $!"; done
            for each in $all; do wait "$each" || status=1; done
            exit $status' - "$1" "$load_seconds" "$programs" >"$work/load$which" 2>&1 &
        processes+=($!)
    done
    for which in 1 2 3; do
        wait "${processes[which - 1]}" || said=1
    done
    output=$(cat "$work"/load[123])
    sed -n 's/^node/# node/p' <<<"$output"
    return $said
}

# Ports that have died stay with the program until its end, so many messages are sent in rounds.
loads_again() {
    local round
    for ((round = 0; round < rounds; round++)); do
        loads "$messages" || return 1
    done
}

# No session has ended, nothing was refused: it was the wire that was bad.
counters_are_sound() {
    local which
    for which in 1 2 3; do
        ports "$which" state || return 1
        for counter in sessions_ended hellos_refused segments_refused protocol_errors no_memory \
            dead_exports jobs_abandoned unwatched; do
            grep -q "^$counter=0\$" <<<"$output" || return 1
        done
    done
}

# sum_of COUNTER…: of all nodes.
sum_of() {
    cat "$work"/state[123] | grep -x -E "($(tr ' ' '|' <<<"$*"))=.*" | awk -F = '{ sum += $2 } END { print sum + 0 }'
}

# imports_of N M, exports_of N M: ports of node N that node M has, as M says, and as N says. M also has that
# of N's name server, which nobody gave it.
imports_of() {
    echo $(($(sed -n "s/^peer=$1 .*imports=\([0-9]*\).*/\1/p" "$work/state$2") - 1))
}

exports_of() {
    sed -n "s/^peer=$2 .*exports=\([0-9]*\).*/\1/p" "$work/state$1"
}

# Both ends say the same: what was sent was got, an answer for each call and each right to answer, and what
# one node has of another's ports is what that one knows of.
accounts_agree() {
    local which other text
    for which in 1 2 3; do
        ports "$which" state || return 1
        printf '%s\n' "$output" >"$work/state$which"
    done
    text="messages $(sum_of messages_sent calls) $(sum_of messages_received answers_received)"
    text+=$'\n'"rights $(sum_of rights_sent) $(sum_of rights_received)"
    for which in 1 2 3; do
        for other in 1 2 3; do
            [ "$which" = "$other" ] ||
                text+=$'\n'"of-$which-on-$other $(imports_of $which $other) $(exports_of $which $other)"
        done
    done
    output=$text
    awk 'NF != 3 || $2 != $3 { wrong = 1 } END { exit wrong }' <<<"$text" || return 1
    echo "# both ends: ${text//$'\n'/, }"
}

bad_wire() {
    check "a wire that loses, doubles, delays, spoils" succeeds "" \
        wire loss=5%,dup=2%,reorder=5%,delay=2ms,jitter=2ms,biterror="$bit_errors",seed=4
    check "$((messages * programs * rounds * 6)) messages with rights, each once and in order" loads_again
    check "no right is left of them" within 20 rights_are_back
    check "both ends have the same accounts" within 20 accounts_agree
    check "no session has noticed" counters_are_sound
    check "the wire was as bad as that" wire_was_bad
    check "and is mended" succeeds "" wire none
}

# It has met frames of each of its kinds of mischief.
wire_was_bad() {
    cluster wire stats && for mischief in lost duplicated reordered corrupted; do
        [[ $output =~ $mischief\ [1-9] ]] || return 1
    done
}

# Programs call each other and a Linux reaches the other while the network server of node 2 ends.
server_ended() {
    check "a port of node $1 is checked in" begin "$1" /tmp/serve serve "echo$1"
    check "as it says" within 10 wrote "$1" /tmp/serve "checked in"
    check "a program on node 1 holds rights of it" begin 1 /tmp/hold hold "echo$1" "$1" 100
    check "as it says" within 10 wrote 1 /tmp/hold holds
    check "calls to it wait" begin 1 /tmp/wait wait "echo$1" "$1" 20 100
    check "as they say" within 20 wrote 1 /tmp/wait waits
    check "others go on" begin 3 /tmp/call call "echo$1" "$1" 100
    check "as they say" within 10 wrote 3 /tmp/call calls
    check "its Linux reaches node1" pings "$1" node1
    check "the network server is ended" ports "$1" end net
    check "init says so" within 10 log_says 'init: net ended.*restarting' "$1"
    check "rights of the node are dead" within 20 wrote 1 /tmp/hold "dead after"
    check "calls have ended" within 10 wrote 1 /tmp/wait "20 calls ended"
    check "so has what went on" within 10 wrote 3 /tmp/call "error 8 after"
    check "all nodes see each other" within 20 all_see 1 2 3
    check "its Linux has its eth0 again" within 20 pings "$1" node1
    check "and is reached" within 20 pings 3 "node$1"
    check "the name was checked in again" within 10 wrote "$1" /tmp/serve "ended
checked in"
    check "and is called" ports 1 call "echo$1" "$1" 1
    check "from everywhere" ports 3 call "echo$1" "$1" 1
}

no_such_server() {
    ! ports 1 end nothing && says "ending the server: error 20"
}

again() {
    more_sessions 1 2 "$count" && all_see 1 2 3
}

only_root() {
    node 1 sh -c 'chmod 755 /tmp/ports; exec su nobody -s /bin/sh -c "/tmp/ports end net"'
    says "ending the server: error 13"
}

must "up" succeeds "node 3 is ready" up -n 3 --patience "$patience"
must "all see each other" within 20 all_see 1 2 3
must "each node has programs" give_ports 1 2 3
check "a first load" loads 20
check "rights are counted" remember_rights
bad_wire
check "a server's end is not everybody's to ask for" only_root
check "nor is it of a server that there is not" no_such_server
server_ended 2
count=$(sessions 1 2)
check "and once more" ports 2 end net
check "all nodes see each other" within 20 again
check "a last load" loads 100
check "nobody complained" healthy 'init: net ended'
finish
