#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: virtio devices of QEMU, driven by a native task. Makes the disks before and looks at them
# afterwards, and is the host at the console's port meanwhile.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
folder=$build/tests/kernel/virtio
disks=(modern legacy transitional line legacy-line readonly)
disk_bytes=4194304

# From here on paths are relative: a socket's has 107 bytes at most.
rm -rf "$folder"
mkdir -p "$folder"
for disk in "${disks[@]}"; do
    echo "disk $disk" >"$folder/$disk"
    truncate -s "$disk_bytes" "$folder/$disk"
done

tests/kernel/virtio_echo.py "$folder/echo" &
echo_pid=$!
# shellcheck disable=SC2317 # called by the trap
end_echo() {
    kill "$echo_pid" 2>/dev/null || true
    wait "$echo_pid" 2>/dev/null || true
}
trap end_echo EXIT

status=0
tests/kernel/run.sh --build "$build" --image virtio --timeout 300 || status=1

# What the task says it has written is in the files, QEMU having ended.
for disk in "${disks[@]}"; do
    found=$(tail -c 512 "$folder/$disk" | tr -d '\0')
    expected="written to $disk"
    if [ "$disk" = readonly ]; then
        expected=
    fi
    if [ "$found" != "$expected" ]; then
        echo "# the last sector of $folder/$disk holds '$found', not '$expected'"
        status=1
    fi
done
exit $status
