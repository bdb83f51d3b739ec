#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: qemu-cluster.sh with several nodes on their wire, as a person would use it: up, what a node is
# told, kill and start, freeze and thaw, the wire's commands, a second cluster beside. Frames themselves
# are tested in tests/wire.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=many-$$
other=many-$$-other
others=("$other")
# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

# in_status EXPRESSION: true of `status --json`, which is s.
in_status() {
    cluster status --json &&
        python3 -c 'import json, sys; s = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' \
            "$1" <<<"$output"
}

# The state of node N.
state_is() {
    in_status "s['nodes'][$1 - 1]['state'] == '$2'"
}

# key=… of a node's command line, which its kernel does not print.
key_of() {
    tr '\0' '\n' <"/proc/$(cut -d ' ' -f 1 "$state/node$1.pid")/cmdline" |
        sed -n 's/.* key=\([0-9a-f]\{64\}\)\>.*/\1/p'
}

wrong_arguments() {
    check "an unknown card" refuses "no network card" up --nic floppy
    check "a wire that there is not" refuses "no probability" up --wire loss=200%
    check "of nodes that there are not" refuses "not a node: 1 to 2" up -n 2 --wire '1>3:loss=1'
    check "kill, of what" refuses "which node" kill
    check "start, of what" refuses "which node" start
    check "freeze, of what" refuses "which node" freeze --signal
    check "freeze, how" refuses "unknown argument" freeze --hard
    check "cut, what" refuses "cut: NODE" cut
    check "wire, what" refuses "wire: SPEC" wire
    for command in "kill 1" "start 1" "freeze 1" "thaw 1" "cut 1" heal "wire none" "wire stats" "start wire"; do
        # shellcheck disable=SC2086 # words
        check "$command before up" declines "not up" $command
    done
}

coming_up() {
    local node
    check "up -n 3" succeeds "node 3 is ready" up -n 3 --wire delay=1ms,seed=5
    for node in 1 2 3; do
        check "exec on node $node" succeeds "node$node" exec "$node" -- hostname
        check "its kernel was told" grep -a -q \
            "node=$node nodes=3 cluster=$name key=\* secure=encrypt patience=[0-9]* lend=8'" "$state/node$node.log"
        check "its card has its address" grep -a -q "mac=52:54:00:c0:00:0$node" \
            "/proc/$(cut -d ' ' -f 1 "$state/node$node.pid")/cmdline"
    done
    check "the key is the same for all" test "$(key_of 1)$(key_of 1)" = "$(key_of 2)$(key_of 3)"
    check "Linux does not get it" succeeds "node=1" exec 1 -- cat /proc/cmdline
    # shellcheck disable=SC2016 # for the inner shell
    check "nor shows it" bash -c '! [[ $1 == *key=* ]]' - "$output"
    check "and is in no node's log" not_logged "$(key_of 1)"
    check "nobody else can read it" test "$(stat -c %a "$state")" = 700
    check "status" in_status "[n['state'] for n in s['nodes']] == ['ready'] * 3"
    check "with the wire" in_status "s['wire']['spec'] == 'delay=1ms,seed=5'"
    check "to which all are joined" in_status "[p['present'] for p in s['wire']['ports']] == [True] * 3"
    check "status as text" succeeds "delay=1ms,seed=5" status
    check "a second up" declines "already up" up -n 2
    check "a node that there is not" declines "there is no node 4" kill 4
    check "words that are no node" refuses "not a node" kill all
}

