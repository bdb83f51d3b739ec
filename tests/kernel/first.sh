#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: what only the first task can do, by a program in init's place (tests/kernel/first), which ends
# QEMU through its debug-exit device: status 3 when all passed.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
log=$build/tests/kernel/first.log

status=0
deploy/boot.sh --kernel "$build/kernel/corvus.elf" --modules "$build/tests/kernel/first.modules" \
    --append "panic=exit" --serial "$log" --timeout 120 </dev/null >/dev/null || status=$?
tr -d '\r' <"$log" | grep -E '^(ok|not ok) |^1\.\.' || true
if [ "$status" -ne 3 ] || grep -a -q PANIC "$log"; then
    echo "# QEMU ended with status $status; the end of $log:"
    tail -n 15 "$log" | sed 's/^/#   /'
    exit 1
fi
