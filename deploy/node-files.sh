#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Makes the file tree that the Linux of a node finds: Debian packages, the files of
# linuxserver/initramfs/files, links for busybox's commands, and programs of our own.
#
#   deploy/node-files.sh VARIANT TREE [PROGRAM…]     VARIANT: a list in linuxserver/initramfs/
#
# Programs go to /usr/bin under their own names. initramfs.sh and disk.sh make images of the tree.
set -eu

usage="usage: deploy/node-files.sh VARIANT TREE [PROGRAM…]"
# Folders must not have the modes that the person prefers for their own.
umask 022
cd "$(dirname "$0")/.."
source=linuxserver/initramfs

# Names that on a Debian system are links made when a package is configured: NAME=COMMAND.
debian_names=(awk=mawk cc=gcc c99=c99-gcc pager=less nc=nc.openbsd which=which.debianutils)

link_debian_names() {
    local pair
    for pair in "${debian_names[@]}"; do
        if find_command "${pair#*=}" && ! find_command "${pair%%=*}"; then
            ln -s "${pair#*=}" "$tree/usr/bin/${pair%%=*}"
        fi
    done
}

# Commands that a package brought are better than busybox's and stay.
link_busybox() {
    local path
    "$tree/bin/busybox" --list-full | while read -r path; do
        if ! find_command "$(basename "$path")"; then
            ln -s /bin/busybox "$tree/$path"
        fi
    done
}

find_command() {
    local folder
    for folder in usr/bin usr/sbin; do
        if [ -e "$tree/$folder/$1" ] || [ -L "$tree/$folder/$1" ]; then
            return 0
        fi
    done
    return 1
}

copy_files() {
    local file mode
    (cd "$source/files" && find . -type f -printf '%P\n') | while read -r file; do
        mode=644
        if [ -x "$source/files/$file" ]; then
            mode=755
        fi
        install -D -m "$mode" "$source/files/$file" "$tree/$file"
    done
}

if [ $# -lt 2 ] || [ ! -r "$source/$1.packages" ] || [ -z "$2" ]; then
    echo "$usage" >&2
    exit 2
fi
variant=$1
tree=$2
shift 2

deploy/packages.sh "$source/$variant.packages" "$tree"
mkdir -p "$tree"/{dev,proc,sys,run,mnt,etc,var/{tmp,log,lib}}
install -d -m 1777 "$tree/tmp" "$tree/var/tmp"
install -d -m 700 "$tree/root"
ln -sfn /proc/self/mounts "$tree/etc/mtab"
link_debian_names
link_busybox
copy_files
for program in "$@"; do
    install -D -m 755 "$program" "$tree/usr/bin/$(basename "$program")"
done
