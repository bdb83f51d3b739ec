#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: a cluster comes up and goes down again and again, by ways of booting in turn, and leaves its logs and
# nothing else: no process, socket, file or network namespace. CORVUS_CYCLES times (20). Likewise an `up`
# that is interrupted, at other moments each time, with all that it has started so far.
set -u

cd "$(dirname "$0")/../../.." || exit 1
name=cycles-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
cycles=${CORVUS_CYCLES:-20}
ways=(direct ipxe iso)

# What there is besides logs.
left() {
    find "$state" -mindepth 1 ! -name '*.log' ! -name 'node*.qemu' ! -name 'node*.server' ! -name lock
    pgrep -a -f "build/cluster/${name}[/ ]"
    ip netns list 2>/dev/null | grep "corvus-$name\>"
    find build -maxdepth 1 -newer "$work/begin" ! -type d ! -name accelerator
}

nothing_left() {
    output=$(left)
    [ -z "$output" ]
}

is_over() {
    ! kill -0 "$1" 2>/dev/null
}

# interrupted AFTER: so many milliseconds after it has begun to start things, up and all of its process
# group get a signal, as from a terminal.
interrupted() {
    local process status=0 tries=400
    set -m
    ./qemu-cluster.sh --name "$name" up -n 3 --boot ipxe >"$work/up" 2>&1 </dev/null &
    process=$!
    set +m
    until [ -e "$state/wire.pid" ] || [ "$tries" -eq 0 ]; do
        sleep 0.05
        tries=$((tries - 1))
    done
    sleep "$(printf '0.%03d' "$1")"
    kill -TERM -- "-$process"
    within 30 is_over "$process" || kill -KILL -- "-$process"
    wait "$process" || status=$?
    output="status $status: $(cat "$work/up")"
    [ "$status" -eq 1 ] && says "up was interrupted"
}

: >"$work/begin"
for cycle in $(seq "$cycles"); do
    way=${ways[(cycle - 1) % ${#ways[@]}]}
    check "up $cycle, by $way" succeeds "node 2 is ready" up -n 2 --boot "$way"
    check "a process is seen while it is up" test -n "$(pgrep -f "build/cluster/${name}[/ ]")"
    check "down $cycle" succeeds "down; the logs stay" down
    check "leaves nothing" nothing_left
done
for after in 0 40 80 120 160 200 300 500; do
    check "interrupted $after ms later" interrupted "$after"
    check "leaves nothing" nothing_left
done
finish
