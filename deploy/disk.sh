#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Makes a disk image with an ext4 file system for the Linux of a node, which takes it as its root with
# root=/dev/vda on its command line. Needs no root; the same packages and files give the same bytes.
#
#   deploy/disk.sh VARIANT OUTPUT [PROGRAM…]     VARIANT: small or full
set -eu

usage="usage: deploy/disk.sh small|full OUTPUT [PROGRAM…]"
# Room to work in, too; what is empty takes none on the host.
size=1536M
# Any fixed one will do; nothing is found by it.
identity=c0720000-0000-4000-8000-000000000001
# 1 January 2024, as in cpio.py.
date=1704067200

# The date at which an inode changed cannot be set on the host, so it is set in the image.
fix_dates() {
    local inode last
    last=$(find "$work/tree" | wc -l)
    # Numbers 1 to 11 are the file system's own, and given in order from there; hard links use fewer.
    for ((inode = 12; inode < 12 + last; inode++)); do
        echo "set_inode_field <$inode> ctime @$date"
        echo "set_inode_field <$inode> ctime_extra 0"
    done >"$work/commands"
    E2FSPROGS_FAKE_TIME=$date debugfs -w -f "$work/commands" "$work/image" >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        return 1
    }
}

# Every file belongs to root and has one date. Whoever is not root acts as if.
make_image() {
    find "$work/tree" -exec chown -h 0:0 {} + -exec touch -h -d "@$date" {} +
    : >"$work/image"
    E2FSPROGS_FAKE_TIME=$date mke2fs -q -t ext4 -m 0 -L corvus -U "$identity" \
        -E "hash_seed=$identity,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard" \
        -d "$work/tree" "$work/image" "$size"
}

case ${1:-} in
small | full) ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
if [ $# -lt 2 ] || [ -z "$2" ]; then
    echo "$usage" >&2
    exit 2
fi
variant=$1
output=$2
shift 2
PATH=$PATH:/usr/sbin:/sbin

folder=$(dirname "$0")
mkdir -p "$(dirname "$output")"
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$folder/node-files.sh" "$variant" "$work/tree" "$@"
if [ "$(id -u)" -eq 0 ]; then
    make_image
else
    export work date identity size
    # By its text: fakeroot is a script of a shell that drops exported functions.
    fakeroot bash -eu -c "$(declare -f make_image); make_image"
fi
fix_dates
mv "$work/image" "$output"
