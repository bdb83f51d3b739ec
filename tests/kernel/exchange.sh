#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: ports across two machines. Each run is two machines anew: the ordinary case; node 2 killed; its
# network server started again; node 2 with another key.
set -u

cd "$(dirname "$0")/../.." || exit
key=000102030405060708090a0b0c0d0e0f
other_key=0f0e0d0c0b0a09080706050403020100
status=0

pair() {
    echo "# $1"
    tests/kernel/pair.sh exchange --append "key=$key patience=2 test=$1" "${@:2}" || {
        status=1
        echo "not ok 0 - the run '$1'"
    }
}

# Tests are numbered anew; the plan comes when all runs have printed theirs.
renumber() {
    awk '/^(not )?ok / { sub(/ok [0-9]+/, "ok " ++tests) }
         /^1\.\./ { sub(/^1\.\./, ""); planned += $0; plans++; next }
         { print; fflush() }
         END { if (plans == 4) print "1.." planned }'
}

{
    pair all
    pair death --kill
    pair restart --restarts
    pair stranger --append2 "key=$other_key"
    exit "$status"
} | renumber
exit "${PIPESTATUS[0]}"
