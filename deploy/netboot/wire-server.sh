#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Becomes a boot server on the virtual LAN of deploy/wire, without privileges: a QEMU without a machine,
# whose user-mode network (DHCP, TFTP, IPv6 router) is joined to the wire. It reaches neither the host
# nor what the host reaches (restrict=on), and opens no port of the host.
#
#   deploy/netboot/wire-server.sh FOLDER BOOT-FILE SOCKET WIRE
#
# FOLDER is directory.sh's; BOOT-FILE what machines are told to load: a file of it, by TFTP, or by HTTP
# as http/FILE. SOCKET and WIRE are its end of the wire and the wire's.
set -eu

network=10.66.0
fail() {
    printf 'boot server: %s\n' "$*" >&2
    exit 1
}

if [ $# -ne 4 ]; then
    echo "usage: deploy/netboot/wire-server.sh FOLDER BOOT-FILE SOCKET WIRE" >&2
    exit 2
fi
for value in "$@"; do
    case $value in
    *,*) fail "'$value': QEMU allows no comma in it" ;;
    esac
done
cd "$(dirname "$0")/../.."
folder=$1
boot_file=$2
[ -r "$folder/boot.ipxe" ] || fail "$folder is no netboot folder"
lan=user,id=lan,net=$network.0/24,host=$network.2,restrict=on,tftp=$folder
case $boot_file in
http/*)
    lan+=,guestfwd=tcp:$network.1:80-cmd:"deploy/netboot/web.py $folder"
    boot_file=http:"//$network.1/${boot_file#http/}"
    ;;
esac
exec qemu-system-x86_64 -machine none -nodefaults -display none \
    -netdev "$lan,bootfile=$boot_file" \
    -netdev "dgram,id=wire,local.type=unix,local.path=$3,remote.type=unix,remote.path=$4" \
    -netdev hubport,id=left,hubid=0,netdev=lan -netdev hubport,id=right,hubid=0,netdev=wire
