#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Debian's own kernel in the machine in which nodes run, with a node's initramfs, disk and agent: for
# comparison. Understands what the tests need of qemu-cluster.sh.
#
#   tests/linux/native/machine.sh [--build FOLDER] up [-m MIB] [--disk FILE]
#   tests/linux/native/machine.sh [--build FOLDER] exec [-e KEY=VALUE]… 1 -- COMMAND…
#   tests/linux/native/machine.sh [--build FOLDER] cp FILE… 1:PATH | 1:PATH… FOLDER
#   tests/linux/native/machine.sh [--build FOLDER] log|down
#
# State is kept in FOLDER/linux/native; the drivers that Debian's kernel needs are appended to the
# initramfs there.
set -eu

usage="usage: tests/linux/native/machine.sh [--build FOLDER] up|exec|cp|log|down …"
cd "$(dirname "$0")/../../.."
build=build
if [ "${1:-}" = --build ]; then
    build=$2
    shift 2
fi
state=$build/linux/native
source=tests/linux/native

fail() {
    printf 'native: %s\n' "$*" >&2
    exit 1
}

# --- Making its initramfs -----------------------------------------------------------------------

make_initramfs() {
    local drivers patterns=() driver
    mapfile -t drivers < <(grep -v '^#' "$source/modules")
    for driver in "${drivers[@]}"; do
        patterns+=("/lib/modules/*/kernel/$driver.ko")
    done
    if [ ! -e "$state/kernel.made" ] || [ "$source/modules" -nt "$state/kernel.made" ]; then
        tests/linux/bench/kernel.sh "$state/kernel" "${patterns[@]}"
        touch "$state/kernel.made"
    fi
    rm -rf "$state/tree"
    mkdir -p "$state/tree/usr/lib" "$state/tree/etc/early"
    cp -r "$state/kernel/usr/lib/modules" "$state/tree/usr/lib/"
    install -m 755 "$source/early" "$state/tree/etc/early/drivers"
    install -m 644 "$source/modules" "$state/tree/etc/drivers"
    deploy/cpio.py "$state/tree" "$state/drivers.cpio"
    cat "$build/linux/initramfs-small.cpio" "$state/drivers.cpio" >"$state/initramfs.cpio"
}

# --- Commands -----------------------------------------------------------------------------------

process_of() {
    local process
    read -r process _ 2>/dev/null <"$state/$1.pid" && kill -0 "$process" 2>/dev/null && echo "$process"
}

command_up() {
    local memory=256 disk="" options=() machine server tries=1200 kernels
    while [ $# -gt 0 ]; do
        case $1 in
        -m) memory=$2 ;;
        --disk) disk=$2 ;;
        -n) ;; # there is one
        *) fail "up: unknown argument '$1'" ;;
        esac
        shift 2
    done
    ! process_of machine >/dev/null || fail "already up"
    make_initramfs
    if [ -n "$disk" ]; then
        options+=(--disk "$disk")
    fi
    kernels=("$state"/kernel/boot/vmlinuz-*)
    echo "$state/initramfs.cpio" >"$state/modules"
    rm -f "$state"/{channel,agent}
    : >"$state/log"
    setsid deploy/boot.sh --kernel "${kernels[0]}" --modules "$state/modules" --memory "$memory" \
        --append "console=ttyS0,115200 node=1${disk:+ root=/dev/vda}" --serial "$state/log" \
        --agent "$state/channel" --pid-file "$state/machine.pid" "${options[@]}" \
        </dev/null >"$state/qemu" 2>&1 &
    machine=$!
    setsid deploy/agent/main.py serve "$state/channel" "$state/agent" \
        </dev/null >"$state/server" 2>&1 &
    server=$!
    echo "$server" >"$state/server.pid"
    while [ ! -e "$state/agent" ]; do
        if ! kill -0 "$machine" 2>/dev/null || [ "$tries" -eq 0 ]; then
            tail -n 20 "$state/log" "$state/qemu" | tr -d '\r' >&2
            command_down
            fail "it did not come up"
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
}

command_exec() {
    local options=()
    while [ "${1:-}" = -e ]; do
        options+=(-e "$2")
        shift 2
    done
    shift # the node
    exec deploy/agent/main.py exec "${options[@]}" "$state/agent" "$@"
}

command_cp() {
    exec deploy/agent/main.py copy "$state/agent" "$@"
}

command_log() {
    cat "$state/log"
}

command_down() {
    local process
    for process in machine server; do
        if process=$(process_of "$process"); then
            kill "$process" 2>/dev/null || true
        fi
    done
    rm -f "$state"/*.pid
}

case ${1:-} in
up | exec | cp | log | down)
    command=$1
    shift
    mkdir -p "$state"
    "command_$command" "$@"
    ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
