#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Makes an initramfs of the benchmark: the one given, and behind it an archive of what the benchmark
# adds, which Linux unpacks over the first.
#
#   tests/linux/bench/overlay.sh BUILD-FOLDER rows|boot INITRAMFS OUTPUT [OPTION-OF-BENCH…]
#
# rows: runs the program before anything else runs. boot: nothing is added but what marks the first
# prompt.
set -eu

usage="usage: tests/linux/bench/overlay.sh BUILD-FOLDER rows|boot INITRAMFS OUTPUT [OPTION…]"
if [ $# -lt 4 ]; then
    echo "$usage" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
build=$1/tests/linux/bench
kind=$2
initramfs=$3
output=$4
shift 4
source=tests/linux/bench
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree

case $kind in
rows)
    install -D -m 755 -t "$tree/usr/bin" "$build/bench" "$build/send-symbols" \
        "$build/tools/usr/bin/tcc"
    install -D -m 644 "$build/program.c" "$tree/bench/program.c"
    install -D -m 755 "$source/guest/etc/early/bench" "$tree/etc/early/bench"
    printf '%s\n' "$@" | sed '/^$/d' >"$tree/etc/bench.options"
    ;;
boot)
    # Which of the two the shell reads is decided by the value of HOME that init gives it.
    install -D -m 644 "$source/guest-boot/.bash_profile" "$tree/.bash_profile"
    install -D -m 644 "$source/guest-boot/.bash_profile" "$tree/root/.bash_profile"
    install -D -m 755 -t "$tree/usr/bin" "$build/mark"
    ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
deploy/cpio.py "$tree" "$work/image"
cat "$initramfs" "$work/image" >"$work/all"
mv "$work/all" "$output"
