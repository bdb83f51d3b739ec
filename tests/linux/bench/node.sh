#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Boots a node whose Linux starts from an initramfs of the benchmark, and prints what it measured.
#
#   tests/linux/bench/node.sh BUILD-FOLDER IMAGE [OPTION-OF-BOOT.SH…]
#
# IMAGE is what overlay.sh made; it takes the place of the node's own initramfs.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: tests/linux/bench/node.sh BUILD-FOLDER IMAGE [OPTION…]" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
build=$1
image=$2
shift 2
seconds=${BENCH_SECONDS:-1200}

sed "s,^[^ ]* name=initramfs\>,$image name=initramfs," "$build/node.modules" >"$image.modules"
if ! grep -q "^$image " "$image.modules"; then
    echo "node: no module name=initramfs in $build/node.modules" >&2
    exit 1
fi
tests/linux/bench/machine.sh "$image.log" "$seconds" --kernel "$build/kernel/corvus.elf" \
    --modules "$image.modules" --append "panic=exit linux=quiet" "$@"
