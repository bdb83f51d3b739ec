#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs the benchmark image with a clock that counts instructions and prints its rows, and nothing
# else: `name median unit minimum peers…`. The task marks a row by the word "bench" before it. A
# second run goes through one null RPC an instruction at a time and adds what it writes on the way.
# Fails when a row is missing, or when the null RPC costs more than it may under any circumstances.
#
#   tests/kernel/bench.sh [BUILD-FOLDER]
set -eu

cd "$(dirname "$0")/../.."
build=${1:-build}
log=$build/tests/kernel/bench.log
trace_log=$build/tests/kernel/bench-trace.log
seconds=600
null_rpc_max=400

expected="rpc_null_cross_space rpc_null_same_space rpc_10_words rpc_64_words rpc_one_right
    copy_4k_roundtrip fault_pager_resume vcpu_syscall_exit map_4k unmap_4k map_2m trap_floor
    thread_switch notify irq_to_thread rpc_null_cr3_writes rpc_null_msr_writes rpc_null_swapgs"

boot() {
    local serial=$1
    shift
    deploy/boot.sh --kernel "$build/kernel/corvus.elf" \
        --modules "$build/tests/kernel/bench.modules" --append "panic=exit" --icount \
        --serial "$serial" --timeout "$seconds" "$@" </dev/null
}

# What one null RPC executes, from QEMU's debugger stub.
trace() {
    local folder machine
    folder=$(mktemp -d)
    boot "$trace_log" -- -S -gdb chardev:stub \
        -chardev "socket,path=$folder/stub,server=on,wait=off,id=stub" >/dev/null 2>&1 &
    machine=$!
    python3 tests/kernel/bench/step_trace.py "$folder/stub" "$build/kernel/corvus.elf" \
        "$build/tests/kernel/kernel-bench.elf" || true
    # The script has ended the machine through the stub; without it the time limit does.
    wait "$machine" 2>/dev/null || true
    rm -rf "$folder"
}

fail() {
    echo "bench: $1" >&2
    exit 1
}

status=0
boot "$log" || status=$?
rows=$(tr -d '\r' <"$log" | sed -n 's/^\(\[[^]]*\] \)\{0,1\}bench //p')
if [ -z "$rows" ] || [ $((status % 2)) -ne 1 ] || grep -a -q PANIC "$log"; then
    tail -n 25 "$log" >&2
    fail "no complete run (status $status); above: the end of $log"
fi
rows=$rows$'\n'$(trace)
printf '%s\n' "$rows"

for row in $expected; do
    grep -q "^$row " <<<"$rows" || fail "no row $row"
done
null_rpc=$(sed -n 's/^rpc_null_cross_space \([0-9]*\) .*/\1/p' <<<"$rows")
[ "$null_rpc" -le "$null_rpc_max" ] ||
    fail "a null RPC of $null_rpc instructions; more than $null_rpc_max is a defect"
