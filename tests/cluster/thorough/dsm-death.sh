#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: a node dies at a chosen step of the protocol of shared memory, while all three write and read the
# same pages (tests/cluster/dsm/witness.c): what the others read is never older than what anybody had read
# or they had written; what is lost is an error, at most 2 s after the death was declared. Then a node is
# cut off, which gets errors only. A step is KIND:SENDING, as `dsm stop` has it; without any, each: of
# each kind of record that moves pages, when it is received and when it is to be sent.
#
#   tests/cluster/thorough/dsm-death.sh [STEP…]
set -u

cd "$(dirname "$0")/../../.." || exit 1
name=dsm-death-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck source=tests/cluster/dsm/common.sh
. tests/cluster/dsm/common.sh
pages=48
many_pages=2000
patience=3

# Kinds of records in the order of dsm/core/wire.h; those of views and of what is rare are left out.
declare -A kinds=([8]=REQUEST [9]=FORWARD [10]=DATA [11]=GRANT [12]=INVALIDATE [13]=INVALIDATED
    [14]=DONE [18]=MARK [19]=MARKED)

# begin_witness N PAGES: of node N, in the background.
begin_witness() {
    node "$1" sh -c "/tmp/dsm witness $1 $2 >/tmp/witness 2>&1 </dev/null &"
}

works() {
    local which
    for which in 1 2 3; do
        node "$which" cat /tmp/witness && says "witness: works" || return 1
    done
}

end_witnesses() {
    local which
    for which in "$@"; do
        node "$which" killall -TERM dsm
    done
}

# witnessed N: it has ended, and had nothing to complain of.
witnessed() {
    within 60 wrote "$1" /tmp/witness accesses || return 1
    tail -n 2 <<<"$output" | sed "s/^/# node $1: /"
    says " 0 wrong"
}

# in_time N: no access of it that the death held up took more than 2 s.
in_time() {
    node "$1" cat /tmp/witness && [[ $output =~ "a death "([0-9]+)" ms" ]] && [ "${BASH_REMATCH[1]}" -le 2000 ]
}

# begin_witnesses PAGES
begin_witnesses() {
    local which
    node 1 rm -f /dsm/witness
    for which in 1 2 3; do
        begin_witness "$which" "$1" || return 1
    done
    within 120 works
}

# Of nodes 1 and 2, a while after the third has gone.
what_they_saw() {
    local which
    sleep 3
    end_witnesses 1 2
    for which in 1 2; do
        check "node $which saw nothing stale" witnessed "$which"
        check "and waited for nothing" in_time "$which"
    done
}

dies_at() {
    local kind=${1%:*} sending=${1#*:} what
    what="a ${kinds[$kind]} $([ "$sending" = 1 ] && echo "to be sent" || echo received)"
    # Pages are marked when they are written to for the first time: there are some left then.
    check "three witnesses" begin_witnesses "$([[ $what == *MARK* ]] && echo "$many_pages" || echo "$pages")"
    check "node 3 is to stop at $what" answers 3 "will stop" stop "$kind" "$sending"
    check "and does" within 60 log_says "dsm: stopped, with a record of kind $kind" 3
    check "it is killed" cluster kill 3
    for which in 1 2; do
        check "node $which misses it" within 60 misses "$which" 3
        check "so does its witness" within 20 wrote "$which" /tmp/witness "nodes 0x4 are gone"
    done
    what_they_saw
    check "node 3 starts again" succeeds "node 3 is ready" start 3
    check "with the program" give_dsm 3
    check "and is one of them" within 60 agreed 1 2 3
}

cut_off() {
    check "three witnesses" begin_witnesses "$pages"
    check "node 3 is cut off" cluster cut 3
    check "its witness loses all pages" within 90 wrote 3 /tmp/witness " $pages pages lost"
    check "and saw nothing stale" witnessed 3
    for which in 1 2; do
        check "node $which misses it" within 60 misses "$which" 3
    done
    what_they_saw
    check "healed" cluster heal
    check "all agree again" within 60 agreed 1 2 3
    check "and the pages can be had" node 3 sh -c 'rm -f /dsm/witness; echo again >/dsm/new && cat /dsm/new'
    check "by others" node 1 grep -q again /dsm/new
}

[ $# -ne 0 ] || set -- {8,9,10,11,12,13,14,18,19}:{0,1}
export CORVUS_WORDS=dsmtest=1
must "up" succeeds "node 3 is ready" up -n 3 -m 128 --patience "$patience"
must "the program is copied" give_dsm 1 2 3
must "the servers agree" within 60 agreed 1 2 3
for step in "$@"; do
    dies_at "$step"
done
cut_off
check "nobody complained" healthy
finish
