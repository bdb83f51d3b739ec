# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh for a LAN that is a bridge of the host's kernel, with a tap device for each
# node (`up --lan bridge`): the kind that real machines and other hosts can be joined to. It lies in a
# network namespace of its own, `corvus-NAME`, so that it meets nothing of the host; root is needed. When
# nodes boot from the LAN, dnsmasq is their server there.

bridge_address=10.66.0.1

bridge_namespace() {
    echo "corvus-$cluster"
}

# Refuses what a bridge cannot do, before anything is started.
check_bridge() {
    local file
    [ "$wire_spec" = none ] || wrong_arguments "up: --wire needs the wire, not --lan bridge"
    [ "$(id -u)" -eq 0 ] || fail "--lan bridge needs root: use sudo, or leave it out"
    for file in ip dnsmasq; do
        command -v "$file" >/dev/null ||
            fail "$file is not installed; deploy/dependencies.sh machine installs it"
    done
    [ ! -e "/run/netns/$(bridge_namespace)" ] || [ -e "$state/bridge" ] ||
        fail "the network namespace $(bridge_namespace) is somebody else's: take another --name"
    [ -c /dev/net/tun ] || fail "there is no /dev/net/tun, which tap devices need: modprobe tun"
}

in_bridge() {
    ip netns exec "$(bridge_namespace)" "$@"
}

start_bridge() {
    local space node
    space=$(bridge_namespace)
    : >"$state/bridge"
    ip netns add "$space" &&
        ip -n "$space" link set lo up &&
        ip -n "$space" link add lan mtu 9000 type bridge forward_delay 0 mcast_snooping 0 &&
        ip -n "$space" address add "$bridge_address/24" dev lan &&
        ip -n "$space" address add fd66::1/64 dev lan nodad &&
        ip -n "$space" link set lan up || return 1
    for node in $(seq "$nodes"); do
        ip -n "$space" tuntap add dev "node$node" mode tap &&
            ip -n "$space" link set "node$node" mtu 9000 master lan up || return 1
    done
}

# dnsmasq, and for iPXE over HTTP a server of that.
start_bridge_boot_server() {
    local folder=build/cluster/$cluster protocol=()
    if [ "$boot" = ipxe-http ]; then
        protocol=(http)
        boot_server ip netns exec "$(bridge_namespace)" deploy/netboot/web.py "$folder/netboot" \
            "$bridge_address" 80
        echo "$started $(start_time "$started")" >"$state/web.pid"
        boot_server_is_there "$state/web.pid" listens tcp "sport = :80" || return 1
    fi
    "$top/deploy/netboot/dnsmasq.sh" lan "$bridge_address" "$state/netboot" \
        ${protocol[@]+"${protocol[@]}"} >"$state/boot.conf" || return 1
    # As root, who alone may read the folder.
    boot_server ip netns exec "$(bridge_namespace)" dnsmasq --keep-in-foreground --user=root \
        --conf-file="$state/boot.conf" --pid-file= --dhcp-leasefile="$state/boot.leases" \
        --log-facility=- --log-dhcp
    echo "$started $(start_time "$started")" >"$state/boot.pid"
    boot_server_is_there "$state/boot.pid" listens udp "sport = :67"
}

# Whether somebody listens there: `ss` says nothing when nobody does.
listens() {
    [ -n "$(in_bridge ss --no-header --"$1" --listening --numeric "$2")" ]
}

# The devices go with the namespace. One of that name may be of another clone: the file says if it is ours.
end_bridge() {
    local space
    space=$(bridge_namespace)
    [ -e "$state/bridge" ] || return 0
    if [ -e "/run/netns/$space" ] && ! ip netns delete "$space"; then
        say "the network namespace $space stays: end it with down as root" >&2
        return
    fi
    rm -f "$state/bridge"
}
