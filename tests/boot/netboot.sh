#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: nodes that boot from the LAN, by qemu-cluster.sh: iPXE of the card's ROM over TFTP and HTTP, UEFI by
# PXE; on the wire without privileges, and on a bridge in a network namespace with dnsmasq. Two clusters
# come up at a time.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=netboot-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
clusters=(ipxe http uefi)
cluster_seconds=500
# Firmware is slow when many machines share a processor.
export CORVUS_READY_SECONDS=450

# of CLUSTER WORDS…: a command to one of them.
of() {
    cluster --name "$name-$1" "${@:2}"
}

down_all() {
    local each
    # What is still coming up ends itself when it is told so.
    # shellcheck disable=SC2046 # numbers are words
    kill $(jobs -p) 2>/dev/null
    wait
    for each in "${clusters[@]}"; do
        of "$each" down
        rm -rf "build/cluster/$name-$each"
    done
}
trap 'down_all; clean_up' EXIT

begin_up() {
    ./qemu-cluster.sh up --name "$name-$1" "${@:2}" >"$work/$1" 2>&1 &
    starting[$1]=$!
}

came_up() {
    local status=0
    wait "${starting[$1]}" || status=$?
    output=$(cat "$work/$1")
    return $status
}

# answers CLUSTER NODE: its shell does.
answers() {
    of "$1" exec "$2" -- sh -c 'uname -n; uname -s' && says "node$2"
}

# told CLUSTER NODE LINE-BEGIN: how the loader handed the command line to the kernel.
told() {
    output=$(grep -a '^boot: command line' "build/cluster/$name-$1/node$2.log")
    [[ $output == "boot: command line '$3node=$2 "* ]]
}

wrong_arguments() {
    check "from the LAN without a card" refuses "needs --nic virtio" up --boot ipxe --nic none
    check "a LAN that is none" refuses "--lan is wire or bridge" up --lan token-ring
    check "a bridge with impairments" refuses "needs the wire" up --lan bridge --wire loss=1%
}

can_have_a_bridge() {
    [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ] && ip netns add "corvus-$name" 2>/dev/null &&
        ip netns delete "corvus-$name"
}

declare -A starting
# Behind the protocol in an address.
scheme_end=:/
wrong_arguments
begin_up ipxe -n 2 --boot ipxe

# A node that finds nothing to boot: the folder no longer knows its card.
forgotten() {
    rm "build/cluster/$name-ipxe/netboot/52-54-00-c0-00-02.ipxe"
    of ipxe kill 2
    ! of ipxe start 2 && says "node 2 did not come up: it could not boot from the LAN"
}

# Nobody on the LAN answered for the dead, say the boot server with a TCP reset.
missed() {
    of ipxe log 1 && says "node 2 is dead to us: nothing was heard of it" && ! says "broke the connection off"
}

check "iPXE by TFTP" came_up ipxe
check "node 1 has a shell" answers ipxe 1
check "node 2, too" answers ipxe 2
check "by TFTP it was" told ipxe 2 "tftp$scheme_end/10.66.0.2/corvus.elf "
check "they reach each other by the same card" of ipxe exec 1 -- ping -c 1 -W 10 node2
check "status names the boot server" of ipxe status
check "so" says "boot server  running"
check "the key is nobody else's" test "$(stat -c %a "build/cluster/$name-ipxe")" = 700
check "a node whose card is not known" forgotten
check "node 1 misses it by its silence" within 20 missed
of ipxe down
begin_up http --boot ipxe-http
begin_up uefi --boot pxe-uefi
check "iPXE by HTTP" came_up http
check "has a shell" answers http 1
check "by HTTP it was" told http 1 "http$scheme_end/10.66.0.1/corvus.elf "
check "UEFI by PXE" came_up uefi
check "has a shell, too" answers uefi 1
check "by GRUB it was" told uefi 1 ""
check "under UEFI" grep -a -q 'Start PXE over IPv4' "build/cluster/$name-uefi/node1.log"
of http down
of uefi down
if can_have_a_bridge; then
    clusters+=(bridge bridge-uefi)
    begin_up bridge -n 2 --boot ipxe-http --lan bridge
    begin_up bridge-uefi --boot pxe-uefi --lan bridge
    check "on a bridge, iPXE by HTTP" came_up bridge
    check "its node 2 has a shell" answers bridge 2
    check "dnsmasq gave it an address" grep -q 'DHCPACK(lan).*52:54:00:c0:00:02' \
        "build/cluster/$name-bridge/boot.log"
    check "and node 1 is on the same bridge" of bridge exec 2 -- ping -c 1 -W 10 node1
    check "there is no wire to cut" test "$(of bridge cut 1 || echo "$output")" = \
        "$name-bridge: the LAN of this cluster is a bridge, not the wire"
    check "on a bridge, UEFI by PXE" came_up bridge-uefi
    check "has a shell by dnsmasq's TFTP" answers bridge-uefi 1
else
    number=$((number + 1))
    echo "ok $number - on a bridge # SKIP needs root, network namespaces and /dev/net/tun"
fi

# What a cluster leaves: its logs.
left() {
    output=$(find "build/cluster/$name-$1" -mindepth 1 -type s -o -name '*.pid' -o -name 'netboot*' -o -name settings
        pgrep -a -f "build/cluster/$name-$1[/ ]"
        ip netns list | grep -x "corvus-$name-$1\( (.*\)\?")
    [ -n "$output" ]
}

for each in "${clusters[@]}"; do
    of "$each" down
    check "down of $each leaves nothing" eval "! left $each"
done
finish
