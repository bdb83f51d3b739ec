#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds a bootable image with GRUB, for BIOS and UEFI, on a disc or a USB stick: the kernel by
# Multiboot 2 and the modules of a module list (see deploy/boot.sh) with their arguments.
#
#   deploy/iso.sh OUTPUT KERNEL MODULE-LIST [KERNEL-COMMAND-LINE]
set -eu

fail() {
    printf 'iso: %s\n' "$*" >&2
    exit 1
}

# Copies the modules into the image folder and prints GRUB's lines. Files are numbered, since two
# modules of different folders may share a name; a node knows them by name= only.
place_modules() {
    local path arguments number=0
    while read -r path arguments; do
        [ -n "$path" ] || continue
        cp "$path" "$tree/boot/module$number" || return 1
        echo "    module2 /boot/module$number $arguments"
        number=$((number + 1))
    done <"$1"
}

if [ $# -lt 3 ] || [ $# -gt 4 ]; then
    echo "usage: deploy/iso.sh OUTPUT KERNEL MODULE-LIST [KERNEL-COMMAND-LINE]" >&2
    exit 2
fi
output=$1
kernel=$2
list=$3
command_line=${4:-}

for file in "$kernel" "$list"; do
    [ -r "$file" ] || fail "$file cannot be read"
done
grub-file --is-x86-multiboot2 "$kernel" || fail "$kernel has no Multiboot 2 header"

mkdir -p "$(dirname "$output")"
tree=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$tree" "$output.partial"' EXIT
mkdir -p "$tree/boot/grub"
# Without sections that no firmware has a use for: GRUB would read the debugger's, too, slowly.
objcopy -S "$kernel" "$tree/boot/corvus.elf" || fail "$kernel could not be stripped"
{
    echo "    multiboot2 /boot/corvus.elf $command_line"
    place_modules "$list" || fail "a module of $list could not be copied"
} >"$tree/lines"
sed -e "/@NODE@/{r $tree/lines" -e 'd;}' "$(dirname "$0")/grub.cfg" >"$tree/boot/grub/grub.cfg"
rm "$tree/lines"

# Only what grub.cfg uses: UEFI firmware reads slowly. For each of the two firmwares grub-mkrescue
# takes the modules of one name, so all of them exist in both.
grub-mkrescue --output="$output.partial" --locales= --fonts= --themes= \
    --install-modules="normal multiboot2 serial terminal boot iso9660 part_gpt part_msdos" \
    "$tree" >"$output.log" 2>&1 || {
    cat "$output.log" >&2
    fail "grub-mkrescue failed"
}
rm -f "$output.log"
mv "$output.partial" "$output"
