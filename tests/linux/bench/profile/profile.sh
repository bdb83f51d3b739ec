#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Says where the instructions of rows of the benchmark go: runs them with QEMU's plugin that counts
# (count.c) and prints totals by component and instructions by function (profile.py).
#
#   tests/linux/bench/profile/profile.sh BUILD-FOLDER native|node INITRAMFS ROW… [-- OPTION-OF-PROFILE.PY…]
#
# The row `boot` is the way from the first instruction of Linux to the first prompt.
set -eu

usage() {
    echo "usage: tests/linux/bench/profile/profile.sh BUILD-FOLDER native|node INITRAMFS ROW…" \
        "[-- OPTION…]" >&2
    exit 2
}

cd "$(dirname "$0")/../../../.."
if [ $# -lt 4 ] || { [ "$2" != native ] && [ "$2" != node ]; }; then
    usage
fi
build=$1
side=$2
initramfs=$3
shift 3
rows=()
while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then
        shift
        break
    fi
    rows+=("$1")
    shift
done

output=$build/tests/linux/bench
log=$output/$side-profile.log
counts=$output/$side-profile.count
image=$output/$side-profile.cpio
rm -f "$counts".*

components=(--elf "bench=$output/bench")
if [ "$side" = node ]; then
    # It is linked to where the loader was, which has gone when rows run.
    [[ ${rows[*]} != *segment_* ]] || components+=(--elf "DSM server=$build/dsm/dsm.elf")
    components+=(--elf "microkernel=$build/kernel/corvus.elf" --elf "Linux server=build/linux/vmlinux"
        --elf "init=$build/init/init.elf" --elf "loader=$build/linux/loader.elf")
    extra=()
else
    components+=(--kallsyms "Linux=$output/native.kallsyms")
    extra=(-chardev "file,id=symbols,path=$output/native.kallsyms"
        -device "isa-debugcon,iobase=0xe9,chardev=symbols")
fi

run_rows() {
    local row options=()
    for row in "${rows[@]}"; do
        options+=(--row "$row")
    done
    if [ "$side" = native ]; then
        options+=(symbols)
    fi
    tests/linux/bench/overlay.sh "$build" rows "$initramfs" "$image" "${options[@]}"
    "tests/linux/bench/$side.sh" "$build" "$image" -- -plugin "$output/count.so,out=$counts" \
        ${extra[@]+"${extra[@]}"} >"$log"
    if ! grep -q '^end 0$' "$log"; then
        cat "$log" >&2
        echo "profile: not all rows could be measured" >&2
        exit 1
    fi
}

if [ "${rows[*]}" = boot ]; then
    if [ "$side" = native ] && [ ! -s "$output/native.kallsyms" ]; then
        echo "profile: native boot: profile any other row first, for the kernel's symbols" >&2
        exit 1
    fi
    tests/linux/bench/boot-row.sh "$build" "$side" "$initramfs" >"$log"
    sed -i '/^boot /!d' "$log"
    counts=$output/$side-boot.count
else
    run_rows
fi
tests/linux/bench/profile/profile.py "$log" "$counts" "${components[@]}" "$@"
