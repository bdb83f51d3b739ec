#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the memory of a small node. What is left to programs; more processes, and more page tables,
# than the microkernel has memory for at once, which costs no process anything but time.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
name=memory-$$
# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

# KiB that programs are to have of 256 MiB, with the small initramfs.
least=$((190 * 1024))

# A line of two or three words, in a file of the node: the second of them.
value_of() {
    cluster exec 1 -- cat "$2" </dev/null && awk -v name="$1" '$1 == name { print $2 }' <<<"$output"
}

# at_least NUMBER NAME FILE
at_least() {
    local value
    value=$(value_of "$2" "$3")
    echo "# $2 $value"
    [ "${value:-0}" -ge "$1" ]
}

has_memory() {
    at_least "$least" MemAvailable: /proc/meminfo
}

counts() {
    at_least 1 "$1" /sys/kernel/corvus/counters
}

# One test of a program of tests/linux/programs, with slowness for a busy machine.
passes() {
    local status=0
    output=$(timeout 600 ./qemu-cluster.sh --name "$name" exec -e CORVUS_TEST_PLACE=node \
        -e CORVUS_TEST_SLOWNESS=4 -C /tmp 1 -- "./$1" "$2" </dev/null 2>&1) || status=$?
    grep '^#' <<<"$output"
    [ "$status" -eq 0 ] && grep -q '^ok 1 ' <<<"$output"
}

log_lacks() {
    output=$(grep -a -E "$1" "$state/node1.log")
    [ -z "$output" ]
}

check "a node of 256 MiB comes up" cluster up -n 1 -m 256
check "programs have 190 MiB of it" has_memory
check "a program is copied there" cluster cp "$build/linux/tests/load" 1:/tmp
before=$(value_of MemAvailable: /proc/meminfo)
check "1,000 processes at once" passes load crowd
check "for which address spaces had to leave the microkernel" counts guests_ended_for_room
check "400 processes in turn" passes load turns
check "one with more page tables than the microkernel has memory for" passes load sparse
check "which had to begin anew" counts guests_begun_anew
check "nothing was short of memory" log_lacks 'out of memory|a mapping failed|cannot run|Failed to flush'
# Linux keeps some of its caches.
check "and it all came back, but for 4 MiB" at_least $((before - 4096)) MemAvailable: /proc/meminfo
finish
