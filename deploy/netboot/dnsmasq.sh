#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Prints the configuration by which dnsmasq boots the nodes of a netboot folder: DHCP and TFTP on one
# interface, for machines whose card has iPXE, or plain PXE under BIOS, or UEFI. docs/netboot.md is the
# guide.
#
#   deploy/netboot/dnsmasq.sh INTERFACE ADDRESS FOLDER [http]
#
# ADDRESS is the interface's own (IPv4, a /24); machines get .100 to .199 of its network. FOLDER is what
# directory.sh made. With `http`, iPXE fetches by HTTP from ADDRESS (deploy/netboot/web.py serves it).
set -eu

wrong_arguments() {
    printf 'dnsmasq: %s\n' "$1" >&2
    echo "usage: deploy/netboot/dnsmasq.sh INTERFACE ADDRESS FOLDER [http]" >&2
    exit 2
}

if [ $# -lt 3 ] || [ $# -gt 4 ]; then
    wrong_arguments "an interface, its address, a folder"
fi
interface=$1
address=$2
folder=$3
script=boot.ipxe
case ${4-} in
'') ;;
http) script=http:"//$address/boot.ipxe" ;;
*) wrong_arguments "'$4' is not http" ;;
esac
[[ $interface =~ ^[A-Za-z0-9._-]{1,15}$ ]] || wrong_arguments "'$interface' is not an interface"
[[ $address =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}$ ]] || wrong_arguments "'$address' is not an IPv4 address"
[ -r "$folder/boot.ipxe" ] || wrong_arguments "$folder is no netboot folder; make netboot makes one"
folder=$(realpath "$folder")
network=${address%.*}

cat <<END
# Corvus: netboot on $interface. Made by deploy/netboot/dnsmasq.sh.
# Only this interface, and no DNS.
interface=$interface
except-interface=lo
bind-interfaces
port=0
dhcp-range=$network.100,$network.199,255.255.255.0,1h
# No router and no name server: a boot LAN leads nowhere.
dhcp-option=option:router
dhcp-option=option:dns-server
# iPXE waits 13 s for a router of IPv6 where nobody says there is none. This says it, once the interface
# has an address like fd66::1/64.
enable-ra
dhcp-range=::,constructor:$interface,ra-only,64,1h
enable-tftp
tftp-root=$folder
# Who asks: iPXE says so by option 175; UEFI by its architecture (7, and 9 from some firmware).
dhcp-match=set:ipxe,175
dhcp-match=set:uefi,option:client-arch,7
dhcp-match=set:uefi,option:client-arch,9
dhcp-boot=tag:uefi,grub.efi
dhcp-boot=tag:!uefi,tag:ipxe,$script
dhcp-boot=tag:!uefi,tag:!ipxe,undionly.kpxe
END
