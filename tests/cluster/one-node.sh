#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: qemu-cluster.sh with one node, as a person would use it: up, status, log, down; wrong
# arguments; two at once; what a killed or interrupted machine leaves behind.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=test-$$
other=test-$$-other
others=("$other")
# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

node_process() {
    cut -d ' ' -f 1 "$state/node1.pid"
}

# True when some machine of this cluster runs, with or without a pid file.
machine_runs() {
    local file
    for file in /proc/[0-9]*/cmdline; do
        if [[ $(tr '\0' ' ' 2>/dev/null <"$file") == qemu*"build/cluster/$name/"* ]]; then
            return 0
        fi
    done 2>/dev/null
    return 1
}

nothing_left() {
    ! compgen -G "$state/*.pid" >/dev/null && ! compgen -G "$state/*.qmp" >/dev/null &&
        ! machine_runs
}

is_json() {
    python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$output"
}

wrong_arguments() {
    check "no command" refuses "which command"
    check "unknown command" refuses "no command 'fly'" fly
    check "unknown argument of up" refuses "unknown argument '--fast'" up --fast
    check "value missing" refuses "needs a value" up -m
    check "too many nodes" refuses "at most 8 nodes" up -n 9
    check "memory that is no number" refuses "not a size" up -m much
    check "unknown boot path" refuses "no boot path" up --boot floppy
    check "log of no node" refuses "which node" log
    check "log of a wrong node" refuses "is not a node" log one
    check "unknown argument of status" refuses "unknown argument" status --xml
    check "a name that leaves the folder" refuses "is not a name" --name ../x status
    check "down before up is no error" succeeds "not up" down
    check "log before up" declines "there is no node" log 1
}

life() {
    check "up" succeeds "node 1 is ready" up
    check "its machine runs" machine_runs
    check "status says ready" succeeds "ready" status
    check "status as JSON" succeeds '"state": "ready"' status --json
    check "that is JSON" is_json
    check "log" succeeds "init: node ready" log 1
    check "log by the long name, name after the command" log_by_long_name
    check "a second up" declines "already up" up
    check "another cluster is not up" declines "there is no node" --name "$other" log 1
    check "down" succeeds "down" down
    check "nothing is left" nothing_left
    check "the log stays" succeeds "init: node ready" log node1
}

log_by_long_name() {
    output=$(./qemu-cluster.sh log node1 --name "$name" 2>&1) && says "init: node ready"
}

image_paths() {
    local path
    for path in grub uefi; do
        check "up by $path" succeeds "node 1 is ready" up --boot "$path"
        check "down again" succeeds "down" down
    done
}

# A machine killed from outside leaves its pid file and socket.
killed_machine() {
    check "up again" succeeds "node 1 is ready" up --icount
    kill -KILL "$(node_process)"
    sleep 0.5
    check "a killed machine is seen" succeeds "stopped" status
    check "up over a stale socket" succeeds "node 1 is ready" up
    cluster down
}

# A pid file whose process id now belongs to someone else: down must leave that process alone.
foreign_process() {
    sleep 100 &
    local foreign=$!
    echo "$foreign 1" >"$state/node1.pid"
    check "down with a foreign process id" succeeds "not up" down
    check "the foreign process lives" kill -0 "$foreign"
    kill "$foreign"
    wait "$foreign" 2>/dev/null
}

# Interrupted as soon as the machine runs. If the node was quicker, up has succeeded instead, which
# is no failure of this test as long as nothing is left after down.
interrupted_up() {
    ./qemu-cluster.sh --name "$name" up --boot uefi >"$state.up" 2>&1 &
    local up=$! tries=600
    while [ ! -e "$state/node1.pid" ] && [ "$tries" -gt 0 ]; do
        sleep 0.1
        tries=$((tries - 1))
    done
    check "two ups at once" declines "at work" up
    kill -TERM "$up"
    wait "$up"
    output=$(cat "$state.up")
    rm -f "$state.up"
    check "an interrupted up says so" says "up was interrupted"
    check "and leaves nothing" nothing_left
}

failing_up() {
    check "a node that cannot start" declines_with_log up -m 1000000
    check "leaves nothing" nothing_left
}

declines_with_log() {
    ! cluster "$@" && says "node 1 did not come up: its machine ended"
}

wrong_arguments
life
image_paths
killed_machine
foreign_process
interrupted_up
failing_up
finish
