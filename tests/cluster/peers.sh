#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: nodes that no broadcast reaches find each other by the list of addresses that they are started with
# (peers=), and by one of two having the other in its list; wrong lists, a line for each.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=peers-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

list=10.67.0.1,10.67.0.2,10.67.0.3
# Where nobody is.
nowhere=10.67.0.9

# words WORDS: what nodes are told that are started from now on.
words() {
    # shellcheck disable=SC2154 # common.sh's
    sed -i "s/^words=.*/words=$1/" "$state/settings"
}

# says_once EXPRESSION N: that line is in node N's log, and no other like it.
says_once() {
    output=$(grep -a -E "$1" "$state/node$2.log")
    [ -n "$output" ] && [ "$(wc -l <<<"$output")" -eq 1 ]
}

# lost FROM TO: broadcasts are, there.
lost() {
    cluster wire stats json && python3 -c 'import json, sys
ends = [int(end) for end in sys.argv[1:]]
sys.exit(not any([link["from"], link["to"]] == ends and link["lost"] for link in json.load(sys.stdin)["links"]))' \
        "$1" "$2" <<<"$output"
}

same_list() {
    local one
    export CORVUS_WORDS=peers=$list,$nowhere
    must "up, on a wire without broadcasts" succeeds "node 3 is ready" up -n 3 --patience 2 --wire broadcast=100%
    check "three nodes with the same list find each other" within 20 all_see 1 2 3
    for one in 1 2 3; do
        check "corvus nodes on node $one" node "$one" corvus nodes
        check "shows all" says "3 of 3 are there"
        check "broadcasts of node $one do not arrive" lost "$one" $((one % 3 + 1))
        check "its own address is passed over" says_once "this node's own address in peers= is passed over" "$one"
        check "where nobody is, it has heard nobody" within 40 \
            says_once "net: .* [(]peers=[)] has not been heard in 20 s" "$one"
        check "which is $nowhere" says "$nowhere"
    done
    check "messages go from node to node" node 1 corvus names node3
}

one_sided() {
    # Both, for each would be found by what is left of the other.
    cluster kill 2 && cluster kill 3 && words ""
    check "node 2 without a list" succeeds "node 2 is ready" start 2
    check "node 3 without a list" succeeds "node 3 is ready" start 3
    check "node 1, that has them in its own, finds both" within 20 all_see 1 2
    check "and they it" within 20 all_see 1 3
    # Five beacons' time, and more: these two saw each other by nothing but a list.
    sleep 3
    output=$(said_of 2 3)$(said_of 3 2)
    check "the others do not find each other" test -z "$output"
    check "corvus nodes there" node 2 corvus nodes
    check "shows one of them" says "2 of 3 are there"
    check "with broadcasts" succeeds "" wire none
    check "they do" within 20 all_see 1 2 3
}

# begins_with LIST: node 3 is begun with that list, as far as its network server.
begins_with() {
    local start result=0
    cluster kill 3
    words "peers=$1"
    : >"$state/node3.log"
    ./qemu-cluster.sh --name "$name" start 3 >/dev/null 2>&1 &
    start=$!
    within 60 grep -a -q 'init: net ended' "$state/node3.log" || result=1
    kill "$start"
    wait "$start" 2>/dev/null
    return $result
}

# refuses_list TEXT LIST WHAT: by one line, after which it is not tried again.
refuses_list() {
    check "$3" begins_with "$2"
    check "is refused in a line" says_once "net: .*peers=" 3
    check "that says why" says "$1"
    check "once" says_once "init: net ended" 3
}

wrong_lists() {
    local many long
    many=$(printf "10.67.0.2,%.0s" {1..64})10.67.0.2
    long=$(printf "10.67.0.254,%.0s" {1..100})10.67.0.2
    refuses_list "is not a list A.B.C.D,A.B.C.D" 'node1;node2' "no addresses"
    refuses_list "is not a list A.B.C.D,A.B.C.D" "$list," "a comma too many"
    refuses_list "has an address that no node has: those are 10.67.0.1 to 10.67.0.254" 192.168.1.20 \
        "an address of another network"
    refuses_list "there are more than 64 peers" "$many" "65 addresses"
    check "a list longer than a command line" not_started "peers=$long"
    check "is refused by the kernel, in a line" says_once "command line is too long" 3
    words peers=node1
    check "a node with a wrong list comes up" succeeds "node 3 is ready" start 3
    check "without a network" corvus_refuses 3 "network server: is not running on this node" nodes
}

not_started() {
    cluster kill 3
    words "$1"
    ! cluster start 3 && says "did not come up: its kernel stopped"
}

corvus_refuses() {
    local which=$1 text=$2
    shift 2
    ! node "$which" corvus "$@" && says "$text" && [ "$(wc -l <<<"$output")" -eq 1 ]
}

same_list
one_sided
check "nobody complained" healthy
wrong_lists
finish
