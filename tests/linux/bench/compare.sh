#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the benchmark under Debian's kernel and in a node, in the same machine, and prints the table
# (table.py). What each machine said is kept beside the images, the table also as table.csv.
#
#   tests/linux/bench/compare.sh BUILD-FOLDER INITRAMFS [ROW…]
#
# With names of rows only those; without, all, and the start of the system too.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: tests/linux/bench/compare.sh BUILD-FOLDER INITRAMFS [ROW…]" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
build=$1
initramfs=$2
shift 2
output=$build/tests/linux/bench
source=tests/linux/bench

# Strings copied by words: a processor copies many bytes at a time with the instructions that -erms
# and -fsrm take away, but here each byte counts as one.
words=max,-erms,-fsrm

say() {
    printf 'bench-linux: %s\n' "$*" >&2
}

# $1 is a name for the output; what follows makes it.
measure() {
    local name=$1 seconds=$SECONDS
    shift
    if ! "$@" >>"$output/$name.rows"; then
        say "$name: not measured"
        exit 1
    fi
    sed -n 's/^\([a-z0-9_]* failed: \)/bench-linux: '"$name"': \1/p' "$output/$name.rows" >&2
    say "$name: $((SECONDS - seconds)) s"
}

options=()
if [ $# -gt 0 ]; then
    options=(--row calibration)
    for row in "$@"; do
        options+=(--row "$row")
    done
fi
"$source/overlay.sh" "$build" rows "$initramfs" "$output/rows.cpio" ${options[@]+"${options[@]}"}
# Copies, since each run keeps its log beside its image.
for name in native words node; do
    cp "$output/rows.cpio" "$output/$name.cpio"
    : >"$output/$name.rows"
done
measure native "$source/native.sh" "$build" "$output/native.cpio"
measure words "$source/native.sh" "$build" "$output/words.cpio" --cpu "$words"
measure node "$source/node.sh" "$build" "$output/node.cpio"
if [ $# -eq 0 ]; then
    measure native "$source/boot-row.sh" "$build" native "$initramfs"
    measure node "$source/boot-row.sh" "$build" node "$initramfs"
fi
sed -n 's/^# /native: /p' "$output/native.rows"
sed -n 's/^# /node: /p' "$output/node.rows"
echo
"$source/table.py" --csv "$output/table.csv" --words "$output/words.rows" "$output/native.rows" \
    "$output/node.rows"
