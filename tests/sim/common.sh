# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Read by short.sh and long.sh, in the top folder: each run of a simulator is one test of TAP.

build=${CORVUS_BUILD:-build}
failed=0
number=0

# simulate TEXT PROGRAM ARGUMENTS: what it says goes along as comments.
simulate() {
    local text=$1 program=$build/tests/sim/$2 result=ok
    shift 2
    number=$((number + 1))
    "$program" "$@" >"$build/tests/sim/output" 2>&1 || result="not ok"
    echo "$result $number - $text"
    sed 's/^/# /' "$build/tests/sim/output"
    [ "$result" = ok ] || failed=$((failed + 1))
}

finish() {
    echo "1..$number"
    exit $((failed != 0))
}
