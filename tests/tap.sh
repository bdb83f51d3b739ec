# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP for tests that are shell scripts.

number=0
failures=0
output= # of what is checked, for who reads that it failed
kept=   # a file: what a checked command prints goes there instead

# result not|"" TEXT: one test.
result() {
    number=$((number + 1))
    echo "${1:+$1 }ok $number - $2"
    [ -z "$1" ] || failures=$((failures + 1))
}

# check TEXT COMMAND…: one test, passed when the command is true. If it is not, the end of `output` is
# shown, or all that was kept; what is kept and a comment is shown in any case.
check() {
    local text=$1 verdict=not
    shift
    if [ -z "$kept" ]; then
        "$@" && verdict=
    else
        "$@" >"$kept" 2>&1 && verdict=
    fi
    result "$verdict" "$text"
    if [ -n "$kept" ]; then
        sed -n "/^# /p; ${verdict:+/^# /!s/^/# /p}" "$kept"
    elif [ -n "$verdict" ]; then
        printf '%s\n' "$output" | tail -n 15 | sed 's/^/#   /'
    fi
}

# must TEXT COMMAND…: likewise; without it there is no use in going on.
must() {
    local before=$failures
    check "$@"
    if [ "$failures" -ne "$before" ]; then
        echo "Bail out! $1"
        exit 1
    fi
}

# At the end: true when all have passed.
finish() {
    echo "1..$number"
    [ "$failures" -eq 0 ]
}
