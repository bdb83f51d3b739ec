#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: three nodes find each other, and their Linuxes reach each other by name; sessions that only
# authenticate; wrong arguments of `up` about them.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=network-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

wrong_arguments() {
    local words
    check "--secure without a value" refuses "--secure needs a value" up --secure
    check "--patience without a value" refuses "--patience needs a value" up --patience
    check "-n without a value" refuses "-n needs a value" up -n
    for words in none Encrypt 'encrypt authenticate' ''; do
        check "--secure '$words'" refuses "--secure is encrypt or authenticate" up --secure "$words"
    done
    for words in 0 -1 101 1000 1.5 two '1 2' ''; do
        check "--patience '$words'" refuses "'$words' is not a patience" up --patience "$words"
    done
    for words in 0 -1 01 three ''; do
        check "-n '$words'" refuses "'$words' is not a number of nodes" up -n "$words"
    done
    check "-n 9" refuses "at most 8 nodes, not 9" up -n 9
    check "none of which left anything" test ! -e "$state/settings"
}

# bytes FROM TO: five megabytes from one Linux to another.
bytes() {
    local sent arrived
    # Its input stays open: busybox's nc would take its end for the end of all.
    node "$2" sh -c 'rm -f /tmp/there; (sleep 60 | nc -l -p 5000 >/tmp/there) >/dev/null 2>&1 </dev/null &
        n=0; until grep -q ":1388 " /proc/net/tcp /proc/net/tcp6; do
        n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done' || return 1
    node "$1" sh -c "head -c 5000000 /dev/urandom >/tmp/data; nc node$2 5000 </tmp/data; md5sum </tmp/data"
    sent=$output
    node "$2" sh -c 'n=0; until [ "$(stat -c %s /tmp/there)" = 5000000 ]; do
        n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done; md5sum </tmp/there'
    arrived=$output
    output="sent '$sent', arrived '$arrived'"
    [[ $sent =~ ^[0-9a-f]{32} ]] && [ "$sent" = "$arrived" ]
}

three_nodes() {
    local one other
    must "up -n 3" succeeds "node 3 is ready" up -n 3
    for one in 1 2 3; do
        for other in 1 2 3; do
            [ "$one" = "$other" ] || check "node $one sees node $other" within 20 sees "$one" "$other"
        done
    done
    for one in 1 2 3; do
        other=$((one % 3 + 1))
        check "Linux of node $one reaches node$other by name" pings "$one" "node$other"
        check "and that one's network server" pings "$one" "10.67.0.$other"
    done
    corvus_commands
    port_of_another_node
    check "a name that there is not" ends_badly 1 ping -c 1 node4
    check "5 MB from node 1 to node 3" bytes 1 3
    check "5 MB from node 3 to node 2" bytes 3 2
    check "each found each other once" once
    check "nobody complained" healthy
}

# A program on node 1 checks a port in; one on node 3 finds it by its name, and calls it.
port_of_another_node() {
    check "programs for nodes 1 and 3" give_ports 1 3
    check "a program on node 1 checks a port in" begin 1 /tmp/serve serve adder
    check "as it says" within 10 wrote 1 /tmp/serve "checked in"
    check "node 3 sees the name" node 3 corvus names node1
    check "in the list" grep -q -x adder <<<"$output"
    check "a program on node 3 looks it up there and calls it" ports 3 call adder 1 1
    check "and is answered" grep -q -E '^[1-9][0-9]* calls answered' <<<"$output"
    check "it looks it up on any node and calls it" ports 3 call adder 0 1
    check "and is answered, too" grep -q -E '^[1-9][0-9]* calls answered' <<<"$output"
}

# What `corvus nodes` and `corvus names` say on each node.
corvus_commands() {
    local one other
    for one in 1 2 3; do
        check "corvus nodes on node $one" node "$one" corvus nodes
        check "it has the majority" says "3 of 3 are there, which is the majority"
        for other in 1 2 3; do
            check "and node$other in its table" shows_node "$one" "$other"
        done
    done
    check "corvus nodes as JSON" node 2 corvus --json nodes
    check "says the same" json_says "d['live'] == 3 and [n['state'] for n in d['nodes']] == ['there', 'this node', 'there']"
    check "corvus names of node 3, on node 1" node 1 corvus names node3
    check "has its allocator" grep -q -x allocator <<<"$output"
    check "corvus names of this node, as JSON" node 1 corvus --json names
    check "has its own" json_says "'allocator' in d"
    check "names of a node that there is not" ends_badly 1 corvus names 9
    check "say so in a line" test "$(wc -l <<<"$output")" -eq 1
}

# shows_node N M: a line of the table that was printed, of the right state.
shows_node() {
    local state="there"
    [ "$1" = "$2" ] && state="this node"
    grep -q -E "^ *$2  node$2 +10\.67\.0\.$2 +$state " <<<"$output"
}

# json_says EXPRESSION: true of what was printed, which is d.
json_says() {
    python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$1" <<<"$output"
}

ends_badly() {
    ! node "$@"
}

once() {
    local one other
    for one in 1 2 3; do
        for other in 1 2 3; do
            output="node $one and node $other: $(sessions "$one" "$other")"
            [ "$one" = "$other" ] || [ "$(sessions "$one" "$other")" -eq 1 ] || return 1
        done
    done
}

wrong_arguments
three_nodes
cluster down
must "up --secure authenticate" succeeds "node 2 is ready" up -n 2 --secure authenticate
check "which the nodes are told" grep -a -q 'secure=authenticate' "$state/node1.log"
check "and see each other" within 20 all_see 1 2
check "and reach each other" pings 2 node1
check "and nobody complained" healthy
finish
