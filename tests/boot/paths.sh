#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the same node comes up, to the shell's prompt, by each way of booting that needs no LAN: QEMU's own
# loader (Multiboot 1); GRUB from the image as a disc and as a USB stick, under BIOS and UEFI
# (Multiboot 2). netboot.sh has the others.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
# That of bash on the console; Linux's own lines may come before it is flushed.
ready='node1:~#'
machine=

end_machine() {
    if [ -n "$machine" ]; then
        kill "$machine" 2>/dev/null || true
        wait "$machine" 2>/dev/null || true
        machine=
    fi
}

# Waits until the log shows the prompt, a panic, or the machine has ended.
wait_until_ready() {
    local log=$1 end=$((SECONDS + $2))
    while [ "$SECONDS" -lt "$end" ]; do
        if grep -a -q "$ready" "$log"; then
            return 0
        fi
        if grep -a -q -E 'PANIC|cannot boot:' "$log" || ! kill -0 "$machine" 2>/dev/null; then
            return 1
        fi
        sleep 0.2
    done
    return 1
}

check_path() {
    local number=$1 path=$2 seconds=$3 log=$build/tests/boot/$2.log result=ok
    : >"$log"
    deploy/boot.sh --boot "$path" --kernel "$build/kernel/corvus.elf" --append node=1 \
        --modules "$build/node.modules" --iso "$build/corvus.iso" --serial "$log" \
        </dev/null >"$log.qemu" 2>&1 &
    machine=$!
    wait_until_ready "$log" "$seconds" || result="not ok"
    end_machine
    echo "$result $number - boot by $path"
    if [ "$result" != ok ]; then
        tail -n 15 "$log" "$log.qemu" | tr -d '\r' | sed 's/^/#   /'
    fi
}

trap end_machine EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$build/tests/boot"
echo 1..5
check_path 1 direct 180
check_path 2 iso 240
check_path 3 iso-uefi 400
check_path 4 usb 240
check_path 5 usb-uefi 400
