# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the tests of nodes that speak to each other share (tests/cluster/network*.sh): commands in a node,
# and what the nodes say of one another in their logs. A test sets `name` first.

# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

# node N COMMAND…: in that node's Linux.
node() {
    local which=$1
    shift
    cluster exec "$which" -- "$@"
}

# within SECONDS COMMAND…: true as soon as the command is.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

pings() {
    node "$1" ping -c 1 -W 10 "$2"
}

# --- What nodes say of each other --------------------------------------------------------------

# The last that node N's network server said of node M.
said_of() {
    grep -a -o "net: node $2 is [a-z].*" "$state/node$1.log" | tail -n 1 | tr -d '\r'
}

sees() {
    output=$(said_of "$1" "$2")
    [ "$output" = "net: node $2 is there" ]
}

misses() {
    output=$(said_of "$1" "$2")
    [[ $output == "net: node $2 is dead to us: "* ]]
}

# How often node N has said that node M is there: sessions, then.
sessions() {
    grep -a -c "net: node $2 is there" "$state/node$1.log"
}

more_sessions() {
    output="$(sessions "$1" "$2") sessions"
    [ "$(sessions "$1" "$2")" -gt "$3" ]
}

# all_see NODE…: each of them all others of them.
all_see() {
    local one other
    for one in "$@"; do
        for other in "$@"; do
            [ "$one" = "$other" ] || sees "$one" "$other" || return 1
        done
    done
}

# Nothing in any node's log that should not be there; what is expected is $1, an expression.
healthy() {
    output=$(grep -a -E 'PANIC|Kernel panic|BUG:|WARNING:|Oops|init: .* ended|page fault' "$state"/node*.log |
        grep -a -v -E "${1:-^$}")
    [ -z "$output" ]
}

# --- Programs that use ports: build/tests/cluster/ports ------------------------------------------

# Copies the program to these nodes.
give_ports() {
    local which
    for which in "$@"; do
        cluster cp "${CORVUS_BUILD:-build}/tests/cluster/ports" "$which:/tmp" || return 1
    done
}

# ports N WORDS…: runs it on node N.
ports() {
    node "$1" /tmp/ports "${@:2}"
}

# begin N FILE WORDS…: runs it on node N in the background, with its output in a file there.
begin() {
    # shellcheck disable=SC2016 # for the shell in the node
    node "$1" sh -c 'file=$1; shift; "$@" >"$file" 2>&1 </dev/null &' - "$2" /tmp/ports "${@:3}"
}

# wrote N FILE TEXT: it has said that.
wrote() {
    node "$1" cat "$2" && says "$3"
}

# field NAME LINE-BEGIN N: a value of `ports state` on node N.
field() {
    ports "$3" state && output=$(sed -n "s/^$2.*\<$1=\([0-9a-f]*\).*/\1/p" <<<"$output") &&
        [ -n "$output" ]
}

# sees_cluster N LIVE MAJORITY
sees_cluster() {
    ports "$1" state && [[ $output =~ node=$1\ nodes=3\ live=$2\ majority=$3\  ]]
}

# What is held of other nodes, and by them, on node N.
rights_of() {
    ports "$1" state && output=$(grep -o '^peer=.* ' <<<"$output " | sed 's/state=.*sessions=[0-9]* //')
}

# rights_are N WHAT: as rights_of told before.
rights_are() {
    rights_of "$1" && [ "$output" = "$2" ]
}
