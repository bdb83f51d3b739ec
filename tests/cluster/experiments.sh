#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: every experiment (tests/dsm) on 1, 2 and 3 nodes, by one command each, over the cluster's shared
# memory; what that cost, and pictures of who had which page when, in build/experiments/.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=experiments-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck source=tests/dsm/list.sh
. tests/dsm/list.sh
build=${CORVUS_BUILD:-build}
results=$build/experiments
cluster_seconds=400

# right_on NODES WORDS…: node 1 starts it on those.
right_on() {
    node 1 corvus run --on "$1" -- "/tmp/experiments/$2" "${@:3}" -t 200 &&
        [ "$(wc -l <<<"$output")" -eq 1 ] && says " result=right" && echo "# $output"
}

# The counters of all nodes, summed: as JSON, into a file.
count_into() {
    node 1 corvus --json dsm stat -a && echo "$output" >"$1"
}

# What was added between two such files: a line of the table.
table_line() {
    python3 tests/dsm/added.py "$@"
}

# run_on NODES WORDS…
run_on() {
    local nodes=$1 file
    shift
    file=$results/$(tr ' ' _ <<<"$*")-$nodes
    check "statistics before" count_into "$work/before"
    check "$* on nodes $nodes" right_on "$nodes" "$@"
    check "statistics after" count_into "$work/after"
    table_line "$* on $nodes" "$work/before" "$work/after" | tee -a "$results/statistics.txt" | sed 's/^/# /'
    if [ "$nodes" = 1,2,3 ]; then
        check "its trace" node 1 corvus --json dsm trace -a
        check "drawn" draw "$file.svg"
    fi
}

# draw FILE: of the trace that is in `output`.
draw() {
    tests/dsm/owners.py >"$1" <<<"$output" && grep -q '<rect class="w' "$1"
}

mkdir -p "$results"
rm -f "$results"/*
must "up -n 3" succeeds "node 3 is ready" up -n 3 --patience 8
for one in 1 2 3; do
    must "node $one sees the others" within 30 all_see 1 2 3
done
must "the experiments are copied to node 1" cluster cp "$build/tests/dsm/experiments" 1:/tmp
for experiment in "${experiments[@]}"; do
    read -r -a words <<<"${experiment%%|*}"
    for nodes in 1 1,2 1,2,3; do
        run_on "$nodes" "${words[@]}"
    done
done
check "nothing is left in the directory" test "$(node 1 ls /dsm && echo "$output")" = ""
check "nobody complained" healthy
finish
