#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: native tasks under their nodes' VM servers. Two of them and Linux programs share a segment; a
# snapshot of one's memory goes to another node and is read there page by page while it is written to
# at home; more memory than the VM server has; its end, the default pager's, and a node's.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
name=vm-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# Regions of the native task, and counters of a VM server (tests/cluster/vm/orders.h, vm.def).
segment=0 own=1 taken=2 copy=3
paged_in=6 evicted=8 maps=12

# order N WORDS…: the native task of node N does that; asked from node 3, and what it answers is $output.
order() {
    node 3 /tmp/order "$@"
}

# answers ANSWER N WORDS…
answers() {
    local text=$1
    shift
    order "$@"
    [ "$output" = "$text" ]
}

# more_than NUMBER N COUNTER
more_than() {
    order "$2" counter "$3" && [ "$output" -gt "$1" ]
}

peer() {
    node "$1" /tmp/segment-peer "${@:2}"
}

give_programs() {
    cluster cp "$build/tests/cluster/order" "$build/tests/cluster/ports" "$build/linux/tests.stripped/segment-peer" 3:/tmp &&
        cluster cp "$build/tests/cluster/ports" "$build/linux/tests.stripped/segment-peer" 1:/tmp
}

reads() {
    node "$1" od -A n -t d8 -j "$2" -N 8 /dsm/shared && [ "${output//[^0-9]/}" = "$3" ]
}

# Two natives and two Linux programs add to one word, all at once. Node 1 has one of each: there two cache
# managers want the page.
four_add() {
    local waiting=() each failed=0
    # The sum, what they wait for, and how many of Linux' have done.
    for each in 0 1 2; do
        order 1 write "$segment" "$each" 0 || return 1
    done
    for each in 1 3; do
        (peer "$each" add /dsm/shared 200) &
        waiting+=($!)
    done
    for each in 1 2; do
        (order "$each" add "$segment" 200) &
        waiting+=($!)
    done
    sleep 1
    order 1 write "$segment" 1 1
    for each in "${waiting[@]}"; do
        wait "$each" || failed=1
    done
    answers 800 2 read "$segment" 0 && [ "$failed" -eq 0 ]
}

# Node 1's writes as fast as it can, before and until behind what node 2's reads.
read_while_written() {
    order 1 churn "$own" || return 1
    answers 0 2 check "$taken" 500 || return 1
    order 1 still && [ "$output" -gt 0 ]
}

shared_segment() {
    check "a Linux program on node 3 fills a segment" peer 3 fill /dsm/shared 16 1000
    local shared which
    node 3 /tmp/order number shared
    shared=$output
    for which in 1 2; do
        check "the native task on node $which maps it" answers 0 "$which" segment 16 "$shared"
        check "and reads what is there" answers 0 "$which" check "$segment" 1000
    done
    check "node 2's writes" answers 0 2 write "$segment" 3 77
    check "node 1's reads it" answers 77 1 read "$segment" 3
    check "so does Linux on node 3" reads 3 12288 77
    check "and on node 1, beside the native task" reads 1 12288 77
    check "node 1's writes all of it" answers 0 1 fill "$segment" 2000
    check "node 2's reads that" answers 0 2 check "$segment" 2000
    check "and Linux on node 3" peer 3 check /dsm/shared 16 2000
    check "without a wrong page" says "0 of 16 pages are wrong"
    check "four add to one word at once, two of them natives, two on one node" four_add
    # From now on others have the page, too: what only a VM server has is lost with it.
    check "and Linux sees the sum" reads 3 0 800
    check "the segment becomes smaller" node 3 truncate -s 4096 /dsm/shared
    check "behind its end is an error" answers "error 4" 1 try "$segment" 5
    check "in front of it there is none" answers 800 1 try "$segment" 0
}

snapshot() {
    check "node 1's task has memory" answers 0 1 own 64
    check "with something in it" answers 0 1 fill "$own" 500
    order 2 counter "$paged_in"
    local before=$output
    check "it sends a snapshot to node 2's" answers 0 1 send 2 64
    check "which has moved no page" answers "$before" 2 counter "$paged_in"
    check "reading one" answers 505 2 read "$taken" 5
    check "moves one" answers $((before + 1)) 2 counter "$paged_in"
    check "node 1's writes its own while node 2's reads what was there" read_while_written
    check "every page has moved once" answers $((before + 64)) 2 counter "$paged_in"
    check "node 2's writes to a private copy" answers 0 2 fill "$copy" 7000
    check "and has it" answers 0 2 check "$copy" 7000
    check "which the snapshot does not show" answers 0 2 check "$taken" 500
    check "nor node 1's memory" order 1 read "$own" 0
    check "that is what it wrote last" test "$output" -ge 1000000
    order 1 counter "$maps"
    before=$output
    check "node 2's maps it no more" answers 0 2 drop "$taken"
    check "nor the copy" answers 0 2 drop "$copy"
    check "and node 1's VM server forgets it" within 20 answers $((before - 1)) 1 counter "$maps"
}

# The VM server has 256 pages (linuxserver/node.conf), its default pager twice as many.
paging() {
    check "memory of 400 pages, more than the VM server has" answers 0 2 own 400
    check "is written to" answers 0 2 fill "$own" 9000
    check "and read" answers 0 2 check "$own" 9000
    check "from the default pager" more_than 100 2 "$evicted"
    check "it is given back" answers 0 2 drop "$own"
}

# ended SERVER: on node 1, and started again.
ended() {
    node 1 /tmp/ports end "$1" && within 20 log_says "init: $1 ended .*restarting in" 1
}

# Fills more than there is room for while nobody takes what has to go: for about a second.
fill_without_pager() {
    local start=$SECONDS
    answers 0 1 fill "$own" 100 && [ $((SECONDS - start)) -lt 10 ]
}

restarts() {
    check "node 1's memory is given back" answers 0 1 drop "$own"
    # So that its VM server knows the default pager that ends.
    check "node 1 pages, too" answers 0 1 own 400
    check "what is written to" answers 0 1 fill "$own" 50
    check "and given back" answers 0 1 drop "$own"
    check "node 1's default pager ends" ended default-pager
    check "the next one pages" answers 0 1 own 400
    check "what is written" fill_without_pager
    check "and gives it back" answers 0 1 check "$own" 100
    check "node 1's VM server ends" ended vm
    check "its client with it, when it wants something" answers "error 8" 1 try "$own" 0
    check "both are there again" within 30 answers 0 1 own 64
    check "and serve" answers 0 1 fill "$own" 500
    node 3 /tmp/order number shared
    check "the segment, too" answers 0 1 segment 1 "$output"
    check "as it was" answers 800 1 read "$segment" 0
}

deaths() {
    check "a snapshot goes to node 2" answers 0 1 send 2 64
    check "which reads a page" answers 501 2 read "$taken" 1
    check "node 1 is killed" cluster kill 1
    check "node 2 misses it" within 60 misses 2 1
    check "pages that have not come are an error" answers "error 8" 2 try "$taken" 2
    check "node 2's VM server serves" answers 0 2 own 16
    check "as before" answers 0 2 fill "$own" 1
    check "and the segment is there" answers 800 2 read "$segment" 0
}

must "up -n 3 with a native task on each" succeeds "node 3 is ready" up -n 3 --modules "$build/tests/cluster/vm.modules"
must "programs are copied" give_programs
shared_segment
snapshot
paging
restarts
deaths
check "nobody complained" healthy 'init: (default-pager|vm|vm-test) ended .*restarting'
finish
