#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the simulator of distributed shared memory, for half an hour: other seeds each day.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}

failed=0
number=0
# One run of a simulator is one test; what it says goes along as comments.
simulate() {
    local text=$1 result=ok
    shift
    number=$((number + 1))
    "$@" >"$build/tests/dsm/output" 2>&1 || result="not ok"
    echo "$result $number - $text"
    sed 's/^/# /' "$build/tests/dsm/output"
    [ "$result" = ok ] || failed=$((failed + 1))
}

# The day, so that a failure can be had again: it names its seed.
seed=$(date +%Y%m%d)000

echo 1..2
simulate "seeds under sanitizers" "$build/tests/dsm/sim" --seed "$seed" --runs 1000000 \
    --seconds 1200
simulate "seeds with many accesses" "$build/tests/dsm/sim-fast" --seed "$seed" --runs 1000000 \
    --actions 20000 --seconds 600
[ "$failed" -eq 0 ]
