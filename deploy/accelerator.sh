#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Prints the QEMU accelerator to use on this machine: kvm or tcg. That /dev/kvm opens proves nothing
# (there are machines on which it opens and guests then hang), so KVM is used only after a guest of a
# few instructions has been seen to run, and at once: there are machines on which it takes forty times
# as long as under emulation, and guests then hang. The answer is kept under build/ until the machine
# reboots.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
answer_file=$top/build/accelerator
# The processor is the one that nodes get (boot.sh), since QEMU may end over it.
cpu=max,arch-capabilities=off
# Emulated it takes a tenth of a second.
probe_seconds=2
# Another one is for tests.
device=${CORVUS_KVM:-/dev/kvm}

# Changes with each boot, and with containers that do not see the device.
machine_state() {
    local access=none
    if [ -r "$device" ] && [ -w "$device" ]; then
        access=open
    fi
    echo "$(cat /proc/sys/kernel/random/boot_id) $(id -u) $access"
}

# A boot sector: mov dx, 0xf4; mov al, 0x10; out dx, al; cli; hlt. Writing 0x10 to the debug exit
# device ends QEMU with status (0x10 << 1) | 1.
write_boot_sector() {
    {
        printf '\272\364\000\260\020\356\372\364'
        head -c 502 /dev/zero
        printf '\125\252'
    } >"$1"
}

kvm_runs_a_guest() {
    local sector status=0
    sector=$(mktemp "$top/build/kvm-probe.XXXXXX")
    write_boot_sector "$sector"
    timeout --kill-after=1 "$probe_seconds" qemu-system-x86_64 -machine pc -accel kvm -cpu "$cpu" -nodefaults \
        -display none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
        -drive "file=$sector,format=raw,if=ide" </dev/null >/dev/null 2>&1 || status=$?
    rm -f "$sector"
    [ "$status" -eq 33 ]
}

state=$(machine_state)
mkdir -p "$top/build"
if [ -r "$answer_file" ]; then
    read -r answer known_state <"$answer_file"
    if [ "$known_state" = "$state" ]; then
        echo "$answer"
        exit 0
    fi
fi

answer=tcg
if [ "${state##* }" = open ]; then
    echo "accelerator: trying whether KVM runs a guest, $probe_seconds seconds at most" >&2
    if kvm_runs_a_guest; then
        answer=kvm
    else
        echo "accelerator: /dev/kvm opens but runs no guest; using TCG" >&2
    fi
else
    echo "accelerator: no access to /dev/kvm; using TCG" >&2
fi
# By rename, since two starts at once may both be here.
echo "$answer $state" >"$answer_file.$$"
mv "$answer_file.$$" "$answer_file"
echo "$answer"
