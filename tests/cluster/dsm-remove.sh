#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: shared files that are removed, on two nodes whose servers have less room than the files are large:
# the nodes' Linuxes forget the pages, and send none back. A file that is still open somewhere is there
# until it is closed, also in a minority.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=dsm-remove-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck source=tests/cluster/dsm/common.sh
. tests/cluster/dsm/common.sh

# make NAME: of 24 MiB, written by node 1 and read by node 2.
make() {
    local sum
    node 1 sh -c 'cp /tmp/large "/dsm/$1"; sha256sum </tmp/large' - "$1" || return 1
    sum=$output
    node 2 sh -c 'sha256sum <"/dsm/$1"' - "$1" && [ "$output" = "$sum" ] &&
        more_cached 1 $((before[1] + 20)) && more_cached 2 $((before[2] + 20))
}

# gone: its pages, from both caches.
gone() {
    within 30 less_cached 1 $((before[1] + 4)) && within 30 less_cached 2 $((before[2] + 4))
}

# What node N's cache managers have returned, in `value`.
returned() {
    node "$1" corvus dsm stat || return 1
    value=$(awk '$1 == "returned" { print $2 }' <<<"$output")
}

# returned_few N BEFORE
returned_few() {
    returned "$1" && [ "$value" -lt $(($2 + 64)) ]
}

again_and_again() {
    local round first second
    for round in 1 2 3; do
        check "$round: 24 MiB on two nodes" make "file$round"
        returned 1 && first=$value
        returned 2 && second=$value
        check "$round: removed" node $((round % 2 + 1)) timeout 20 rm "/dsm/file$round"
        check "$round: its memory is free" gone
        check "$round: node 1 sent nothing back" returned_few 1 "$first"
        check "$round: nor did node 2" returned_few 2 "$second"
    done
}

# hold FILE: node 2 has it open until it is told to read it.
hold() {
    node 2 sh -c 'rm -f /tmp/read /tmp/sum; mkfifo /tmp/read
        (exec 3<"$1"; read -r line </tmp/read; sha256sum <&3 >/tmp/read-sum; mv /tmp/read-sum /tmp/sum) \
            >/dev/null 2>&1 </dev/null &
        until ls -l /proc/[0-9]*/fd | grep -q "$1"; do sleep 0.1; done' - "$1"
}

# let_go: it reads, if it can, and closes.
let_go() {
    node 2 sh -c 'echo go >/tmp/read; until [ -e /tmp/sum ]; do sleep 0.1; done; cat /tmp/sum'
}

reads_right() {
    local sum
    node 1 sh -c 'sha256sum </tmp/large'
    sum=$output
    let_go && [ "$output" = "$sum" ]
}

still_open() {
    must "24 MiB on two nodes" make held
    must "node 2 has them open" hold /dsm/held
    check "removed on node 1" node 1 timeout 20 rm /dsm/held
    check "another of this name" node 1 sh -c 'echo other >/dsm/held'
    check "is another one" node 2 sh -c '[ "$(cat /dsm/held)" = other ]'
    check "node 2 reads what it has open" reads_right
    check "then its memory is free" gone
    check "the other is there" node 1 sh -c '[ "$(cat /dsm/held)" = other ] && rm /dsm/held'
}

in_a_minority() {
    must "24 MiB on two nodes" make cut
    must "node 2 has them open" hold /dsm/cut
    check "removed on node 1" node 1 timeout 20 rm /dsm/cut
    check "the nodes are cut" cluster cut 2
    check "node 2 knows" within 60 answers 2 "error 8" list
    check "it closes the file" let_go
    check "healed" cluster heal
    check "they agree again" within 60 agreed 1 2
    check "its memory is free" gone
    check "files can be made" make after
    check "and removed" node 2 timeout 20 rm /dsm/after
    check "as before" gone
}

before=()
value=
must "up -n 2" succeeds "node 2 is ready" up -n 2
must "the program is copied" give_dsm 1 2
must "the servers agree" within 40 agreed 1 2
must "24 MiB" node 1 sh -c 'dd if=/dev/urandom of=/tmp/large bs=1M count=24 2>&1'
for which in 1 2; do
    cached "$which"
    before[which]=$output
done
again_and_again
still_open
in_a_minority
check "nobody complained" healthy
finish
