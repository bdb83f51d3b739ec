#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: Linux programs of two nodes send each other messages and rights (subjects/message-peer.c), what
# `corvus nodes` and `corvus names` say of them, and what the one sees when the other's node dies.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
state=$build/tests/message-$$-
machine=tests/linux/ethernet/machine.sh
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
# shellcheck source=tests/tap.sh
. tests/tap.sh
kept=${state}output

clean_up() {
    "$machine" "${state}1" down
    "$machine" "${state}2" down
    rm -rf "$state"*
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# The TAP lines of a program's output, which must be so many.
results() {
    local file=$1 wanted=$2 seen=0 line
    while IFS= read -r line; do
        case $line in
        "ok - "*) result "" "${line#ok - }" ;;
        "not ok - "*) result not "${line#not ok - }" ;;
        *) echo "# $line" && continue ;;
        esac
        seen=$((seen + 1))
    done < <(tr -d '\r' <"$file")
    [ "$seen" -eq "$wanted" ] || result not "$wanted results, not $seen"
}

# up NODE OTHER
up() {
    "$machine" "$state$1" up --modules "$build/node.modules" --append "node=$1 nodes=2 cluster=test key=$key" -- \
        -netdev "dgram,id=wire,local.type=unix,local.path=${state}s$1,remote.type=unix,remote.path=${state}s$2" \
        -device "virtio-net-pci,netdev=wire,mac=52:54:00:c0:00:0$1"
}

# node NODE SCRIPT
node() {
    timeout 150 "$machine" "$state$1" exec sh -c "$2"
}

copy() {
    "$machine" "$state$1" cp "$build/linux/tests/message-peer" 1:/tmp
}

serves() {
    # shellcheck disable=SC2016 # for the shell in the node
    node 2 '/tmp/message-peer serve adder >/tmp/said 2>&1 </dev/null &
        n=0; until grep -q serving /tmp/said; do n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1; done'
}

# says NODE COMMAND PATTERN
says() {
    node "$1" "$2" | tee "${state}said"
    grep -q -E "$3" "${state}said"
}

# Both in the background of this script: the output is looked at when it has come.
waits() {
    node 1 '/tmp/message-peer wait adder 2' >"${state}waits" 2>&1 &
    waiter=$!
    local tries=100
    until grep -q waiting "${state}waits"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.2
    done
}

check "node 1 comes up" up 1 2
check "node 2 comes up" up 2 1
check "programs are copied" copy 1
check "to both" copy 2
check "a program of node 2 checks a port in" serves
node 1 '/tmp/message-peer call adder 2' >"${state}calls" 2>&1
results "${state}calls" 7
node 2 'cat /tmp/said' | grep '^#'
check "corvus nodes tells of both" says 1 'corvus nodes' '^ *2  node2 .* there '
check "and in JSON" says 1 'corvus --json nodes' '"live": 2, "majority": true'
check "corvus names tells of another node's" says 1 'corvus names 2' '^adder$'
check "and of one's own" says 2 'corvus names' '^adder$'
check "a node that there is not" says 1 'corvus names 9 2>&1 || true' '^corvus: 9: is not a node of this cluster'
check "corvus stats has the network server's" says 1 'corvus stats' '^net_calls +[1-9]'
check "a program of node 1 waits for node 2" waits
"$machine" "${state}2" down
wait "$waiter"
results "${state}waits" 3
check "corvus nodes tells that node 2 is dead" says 1 'corvus nodes' '^ *2  node2 .* dead '
check "corvus names of it, too" says 1 'corvus names 2 2>&1 || true' '^corvus: 2: is not there'
finish
