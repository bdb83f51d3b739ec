#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Measures the start of a system, and what memory it leaves to programs: prints rows as bench does.
#
#   tests/linux/bench/boot-row.sh BUILD-FOLDER native|node INITRAMFS
#
# boot: instructions from the first one of Linux to the first prompt of the shell on the console,
# counted by the plugin. That is the entry of Debian's kernel behind its decompression (linked at
# 16 MiB); on a node, the entry of the loader of the Linux server.
set -eu

if [ $# -ne 3 ] || { [ "$2" != native ] && [ "$2" != node ]; }; then
    echo "usage: tests/linux/bench/boot-row.sh BUILD-FOLDER native|node INITRAMFS" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
build=$1
side=$2
initramfs=$3
output=$build/tests/linux/bench
counts=$output/$side-boot.count

start=0x1000000
if [ "$side" = node ]; then
    start=$(readelf -hW "$build/linux/loader.elf" | sed -n 's/^ *Entry point address: *//p')
fi
tests/linux/bench/overlay.sh "$build" boot "$initramfs" "$output/$side-boot.cpio"
rm -f "$counts.0"
rows=$("tests/linux/bench/$side.sh" "$build" "$output/$side-boot.cpio" -- \
    -plugin "$output/count.so,out=$counts,start=$start")
if [ ! -s "$counts.0" ]; then
    echo "boot-row: $side: the way from $start to the first prompt was not seen" >&2
    exit 1
fi
awk '{ sum += $2 } END { printf "boot %d %d instructions 1\n", sum, sum }' "$counts.0"
grep '^memory' <<<"$rows"
