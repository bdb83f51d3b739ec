#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: two nodes on one wire, through their network servers: Linux to Linux by name, to both network
# servers, bulk each way with checksums, large frames, a flood from both; a Linux that panics
# and comes back; and a node that gets its address by DHCP.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
state=$build/tests/pair-$$-
machine=tests/linux/ethernet/machine.sh
# shellcheck source=tests/tap.sh
. tests/tap.sh
kept=${state}output

clean_up() {
    "$machine" "${state}1" down
    "$machine" "${state}2" down
    "$machine" "${state}3" down
    rm -rf "$state"*
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# up NODE OTHER
up() {
    "$machine" "$state$1" up --modules "$build/node.modules" --append "node=$1 nodes=2" -- \
        -netdev "dgram,id=wire,local.type=unix,local.path=${state}s$1,remote.type=unix,remote.path=${state}s$2" \
        -device "virtio-net-pci,netdev=wire,mac=52:54:00:c0:00:0$1,host_mtu=9000"
}

# node NODE SCRIPT
node() {
    timeout 150 "$machine" "$state$1" exec sh -c "$2"
}

copy() {
    "$machine" "$state$1" cp "$build/linux/tests/flood" "$build/linux/tests/ethernet-counters" 1:/tmp
}

# bulk FROM TO MEGABYTES
bulk() {
    local sent arrived
    # Its input stays open: busybox's nc at the other end would take its end for the end of all.
    node "$2" 'rm -f /tmp/there; (sleep 150 | nc -l -p 5000 >/tmp/there) >/dev/null 2>&1 </dev/null &'
    sleep 1
    sent=$(node "$1" "dd if=/dev/urandom of=/tmp/piece bs=1048583 count=1 2>/dev/null
        n=0; while [ \$((n += 1)) -le $3 ]; do cat /tmp/piece; done >/tmp/data
        nc node$2 5000 </tmp/data && md5sum </tmp/data")
    arrived=$(node "$2" 'sleep 1; md5sum </tmp/there; wc -c </tmp/there >&2')
    echo "sent '$sent', arrived '$arrived'"
    [ -n "$sent" ] && [ "$sent" = "$arrived" ]
}

mtu() {
    node 1 "ip link set eth0 mtu $1" && node 2 "ip link set eth0 mtu $1"
}

# Each is for the other what sends packets, too.
both_flood() {
    node 1 '/tmp/flood 10.67.1.2 6000 1000 10000 0' &
    node 2 '/tmp/flood 10.67.1.1 6000 1000 10000 0'
    wait $!
}

panics() {
    timeout 100 "$machine" "${state}2" exec \
        sh -c 'echo 2 >/proc/sys/vm/panic_on_oom; exec tail /dev/zero' 2>/dev/null
    [ $? -eq 125 ]
}

answers() {
    local tries=60
    while ! timeout 20 "$machine" "${state}2" exec true 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 1
    done
}

log_says() {
    grep -a -q -E "$2" "$state$1/log"
}

node_2_healthy() {
    ! log_says 2 'PANIC|BUG:|WARNING:|init: net ended'
}

healthy() {
    ! log_says 1 'PANIC|Kernel panic|BUG:|WARNING:|init: .* ended' &&
        ! log_says 3 'PANIC|Kernel panic|BUG:|WARNING:|init: .* ended'
}

check "node 1 comes up" up 1 2
check "node 2 comes up" up 2 1
check "programs are copied" copy 1
check "to both" copy 2
check "Linux of node 1 reaches that of node 2 by name" node 1 'ping -c 3 -W 10 node2'
check "and back" node 2 'ping -c 3 -W 10 node1'
check "it reaches its own network server" node 1 'ping -c 3 -W 10 10.67.0.1'
check "and the other's" node 1 'ping -c 3 -W 10 10.67.0.2'
check "20 MB to node 2" bulk 1 2 20
check "20 MB to node 1" bulk 2 1 20
check "an MTU of 9000" mtu 9000
check "packets of 8900 bytes" node 1 'ping -c 3 -s 8900 -W 10 node2'
check "20 MB in large frames" bulk 1 2 20
check "an MTU of 576" mtu 576
check "5 MB in small frames" bulk 2 1 5
check "an MTU of 1500" mtu 1500
check "both send floods at each other" both_flood
check "and still reach each other" node 1 'ping -c 3 -W 10 node2'
check "Linux of node 2 panics" panics
check "and comes back" answers
check "and has its port again" node 1 'ping -c 3 -W 10 node2'
check "20 MB to the new one" bulk 1 2 20
check "its network server has not noticed" node_2_healthy
"$machine" "${state}2" down
check "a node with ip=dhcp on a network that has a server" "$machine" "${state}3" up \
    --modules "$build/node.modules" --append "node=3 ip=dhcp" -- \
    -netdev user,id=wire -device virtio-net-pci,netdev=wire
# shellcheck disable=SC2016 # for the shell in the node
check "gets its address" node 3 'n=0
    until ip address show eth0 | grep "inet 10\.0\.2\.15/24"; do
        n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.1; done'
check "and the way to everybody else" node 3 'ip route | grep "default via 10\.0\.2\.2"'
check "which answers" node 3 'ping -c 1 -W 10 10.0.2.2'
check "nobody panicked else, nobody complained" healthy
finish
