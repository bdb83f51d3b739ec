#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs tests/kernel/vmbench on a node and native.c under Debian's own kernel, with a clock that counts
# instructions, and prints both beside each other. Fails when a row is missing, or when a row of
# faults does not cost four times less than native Linux.
#
#   tests/bench/vm/compare.sh BUILD-FOLDER
set -eu

cd "$(dirname "$0")/../../.."
build=${1:-build}
output=$build/tests/bench/vm
aim=4

# $1: what the aim is for a row, "-" for none; $2 its name; $3 that of native Linux' row, "-": it has none
row() {
    local node native verdict=-
    node=$(sed -n "s/^bench $2 \([0-9]*\) .*/\1/p" <<<"$node_rows")
    if [ "$3" = - ]; then
        printf '%-22s %12s %12s %8s  -\n' "$2" "${node:?bench-vm: no row $2}" - -
        return
    fi
    native=$(sed -n "s/^$3 \([0-9]*\) .*/\1/p" <<<"$native_rows")
    if [ -z "$node" ] || [ -z "$native" ]; then
        echo "bench-vm: no row $2 or $3" >&2
        status=1
        return
    fi
    if [ "$1" != - ]; then
        verdict=good
        if [ "$native" -lt $((node * $1)) ]; then
            verdict="ABOVE THE AIM"
            status=1
        fi
    fi
    printf '%-22s %12s %12s %8s  %s\n' "$2" "$node" "$native" \
        "$(awk "BEGIN { printf \"%.1f\", $native / $node }")" "$verdict"
}

run_node() {
    deploy/boot.sh --kernel "$build/kernel/corvus.elf" \
        --modules "$build/tests/kernel/vmbench.modules" --append panic=exit --icount \
        --serial "$output/node.log" --timeout 300 </dev/null >/dev/null 2>&1 || true
    tr -d '\r' <"$output/node.log" | sed -n 's/^\[[^]]*\] //p'
}

mkdir -p "$output"
kernels=("$build"/tests/linux/bench/kernel/boot/vmlinuz-*)
echo "$output/native.cpio" >"$output/native.modules"
status=0
node_rows=$(run_node)
native_rows=$(tests/linux/bench/machine.sh "$output/native.log" 300 --kernel "${kernels[0]}" \
    --modules "$output/native.modules" --append "console=ttyS0,115200 quiet nokaslr panic=-1")
printf '%-22s %12s %12s %8s  %s\n' row node linux factor "aim $aim"
for name in vm_fault vm_trap vm_appel1 vm_appel2; do
    row "$aim" "$name" "$name"
done
row - vm_zero_fault vm_zero_fault
row - vm_cached_fault vm_cached_fault
row - vm_default_pager_fault -
for kind in latency bandwidth; do
    for way in pipe rpc map; do
        row - "${way}_$kind" "pipe_$kind"
    done
done
exit "$status"
