#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the simulator of distributed shared memory with some seeds, and the litmus tests on it,
# which also have to notice a memory that tells what was before.
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

# Reads that tell what was before are found in tests where the order of two pages matters.
finds_stale_reads() {
    local test output=$build/tests/dsm/output.stale
    ! "$build/tests/dsm/litmus/litmus" --rounds 200 --stale 3 >"$output" || return 1
    for test in SB MP WRC IRIW; do
        grep "^not ok [0-9]* - $test\$" "$output" || return 1
    done
}

echo 1..4
simulate "seeds under sanitizers" "$build/tests/dsm/sim" --seed 1 --runs 40
simulate "seeds with many accesses" "$build/tests/dsm/sim-fast" --seed 5000 --runs 12 \
    --actions 20000
simulate "litmus tests: nothing forbidden, all that is allowed" "$build/tests/dsm/litmus/litmus"
simulate "they notice stale reads" finds_stale_reads
[ "$failed" -eq 0 ]
