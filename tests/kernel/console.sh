#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the serial line as a terminal. A server that has the console echoes what is typed; the node
# then ends itself by power-off, with the status that it was given.
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
log=$build/tests/kernel/console.log
seconds=300
number=0
failed=0

# Types only when the server has asked; waits for the end of the machine otherwise.
type_when_asked() {
    local end=$((SECONDS + seconds))
    while ! grep -a -q 'type: $' "$log" && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.1
    done
    printf 'one\nquit\n'
    while [ -e "$log.runs" ] && [ "$SECONDS" -lt "$end" ]; do
        sleep 0.1
    done
}

check() {
    local text=$1 result=ok
    shift
    number=$((number + 1))
    "$@" || result="not ok"
    echo "$result $number - $text"
    if [ "$result" != ok ]; then
        failed=$((failed + 1))
    fi
}

in_log() {
    tr -d '\r' <"$log" | grep -a -q -x -E "$1"
}

: >"$log"
: >"$log.runs"
trap 'rm -f "$log.runs"' EXIT
status=0
type_when_asked | {
    deploy/boot.sh --kernel "$build/kernel/corvus.elf" \
        --modules "$build/tests/kernel/console.modules" --append "panic=exit exit=debug" \
        --serial stdio --timeout "$seconds" >"$log" || status=$?
    rm -f "$log.runs"
    exit "$status"
} || status=$?

check "what is typed is read" in_log '\[echo\] type: (one)?got one'
check "line by line" in_log '\[echo\] (quit)?got quit'
check "a server without the console reads the end" in_log '\[deaf\] end of input'
check "a server may end the node, and says how" test "$status" -eq 85
if [ "$failed" -gt 0 ]; then
    tail -n 25 "$log" | tr -d '\r' | sed 's/^/#   /'
fi
echo "1..$number"
[ "$failed" -eq 0 ]
