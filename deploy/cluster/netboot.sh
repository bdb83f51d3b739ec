# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh for nodes that boot from the LAN: what there is to load, in the folder
# `netboot`, and the boot server that hands it out (deploy/netboot). The server lives as long as the
# cluster, for nodes that are started again. On the wire it has the port behind the last node's.

boots_from_lan() {
    [[ $boot =~ ^(ipxe|ipxe-http|pxe-uefi)$ ]]
}

node_mac() {
    printf '52:54:00:c0:00:%02x' "$1"
}

# What deploy/boot.sh calls the way of booting: whence iPXE loads is the server's business.
machine_boot() {
    echo "${boot%-http}"
}

boot_server_process() {
    process_of "$state/boot.pid"
}

make_netboot_folder() {
    local node
    (
        umask 077
        for node in $(seq "$nodes"); do
            echo "$(node_mac "$node") $(command_line_of "$node")"
        done >"$state/netboot.nodes"
    )
    (cd "$top" && deploy/netboot/directory.sh "build/cluster/$cluster/netboot" \
        build/kernel/corvus.elf "$modules" "build/cluster/$cluster/netboot.nodes")
}

# boot_server COMMAND…: becomes its process; in the background, from the top folder.
boot_server() {
    (
        cd "$top" || exit
        exec setsid "$@"
    ) </dev/null >>"$state/boot.log" 2>&1 9>&- &
    started=$!
}

start_wire_boot_server() {
    local folder=build/cluster/$cluster port=$((nodes + 1)) file=boot.ipxe
    case $boot in
    ipxe-http) file=http/boot.ipxe ;;
    pxe-uefi) file=grub.efi ;;
    esac
    boot_server deploy/netboot/wire-server.sh "$folder/netboot" "$file" "$folder/node$port.nic" \
        "$folder/wire$port"
    echo "$started $(start_time "$started")" >"$state/boot.pid"
    boot_server_is_there "$state/boot.pid" test -S "$state/node$port.nic"
}

# True once a server works as the command tells; false when it has ended or takes too long.
boot_server_is_there() {
    local file=$1 tries=200
    shift
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! process_of "$file" >/dev/null; then
            cat "$state/boot.log" >&2
            return 1
        fi
        sleep 0.05
    done
}

start_boot_server() {
    make_netboot_folder || return 1
    : >"$state/boot.log"
    if [ "$lan" = bridge ]; then
        start_bridge_boot_server
    else
        start_wire_boot_server
    fi
}

end_boot_server() {
    local kind
    for kind in boot web; do
        end_process "$state/$kind.pid"
    done
    # A folder of another name was being made when its maker was interrupted.
    rm -rf "$state/netboot" "$state"/netboot.* "$state"/boot.{conf,leases}
}
