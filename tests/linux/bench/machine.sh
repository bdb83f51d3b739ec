#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs one machine of the benchmark until it says that it has ended, and prints what it said: lines
# behind "bench: " on its serial line, which is kept in LOG.
#
#   tests/linux/bench/machine.sh LOG SECONDS OPTION-OF-BOOT.SH…
#
# Fails when there is no end within that time, or Linux ends before. A row that failed has said so.
set -eu

if [ $# -lt 3 ]; then
    echo "usage: tests/linux/bench/machine.sh LOG SECONDS OPTION…" >&2
    exit 2
fi
cd "$(dirname "$0")/../../.."
log=$1
seconds=$2
shift 2

# Output of a node's servers may have the server's name before it.
lines() {
    tr -d '\r' <"$log" | sed -n 's/^\(\[[^]]*\] \)\{0,1\}bench: //p'
}

linux_is_gone() {
    grep -a -q -E '^init: .* given up|PANIC|Kernel panic' "$log"
}

mkdir -p "$(dirname "$log")"
: >"$log"
deploy/boot.sh --icount --serial "$log" --timeout "$seconds" "$@" </dev/null >"$log.qemu" 2>&1 &
machine=$!
trap 'kill "$machine" 2>/dev/null || true' EXIT

# The machine ends itself; one that cannot has two seconds.
while kill -0 "$machine" 2>/dev/null; do
    if lines | grep -q '^end ' || linux_is_gone; then
        sleep 2
        break
    fi
    sleep 1
done
kill "$machine" 2>/dev/null || true
wait "$machine" 2>/dev/null || true

lines
if ! lines | grep -q '^end '; then
    {
        tail -n 15 "$log" | tr -d '\r'
        cat "$log.qemu"
        echo "machine: not ended as it should within $seconds seconds; above: the end of $log"
    } >&2
    exit 1
fi
