#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the kernel's fuzzer with several seeds, a million calls together. A failing seed is named, and
# replays with make fuzz-kernel SEED=… CALLS=….
#
#   tests/kernel/seeds.sh [CALLS [SEED…]]
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
calls=${1:-250000}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 1 2 3 5
number=0
failed=0

echo "1..$#"
for seed in "$@"; do
    number=$((number + 1))
    result=ok
    tests/kernel/run.sh --build "$build" --image fuzz --append "seed=$seed calls=$calls" \
        --timeout 3600 >"$build/tests/kernel/seed$seed.tap" || result="not ok"
    echo "$result $number - $calls random calls, seed $seed"
    if [ "$result" != ok ]; then
        grep '^#' "$build/tests/kernel/seed$seed.tap" || true
        failed=$((failed + 1))
    fi
done
[ "$failed" -eq 0 ]
