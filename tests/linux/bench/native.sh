#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Boots Debian's own kernel with an initramfs of the benchmark, in the machine in which nodes run,
# and prints what it measured.
#
#   tests/linux/bench/native.sh BUILD-FOLDER IMAGE [OPTION-OF-BOOT.SH…]
#
# IMAGE is what overlay.sh made. The kernel runs with Debian's defaults: whatever it does against
# attacks on the processor that it sees stays on, and is told in lines that begin with #.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: tests/linux/bench/native.sh BUILD-FOLDER IMAGE [OPTION…]" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
build=$1/tests/linux/bench
image=$2
shift 2
seconds=${BENCH_SECONDS:-1200}

kernels=("$build"/kernel/boot/vmlinuz-*)
echo "$image" >"$image.modules"
# Messages on the serial line would cost more than all else. nokaslr: the kernel begins at a known
# address.
tests/linux/bench/machine.sh "$image.log" "$seconds" --kernel "${kernels[0]}" \
    --modules "$image.modules" --append "console=ttyS0,115200 quiet nokaslr panic=-1" "$@"
