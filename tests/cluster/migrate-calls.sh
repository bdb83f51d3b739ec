#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: processes that are moved while they are in a system call, of each kind, on two nodes: to the
# other node and back. The call ends as if nothing had been, and the process goes on. What each one
# does is in tests/cluster/migrate/calls.
#
#   tests/cluster/migrate-calls.sh [SCENE…]
set -u

cd "$(dirname "$0")/../.." || exit 1
name=migrate-calls-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
program=${CORVUS_BUILD:-build}/tests/cluster/calls

play() {
    cluster_seconds=540 node 1 /tmp/calls node2 node1 "$@"
    played=$output
    grep '^#' <<<"$played"
}

# went SCENE ROUND: it did what it should.
went() {
    output=$(grep "^$1 $2 " <<<"$played")
    [ "${output#"$1 $2 "}" = ok ]
}

# judge [SCENE…]: of all, or of those that were played.
judge() {
    local scene what
    while read -r scene what; do
        [[ $# -eq 0 || " $* " == *" $scene "* ]] || continue
        check "$what: moved to node 2" went "$scene" 0
        check "$what: moved back" went "$scene" 1
        check "$what: it ends" went "$scene" 2
    done < <("$program" list)
}

must "up -n 2" succeeds "node 2 is ready" up -n 2 --patience 8
must "the program is there" cluster cp "$program" 1:/tmp
play "$@"
judge "$@"
check "nobody complained" healthy
finish
