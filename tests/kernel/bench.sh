#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the benchmark image with a clock that counts instructions and prints its rows, and nothing
# else: `name median unit minimum peers…`. The task marks a row by the word "bench" before it.
#
#   tests/kernel/bench.sh [BUILD-FOLDER]
set -eu

cd "$(dirname "$0")/../.."
build=${1:-build}
log=$build/tests/kernel/bench.log
seconds=600

status=0
deploy/boot.sh --kernel "$build/kernel/corvus.elf" --modules "$build/tests/kernel/bench.modules" \
    --append "panic=exit" --icount --serial "$log" --timeout "$seconds" </dev/null || status=$?

rows=$(tr -d '\r' <"$log" | sed -n 's/^\(\[[^]]*\] \)\{0,1\}bench //p')
if [ -n "$rows" ]; then
    printf '%s\n' "$rows"
fi
if [ -z "$rows" ] || [ $((status % 2)) -ne 1 ] || grep -a -q PANIC "$log"; then
    echo "bench: no complete run (status $status); the end of $log:" >&2
    tail -n 25 "$log" >&2
    exit 1
fi
