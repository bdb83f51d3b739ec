#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the DSM servers of three nodes: one directory of segments, one memory, one set of locks; a node
# is killed, the nodes are cut.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=dsm-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck source=tests/cluster/dsm/common.sh
. tests/cluster/dsm/common.sh

# begin_dsm N FILE WORDS…: in the background, with its output in a file there.
begin_dsm() {
    # shellcheck disable=SC2016 # for the shell in the node
    node "$1" sh -c 'file=$1; shift; "$@" >"$file" 2>&1 </dev/null &' - "$2" /tmp/dsm "${@:3}"
}

# A cache manager of the segment on node N that is told what to do by page N WORDS….
keep_pages() {
    node "$1" sh -c 'rm -f /tmp/orders; mkfifo /tmp/orders' && begin_dsm "$1" /tmp/pages cache "$2" /tmp/orders &&
        within 20 wrote "$1" /tmp/pages open
}

# page N WORDS…: an order; its answer is the last line that the cache manager has written.
page() {
    local which=$1 lines
    shift
    node "$which" sh -c 'wc -l </tmp/pages'
    lines=${output//[^0-9]/}
    node "$which" sh -c 'echo "$@" >/tmp/orders' - "$@"
    # shellcheck disable=SC2016 # for the shell in the node
    node "$which" sh -c 'n=0; until [ "$(wc -l </tmp/pages)" -gt '"$lines"' ]; do
        n=$((n + 1)); [ $n -lt 450 ] || exit 1; sleep 0.1; done; tail -n 1 /tmp/pages'
}

# page_is TEXT N WORDS…
page_is() {
    local text=$1
    shift
    page "$@" && says "$text"
}

directory() {
    check "a segment made on node 1" answers 1 "segment 1" create one 0600
    check "is found on node 2" answers 2 "segment 1" find one
    check "and there already on node 3 (IN_USE)" answers 3 "error 16" create one 0600
    check "its size, set on node 2" answers 2 resized resize 1 65536
    check "is told on node 3" answers 3 "size 65536 mode 600 uid 0 links 1" get 1
    check "a second name, given on node 3" answers 3 linked link 1 two
    check "is renamed on node 1" answers 1 renamed rename two three 0
    check "and listed on node 2" answers 2 "1 65536 three" list
    check "not onto another without replacing" answers 2 "error 16" rename one three 1
    check "it is taken away on node 2" answers 2 unlinked unlink three
    check "and gone on node 1 (NOT_FOUND)" answers 1 "error 20" find three
    check "a name with a slash is refused" answers 1 "error 3" create a/b 0600
    check "so is too large a size" answers 1 "error 17" resize 1 0x10000000001
}

memory() {
    local which
    for which in 1 2 3; do
        check "node $which keeps pages" keep_pages "$which" 1
    done
    check "a page written on node 1" page_is "written \`red\`" 1 write 0 red
    check "is read on node 2" page_is "is \`red\`" 2 read 0
    check "and on node 3" page_is "is \`red\`" 3 read 0
    check "written on node 3" page_is "written \`green\`" 3 write 0 green
    check "it is read on node 1" page_is "is \`green\`" 1 read 0
    check "and on node 2" page_is "is \`green\`" 2 read 0
    check "a page that nobody wrote is zero" page_is "is \`\`" 2 read 5
    check "a page behind the end is an error" page_is "error" 2 read 100
    check "without a name it lives on" answers 1 unlinked unlink one
    check "on all nodes" page_is "written \`blue\`" 2 write 0 blue
    check "as before" page_is "is \`blue\`" 1 read 0
}

locks() {
    begin_dsm 2 /tmp/locked lock 600
    check "a lock taken on node 2" within 20 wrote 2 /tmp/locked locked
    check "is not to be had on node 3 (IN_USE)" answers 3 "error 16" try
    begin_dsm 1 /tmp/second lock 0
    check "when it is given back on node 2" node 2 killall -TERM dsm
    check "it is to be had on node 1" within 20 wrote 1 /tmp/second locked
    begin_dsm 3 /tmp/locked lock 600
    check "a lock taken on node 3" within 20 wrote 3 /tmp/locked locked
    node 3 killall -9 dsm
    check "whose owner is killed there passes on, marked" answers 1 "locked, its owner died" lock 0
    begin_dsm 1 /tmp/sum sum 3 10
    begin_dsm 2 /tmp/sum sum 3 20
    check "three nodes add up" answers 3 "sum 42" sum 3 12
    check "all of them" within 20 wrote 1 /tmp/sum "sum 42"
    begin_dsm 1 /tmp/waited wait
    check "a semaphore posted on node 2" answers 2 posted post 1
    check "is waited for on node 1" within 20 wrote 1 /tmp/waited waited
}

deaths() {
    check "a segment that lives on" answers 3 segment create survivor 0600
    begin_dsm 3 /tmp/locked lock 600
    check "a lock taken on node 3" within 20 wrote 3 /tmp/locked locked
    check "node 3 is killed" cluster kill 3
    check "node 1 misses it" within 60 misses 1 3
    check "the others agree" within 30 agreed 1 2
    check "and make segments" answers 2 segment create after 0600
    check "its lock passes on, marked" answers 2 "locked, its owner died" lock 0
    check "node 3 starts again" succeeds "node 3 is ready" start 3
    check "a program is copied there" cluster cp "${CORVUS_BUILD:-build}/tests/cluster/dsm" 3:/tmp
    check "and is one of them" within 60 agreed 1 2 3
    check "it knows the segments" answers 3 " survivor" list
    check "node 1, who orders, is killed" cluster kill 1
    check "node 2 misses it" within 60 misses 2 1
    check "the others agree" within 30 agreed 2 3
    check "they still know" answers 2 " survivor" list
    check "and can change" answers 3 unlinked unlink survivor
    check "node 1 starts again" succeeds "node 1 is ready" start 1
    check "a program is copied there" cluster cp "${CORVUS_BUILD:-build}/tests/cluster/dsm" 1:/tmp
    check "and orders again" within 60 agreed 1 2 3
    check "it knows what was changed meanwhile" answers 1 "error 20" find survivor
}

minority() {
    check "node 3 is cut off" cluster cut 3
    check "its directory answers PEER_DIED" within 60 answers 3 "error 8" list
    check "so do its locks" answers 3 "error 8" lock 0
    check "healed" cluster heal
    check "it agrees again" within 60 agreed 1 2 3
    check "and answers" answers 3 " after" list
}

same_sum() {
    local here
    node 1 sh -c 'sha256sum </tmp/large'
    here=$output
    node 2 sh -c 'sha256sum </dsm/large' && [ "$output" = "$here" ]
}

# remember NODE…: their counters as they are.
remember() {
    local which
    for which in "$@"; do
        node "$which" corvus dsm stat || return 1
        counted[which]=$output
    done
}

# since N NAME: how much node N has counted since then, in `value`.
since() {
    node "$1" corvus dsm stat || return 1
    value=$(awk -v name="$2" '$1 == name { sum = FNR == NR ? -$2 : sum + $2 } END { print sum }' \
        <(echo "${counted[$1]}") <(echo "$output"))
}

# in_few N PAGES MESSAGES: since then thousands of those pages on node N, and more than four in a message.
in_few() {
    local pages
    since "$1" "$2" || return 1
    pages=$value
    since "$1" "$3" || return 1
    output="$pages $2, $value $3"
    echo "# $output"
    [ "$pages" -gt 4000 ] && [ "$value" -gt 0 ] && [ $((value * 4)) -lt "$pages" ]
}

# What nobody has open stays in the caches of the nodes' Linux, which have more room than the servers; no
# longer than it has a name.
idle_memory() {
    local before
    must "a file of 24 MiB on node 1" node 1 sh -c 'dd if=/dev/urandom of=/tmp/large bs=1M count=24 2>&1'
    cached 1
    before=$output
    must "counters are read" remember 1 2
    check "becomes a segment" node 1 cp /tmp/large /dsm/large
    check "written by few requests" in_few 1 zeroes write_faults
    check "that node 1 has in its cache" more_cached 1 $((before + 20))
    check "node 2 reads the same" same_sum
    check "and has it, too" more_cached 2 20
    check "by few requests" in_few 2 data_received read_faults
    check "node 1's cache was asked for ranges of pages" in_few 1 demanded demand_messages
    check "returned ranges" in_few 1 returned return_messages
    check "and they went in few messages" in_few 1 data_sent messages_sent
    check "it is taken away" node 2 rm /dsm/large
    check "its memory is free on node 1" within 30 less_cached 1 $((before + 4))
    check "and on node 2" within 30 less_cached 2 20
    node 1 rm /tmp/large
}

counted=()
must "up -n 3" succeeds "node 3 is ready" up -n 3
must "the program is copied" give_dsm 1 2 3
must "the servers agree" within 40 agreed 1 2 3
directory
memory
idle_memory
locks
deaths
minority
check "nobody complained" healthy
finish
