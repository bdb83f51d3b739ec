#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the commit protocol of a move, model-checked: the table that the code has, and tables with one
# row changed, in each of which the checker must find the mistake.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
work=$build/tests/migration/$$
number=0
failures=0
mkdir -p "$work/linuxserver/migration"
trap 'rm -rf "$work"' EXIT

result() {
    number=$((number + 1))
    echo "${1:+$1 }ok $number - $2"
    [ -z "$1" ] || failures=$((failures + 1))
}

# explore OPTION…: what the checker says of the table in the work folder.
explore() {
    (cd "$work" && spin -P"gcc -std=gnu99 -E -x c -I. $*" -a commit.pml &&
        gcc -O0 -w -DSAFETY -DMEMLIM=2000 -o pan pan.c && ./pan -m1000000) >"$work/output" 2>&1
    grep -q 'errors: ' "$work/output" || { sed 's/^/# /' "$work/output" | head -n 20 && return 2; }
    grep -E 'violated|invalid end|states, stored|elapsed' "$work/output" | sed 's/^/# /'
    grep -q 'errors: 0$' "$work/output" && ! grep -q 'Search not completed\|max search depth' "$work/output"
}

table() {
    cp tests/migration/commit.pml "$work/"
    cp linuxserver/migration/names.h linuxserver/migration/commit.def "$work/linuxserver/migration/"
}

# holds TEXT OPTION…
holds() {
    local text=$1
    shift
    table
    if explore "$@"; then result "" "$text"; else result not "$text"; fi
}

# finds TEXT SED-EXPRESSION: one move, the table changed by it.
finds() {
    local status=0
    table
    sed -i "$2" "$work/linuxserver/migration/commit.def"
    if cmp -s linuxserver/migration/commit.def "$work/linuxserver/migration/commit.def"; then
        result not "$1: the table has no such row"
        return
    fi
    explore -DMOVES=1 || status=$?
    if [ $status -eq 1 ]; then result "" "found: $1"; else result not "found: $1"; fi
}

holds "one move: never two processes, never none, whatever is lost" -DMOVES=1
holds "a move after one that was given up" -DMOVES=2 -DCUTS=1 -DLOSSES=1 -DCRASHES=0
finds "a process that is thawed when the target only seems dead" \
    's/^ROW(SOURCE_COMMITTED, PEER_GONE.*/&\nROW(SOURCE_COMMITTED, PEER_DEAD, SOURCE_ABORTED, THAW | REPORT)/'
finds "a target that gives up when the source only seems dead" \
    's/^ROW(TARGET_READY, PEER_GONE.*/&\nROW(TARGET_READY, PEER_DEAD, TARGET_ENDED, DISCARD)/'
finds "a target that runs before it is told to" \
    's/^ROW(TARGET_BUILDING, CAN, .*/ROW(TARGET_BUILDING, CAN, TARGET_RUNNING, RUN | SEND_READY)/'
finds "a commit that is not repeated" 's/^ROW(SOURCE_COMMITTED, \(TICK\|READY\), .*//'
finds "a cancelled move that the target does not hear of" 's/^ROW(SOURCE_AB.*SEND_ABORT)$//'
finds "a target that is not told that its process was lost with the link" 's/^ROW(SOURCE_LOST, RUNNING, .*//'
finds "a cancel after the commit" \
    's/^ROW(SOURCE_COMMITTED, TICK.*/&\nROW(SOURCE_COMMITTED, CANCEL, SOURCE_ABORTING, THAW | SEND_ABORT)/'
echo "1..$number"
[ "$failures" -eq 0 ]
