#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the long run of the kernel's fuzzer, one million calls with each of several seeds. A failing
# seed is named, and replays with make fuzz-kernel SEED=….
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
seeds="1 2 3 5 8 13 21 34"
number=0
failed=0

# shellcheck disable=SC2086 # a list of words
set -- $seeds
echo "1..$#"
for seed in "$@"; do
    number=$((number + 1))
    result=ok
    tests/kernel/run.sh --build "$build" --image fuzz --append "seed=$seed calls=1000000" \
        --timeout 3600 >"$build/tests/kernel/seed$seed.tap" || result="not ok"
    echo "$result $number - a million random calls, seed $seed"
    if [ "$result" != ok ]; then
        grep '^#' "$build/tests/kernel/seed$seed.tap" || true
        failed=$((failed + 1))
    fi
done
[ "$failed" -eq 0 ]
