#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: `qemu-cluster.sh demo` as a person runs it: all steps, figures that are numbers, nothing left; and that
# it says so when a step fails, or when it is interrupted.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=demo-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
cluster_seconds=900
folder=build/demo/$name

nothing_left() {
    output=$(pgrep -a -f "build/cluster/${name}[/ ]"
        find "$state" -mindepth 1 ! -name '*.log' ! -name 'node*.qemu' ! -name 'node*.server' ! -name lock)
    [ -z "$output" ]
}

# Each figure has a name, a number above 0 and a unit.
figures() {
    output=$(cat "$folder/figures.csv")
    [ "$(wc -l <<<"$output")" -eq "$1" ] && ! grep -v -E '^[^,]+,[0-9]*[1-9][0-9.]*|^[^,]+,0\.[0-9]*[1-9]' <<<"$output"
}

steps() {
    output=$(cat "$folder/steps.csv")
    [ "$(grep -c "^[0-9]*,[^,]*,$1,[0-9.]*$" <<<"$output")" -eq "$2" ]
}

# QEMU is missing, so the nodes cannot boot.
fails() {
    local status=0
    mkdir -p "$work/bin"
    ln -sf /usr/sbin/* /usr/bin/* "$work/bin" 2>/dev/null
    rm "$work/bin/qemu-system-x86_64"
    output=$(PATH=$work/bin ./qemu-cluster.sh --name "$name" demo 2>&1) || status=$?
    [ "$status" -eq 1 ] && says "qemu-system-x86_64 is not installed" &&
        says "The demo failed at step 3: three nodes boot from the LAN by iPXE"
}

interrupted() {
    local demo status=0
    ./qemu-cluster.sh --name "$name" demo >"$work/out" 2>&1 &
    demo=$!
    within 200 test -s "$state/node1.pid"
    kill -TERM "$demo"
    wait "$demo" || status=$?
    output=$(cat "$work/out")
    [ "$status" -eq 1 ] && says "the demo was interrupted; the nodes have been ended"
}

check "a step that fails" fails
check "is the third" steps FAILED 1
check "behind two" steps 'done' 2
check "and leaves nothing" nothing_left
check "interrupted" interrupted
check "leaves nothing, either" nothing_left
check "the demo" succeeds "The demo's summary" demo
check "shows the nodes" says "3 of 3 are there, which is the majority"
check "and what they saw of the one that was killed" says "2 of 3 are there, which is the majority"
check "a process that moved and was right" says "sums, each right and in its order"
check "all its steps" steps 'done' 10
check "its figures" figures 10
check "a picture of who had which page" grep -q '<rect class="w' "$folder/owners.svg"
check "nothing is left" nothing_left
rm -rf "$folder"
finish
