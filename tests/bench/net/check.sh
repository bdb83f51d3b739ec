#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: make bench-net itself, with few operations: every row of every pair is measured and is in the
# table and in the CSV. What is measured is not judged. A minute on an idle machine.
set -eu

cd "$(dirname "$0")/../../.."
build=${CORVUS_BUILD:-build}
output=$(mktemp)
parts=$(mktemp)
trap 'rm -f "$output" "$parts"' EXIT

echo 1..5
if tests/bench/net/compare.py --build "$build" --rounds 1 --divide 20 >"$output" 2>&1; then
    echo "ok 1 - all pairs ran"
else
    echo "not ok 1 - all pairs ran"
    failed=yes
fi
# Six rows of four pairs; and a line above them.
lines=$(grep -c '^[^#]' "$build/tests/bench/net/rows.csv" 2>/dev/null) || lines=0
if [ "$lines" -eq 25 ]; then
    echo "ok 2 - the CSV has all rows"
else
    echo "not ok 2 - the CSV has all rows ($lines lines)"
    failed=yes
fi
if [ "$(grep -c -E '<= 1.00|>= (1.00|0.25|0.80)' "$output")" -eq 10 ]; then
    echo "ok 3 - ten ratios are set beside their aims"
else
    echo "not ok 3 - ten ratios are set beside their aims"
    failed=yes
fi
if [ "$(grep -c -E '^(PASS|miss) ' "$output")" -eq 11 ] &&
    tail -n 1 "$output" | grep -q -E '^[0-9]+ of 11 aims are met'; then
    echo "ok 4 - it says at its end which aims are met"
else
    echo "not ok 4 - it says at its end which aims are met"
    failed=yes
fi
# Where one RPC goes: a part is instructions and a name below the row's own line.
tests/bench/net/compare.py --build "$build" --count --divide 20 --only plain >"$parts" 2>&1 || cat "$parts" >>"$output"
missing=
for part in crypto 'TCP/IP \(lwIP\)' "card's driver, switch" 'protocol core' 'kernel: copies' \
    'kernel: threads, switches, time'; do
    sed -n '/^RPC with 64 bytes each way, native tasks/,/^$/p' "$parts" |
        grep -q -E "^ +[1-9][0-9]*  $part\$" || missing+=" $part;"
done
if [ -z "$missing" ]; then
    echo "ok 5 - it says where an RPC goes"
else
    echo "not ok 5 - it says where an RPC goes: no$missing"
    failed=yes
fi
if [ -n "${failed:-}" ]; then
    sed 's/^/# /' "$output"
    exit 1
fi