not_logged() {
    output=$(grep -a -l -e "$1" "$state"/*.log)
    [ -n "$1" ] && [ -z "$output" ]
}

killed_and_started() {
    local key
    key=$(key_of 2)
    check "kill" succeeds "node 2 is killed" kill 2
    check "it is stopped" state_is 2 stopped
    check "the others are not" in_status "[n['state'] for n in s['nodes']] == ['ready', 'stopped', 'ready']"
    check "the wire misses it" in_status "not s['wire']['ports'][1]['present']"
    check "kill of what is dead" declines "does not run" kill 2
    check "freeze of it" declines "does not run" freeze 2
    check "start" succeeds "node 2 is ready" start node2
    check "it is as before" test "$(key_of 2)" = "$key"
    check "and answers" succeeds "node2" exec 2 -- hostname
    check "and is on the wire" in_status "s['wire']['ports'][1]['present']"
    check "start of what runs" declines "runs already" start 2
}

# How many seconds a node's clock is behind since it was last asked with the word from.
lag=0
clock_of() {
    cluster exec "$1" -- cut -d . -f 1 /proc/uptime
    if [ "${2-}" = from ]; then
        lag=$((SECONDS - output))
    else
        output="$((SECONDS - output - lag)) s behind"
    fi
}

# A command there does not end by itself.
does_not_answer() {
    ./qemu-cluster.sh --name "$name" exec 1 -- true &
    local client=$! still=0
    sleep 3
    kill -KILL "$client" || still=1
    wait "$client" 2>/dev/null
    return $still
}

frozen_and_thawed() {
    clock_of 1 from
    check "freeze" succeeds "frozen" freeze 1
    check "it is frozen" state_is 1 frozen
    check "nothing goes on there" does_not_answer
    sleep 3
    check "thaw" succeeds "thawed" thaw 1
    check "it is ready" state_is 1 ready
    # It was frozen for six seconds at least.
    clock_of 1
    check "its clock stood still" test "${output%% *}" -ge 5
    clock_of 3 from
    check "freeze by a signal" succeeds "frozen" freeze --signal 3
    check "it is frozen, too" state_is 3 frozen
    check "and QEMU does not hear" declines "thaw --signal 3" thaw 3
    sleep 6
    check "thaw by a signal" succeeds "thawed" thaw --signal 3
    clock_of 3
    check "its clock went on" test "${output%% *}" -le 2
}

the_wire() {
    check "wire SPEC" succeeds "" wire loss=5% '1>2:loss=100%'
    check "is so" in_status "'1>2:loss=1' in s['wire']['spec']"
    check "wire stats" succeeds "wire: seed=1" wire stats
    check "wire stats json" succeeds '"spec":' wire stats json
    check "a wrong SPEC" refuses "is none of" wire lose=5%
    check "cut" succeeds "" cut 1,node2
    check "cuts both ways" in_status "s['wire']['cuts'] == ['1>3', '2>3', '3>1', '3>2']"
    check "heal" succeeds "" heal
    check "heals" in_status "s['wire']['cuts'] == []"
    check "cut one way" succeeds "" cut '1>2'
    check "cut of all" refuses "all nodes" cut 1,2,3
    check "cut of none of these" refuses "nodes of this wire" cut 4
    cluster heal
    ln -s "$PWD/qemu-cluster.sh" "$work/qemu-cluster"
    check "wire pcap, from another folder" in_folder
    check "wire pcap off" succeeds "" wire pcap off
    check "kill wire" succeeds "killed" kill wire
    check "status without it" in_status "s['wire'] is None"
    check "wire without it" declines "the wire does not run" wire none
    check "start wire" succeeds "started" start wire
    check "is as up made it" in_status "s['wire']['spec'] == 'delay=1ms,seed=5'"
    check "with all nodes" in_status "[p['present'] for p in s['wire']['ports']] == [True] * 3"
}

in_folder() {
    local top=$PWD
    output=$(cd "$work" && "$top/qemu-cluster.sh" --name "$name" wire pcap frames 2>&1) &&
        [ -s "$work/frames" ]
}

# Another cluster at the same time; its nodes boot from images and have another card.
beside() {
    check "another cluster, by GRUB" succeeds "node 2 is ready" --name "$other" up -n 2 --boot grub --nic e1000
    check "whose second node is told so" grep -a -q "node=2 nodes=2 cluster=$other key=" \
        "build/cluster/$other/node2.log"
    check "with a key of its own" test "$(sed -n 's/^key=//p' "build/cluster/$other/settings")" != "$(key_of 1)"
    check "down of it" succeeds "down" --name "$other" down
    check "leaves nothing" nothing_left "$other"
    check "but the first" in_status "[n['state'] for n in s['nodes']] == ['ready'] * 3"
}

# True when no process and no socket of a cluster is there.
nothing_left() {
    ! compgen -G "build/cluster/$1/*.pid" >/dev/null && ! compgen -G "build/cluster/$1/*.iso" >/dev/null &&
        [ -z "$(find "build/cluster/$1" -type s)" ] && [ ! -e "build/cluster/$1/settings" ] &&
        ! pgrep -f "build/cluster/$1[/ ]" >/dev/null
}

ending() {
    cluster freeze --signal 2
    check "down, with a node frozen" succeeds "down" down
    check "leaves nothing" nothing_left "$name"
    check "a cluster that cannot start" fails_to_start
    check "leaves nothing, either" nothing_left "$name"
}

fails_to_start() {
    ! cluster up -n 2 -m 1000000 && says "did not come up: its machine ended"
}

wrong_arguments
coming_up
killed_and_started
frozen_and_thawed
the_wire
beside
ending
finish
