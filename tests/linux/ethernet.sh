#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: Linux's eth0 against the mirror (tests/linux/ethernet/mirror.c), which sends each packet back, in
# a node: addresses, ping, bulk both ways with checksums, sizes, a flood; and a server that
# dies, cuts the wire, hangs, and writes nonsense into the rings, each under load.
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
state=$build/tests/eth-$$
machine=tests/linux/ethernet/machine.sh
# shellcheck source=tests/tap.sh
. tests/tap.sh
kept=$state.output

clean_up() {
    "$machine" "$state" down
    rm -rf "$state" "$state.output"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# A script in the node, killed after a time.
node() {
    timeout 150 "$machine" "$state" exec sh -c "$1"
}

says() {
    node "$1" | grep -q -E "$2"
}

log_says() {
    grep -a -q -E "$1" "$state/log"
}

carrier_is() {
    node "n=0; until [ \"\$(cat /sys/class/net/eth0/carrier)\" = $1 ]; do
        n=\$((n + 1)); [ \$n -lt 100 ] || exit 1; sleep 0.1; done"
}

# bulk MEGABYTES: to port 5000 of the mirror, which is ours, and the same back.
bulk() {
    node "dd if=/dev/urandom of=/tmp/piece bs=1048583 count=1 2>/dev/null
        n=0; while [ \$((n += 1)) -le $1 ]; do cat /tmp/piece; done >/tmp/data
        nc -l -p 5000 </tmp/data >/tmp/there & server=\$!
        sleep 0.5
        nc 10.67.9.9 5000 </tmp/data >/tmp/back || exit 1
        wait \$server
        [ \$(md5sum /tmp/data /tmp/there /tmp/back | cut -c 1-32 | uniq | wc -l) -eq 1 ] &&
            [ \$(wc -c </tmp/back) -eq $(($1 * 1048583)) ]"
}

# order PORT: bids the mirror.
order() {
    node "exec bash -c 'echo now >/dev/udp/10.67.9.9/$1'"
}

# Something to do for the rings, until it is told to stop.
load_begins() {
    node "cat >/tmp/load <<'END'
while [ ! -e /tmp/enough ]; do /tmp/flood 10.67.9.9 5002 1000 2000 64; done
END
    rm -f /tmp/enough; sh /tmp/load >/dev/null 2>&1 </dev/null &"
}

load_ends() {
    node 'touch /tmp/enough; sleep 1.5'
}

no_panic() {
    ! log_says 'PANIC|Kernel panic|BUG:|WARNING:|init: linux ended'
}

check "a node with the mirror comes up" "$machine" "$state" up
check "eth0 has the node's address" says 'ip address show eth0' 'inet 10\.67\.1\.1/16'
check "and the Ethernet address that the server gave" says 'cat /sys/class/net/eth0/address' '52:54:00:c1:00:01'
check "the carrier is there" carrier_is 1
check "programs are copied" "$machine" "$state" cp \
    "$build/linux/tests/flood" "$build/linux/tests/ethernet-counters" 1:/tmp
check "ping" node 'ping -c 3 -W 5 10.67.9.9'
check "ping by the names of nodes" node 'ping -c 1 -W 5 node1'
check "20 MB both ways at once" bulk 20
# shellcheck disable=SC2016 # for the shell in the node
check "a busy ring has fewer bells than packets" node '/tmp/ethernet-counters eth0
    [ $(($(/tmp/ethernet-counters eth0 | sed -n "s/^bells //p") * 4)) -lt \
        $(($(cat /sys/class/net/eth0/statistics/tx_packets) * 3)) ]'
check "an MTU of 9000, packets of 8900 bytes" node \
    'ip link set eth0 mtu 9000 && ping -c 3 -s 8900 -W 5 10.67.9.9'
check "20 MB in large frames" bulk 20
check "an MTU of 68 works" node 'ip link set eth0 mtu 68 && ping -c 3 -s 300 -W 5 10.67.9.9'
check "one of 9001 is refused" node '! ip link set eth0 mtu 9001 2>/dev/null && ip link set eth0 mtu 1500'
check "another Ethernet address is refused" node \
    '! ip link set eth0 address 52:54:00:c1:00:02 2>/dev/null'
check "20000 packets, 64 under way, all come back" says \
    '/tmp/flood 10.67.9.9 5001 1000 20000 64' 'returned 20000 spoiled 0'
check "a flood: what comes back is whole" says \
    '/tmp/flood 10.67.9.9 5001 200 40000 0' 'sent 40000 returned [1-9][0-9]* spoiled 0'
check "nothing was lost in the rings" says \
    'cat /sys/class/net/eth0/statistics/*_errors /sys/class/net/eth0/statistics/rx_dropped | sort -u' '^0$'
check "down and up again" node \
    'ip link set eth0 down && ip link set eth0 up && ping -c 3 -W 5 10.67.9.9'

check "a load begins" load_begins
order 7002
check "the wire is cut: no carrier" carrier_is 0
check "and mended" carrier_is 1
order 7004
check "a server that hangs for a second" node 'ping -c 3 -W 5 10.67.9.9'
for round in 1 2 3; do
    order 7001
    check "the server dies under load, $round" carrier_is 1
    check "and all works with the next one, $round" node 'sleep 1; ping -c 3 -W 5 10.67.9.9'
done
check "Linux has noticed" says 'dmesg' 'eth0: the network server has gone'
order 7003
# shellcheck disable=SC2016 # for the shell in the node
check "the server writes nonsense into the rings" says \
    'n=0; until dmesg | grep "broke the rings"; do sleep 0.1; n=$((n + 1)); [ $n -lt 100 ] || exit; done' broke
check "and is opened anew" node 'sleep 2; ping -c 3 -W 5 10.67.9.9'
order 7005
# shellcheck disable=SC2016 # for the shell in the node
check "the memory goes while it is used: Linux notices, and opens anew" node 'n=0
    until /tmp/ethernet-counters eth0 | grep "^lost_pages [1-9]" && ping -c 1 -W 2 10.67.9.9; do
        n=$((n + 1)); [ $n -lt 30 ] || exit 1; sleep 0.5; done'
load_ends
check "20 MB after all that" bulk 20
check "nobody panicked, nobody complained" no_panic
finish
