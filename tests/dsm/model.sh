#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the models of distributed shared memory (dsm/model/), verified by SPIN: as it is, nothing
# that it forbids can happen; with each of some mutations something does, so it can be found.
set -eu

cd "$(dirname "$0")/../.."
model=$PWD/dsm/model/sc.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

failed=0
number=0
# $1: "holds" or "fails"; $2: what it is; then the model's constants.
verify() {
    local expected=$1 text=$2 result=ok found=holds
    shift 2
    number=$((number + 1))
    spin -a "$@" "$model" >spin.log 2>&1 || true
    # Optimizing it takes longer than it saves.
    if ! gcc -O0 -w -DSAFETY -DCOLLAPSE -DVECTORSZ=512 -DMEMLIM=2000 -o pan pan.c >gcc.log 2>&1; then
        found="not compiled"
    elif ! ./pan -m1000000 -n >pan.log 2>&1; then
        found="not run"
    elif ! grep -q "errors: 0" pan.log; then
        found=fails
    elif grep -q -e "Search not completed" -e "max search depth too small" pan.log; then
        found="not completed"
    fi
    [ "$found" = "$expected" ] || result="not ok"
    echo "$result $number - $text: $expected"
    echo "# $found; $(grep -h -e 'states, stored' pan.log | xargs || true)"
    if [ "$result" != ok ]; then
        failed=$((failed + 1))
        grep -h -e "pan:" -e "error" spin.log gcc.log pan.log | head -n 5 | sed 's/^/# /'
    fi
}

echo 1..16
verify holds "three nodes, four accesses, messages in any order" -DREQUESTS=4
verify holds "two messages doubled" -DREQUESTS=3 -DDOUBLES=2
verify holds "a node dies" -DREQUESTS=3 -DDEATHS=1
verify holds "a node dies, a message is doubled" -DREQUESTS=3 -DDEATHS=1 -DDOUBLES=1
verify holds "given ahead to who has not asked" -DREQUESTS=3 -DAHEADS=2
verify holds "given ahead, and a node dies" -DREQUESTS=3 -DAHEADS=1 -DDEATHS=1
verify fails "writing is granted before all copies are gone" -DREQUESTS=4 -DMUTATION=1
verify fails "who hands over keeps nothing" -DREQUESTS=3 -DDEATHS=1 -DMUTATION=2
verify fails "the manager writes before the backup knows" -DREQUESTS=3 -DDEATHS=1 -DMUTATION=3
verify fails "what comes twice is taken twice" -DREQUESTS=4 -DDOUBLES=1 -DMUTATION=4
model=${model%sc.pml}two.pml
verify holds "two pages, message passing" -DTEST=1
verify holds "two pages, store buffering" -DTEST=2
for mutation in 1 2; do
    verify fails "message passing, copies outlive the grant ($mutation)" -DTEST=1 -DMUTATION=$mutation
    verify fails "store buffering, copies outlive the grant ($mutation)" -DTEST=2 -DMUTATION=$mutation
done
[ "$failed" -eq 0 ]
