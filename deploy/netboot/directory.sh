#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Makes the folder that a boot server hands out by TFTP or HTTP, from which machines boot nodes: the
# kernel and the modules once, and for each machine what it is told, found by the address of its card.
#
#   deploy/netboot/directory.sh OUTPUT KERNEL MODULE-LIST NODE-LIST
#
# The module list is deploy/boot.sh's. The node list has one machine a line: MAC COMMAND-LINE…, with
# the cluster's key in it; so only its owner may read OUTPUT.
set -eu

here=$(dirname "$0")

fail() {
    printf 'netboot: %s\n' "$*" >&2
    exit 1
}

# Copies the modules and keeps their loader lines, without the command, in the file `lines`. Files are
# numbered, since two modules of different folders may share a name; a node knows them by name= only.
place_modules() {
    local path arguments number=0
    while read -r path arguments; do
        [ -n "$path" ] || continue
        cp "$path" "$folder/module$number" || return 1
        echo "module$number $arguments" >>"$folder/lines"
        number=$((number + 1))
    done <"$1"
}

# iPXE: paths are relative to the script's own address, so the same folder serves TFTP and HTTP.
ipxe_script() {
    echo '#!ipxe'
    echo "kernel corvus.elf $1"
    sed 's/^/module /' "$folder/lines"
    echo boot
}

grub_config() {
    echo "multiboot2 /corvus.elf $1"
    sed 's,^,module2 /,' "$folder/lines"
    echo boot
}

# $net_default_mac of GRUB has colons, ${net0/mac:hexhyp} of iPXE hyphens.
place_nodes() {
    local mac command_line count=0
    while read -r mac command_line; do
        [ -n "$mac" ] || continue
        [[ $mac =~ ^([0-9a-f]{2}:){5}[0-9a-f]{2}$ ]] ||
            fail "'$mac' in $1 is not a card's address, like 52:54:00:c0:00:01"
        [ ! -e "$folder/$mac.cfg" ] || fail "$mac is twice in $1"
        ipxe_script "$command_line" >"$folder/${mac//:/-}.ipxe"
        grub_config "$command_line" >"$folder/$mac.cfg"
        count=$((count + 1))
    done <"$1"
    [ "$count" -gt 0 ] || fail "$1 names no machine"
}

# What UEFI firmware loads by itself: GRUB with all it needs, and whom to ask.
place_grub() {
    # The core has no comments.
    sed '/^#/d' "$here/grub.cfg" >"$folder/core"
    grub-mkimage -O x86_64-efi -o "$folder/grub.efi" -c "$folder/core" -p / \
        efinet net tftp multiboot2 configfile echo sleep minicmd || fail "grub-mkimage failed"
    rm "$folder/core"
}

if [ $# -ne 4 ]; then
    echo "usage: deploy/netboot/directory.sh OUTPUT KERNEL MODULE-LIST NODE-LIST" >&2
    exit 2
fi
output=$1
for file in "$2" "$3" "$4"; do
    [ -r "$file" ] || fail "$file cannot be read"
done
for file in /usr/lib/ipxe/undionly.kpxe /usr/lib/grub/x86_64-efi; do
    [ -e "$file" ] || fail "$file is not there; deploy/dependencies.sh boot installs it"
done

umask 077
mkdir -p "$(dirname "$output")"
folder=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cp "$2" "$folder/corvus.elf"
place_modules "$3" || fail "a module of $3 could not be copied"
place_nodes "$4"
rm "$folder/lines"
cp "$here/boot.ipxe" /usr/lib/ipxe/undionly.kpxe "$folder"
place_grub
# The folder keeps others out. Of files that others cannot read dnsmasq hands out none when it is root.
chmod 644 "$folder"/*
# Not changed in place: a machine may be reading.
rm -rf "$output"
mv "$folder" "$output"
