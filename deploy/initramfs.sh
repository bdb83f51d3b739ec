#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Makes the initramfs that the Linux of a node starts from. Needs no root; the same packages and
# files give the same bytes.
#
#   deploy/initramfs.sh VARIANT OUTPUT [PROGRAM…]     VARIANT: small or full
#
# It is not compressed; make does that for nodes, where init keeps it in memory.
set -eu

usage="usage: deploy/initramfs.sh small|full OUTPUT [PROGRAM…]"
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

folder=$(dirname "$0")
mkdir -p "$(dirname "$output")"
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$folder/node-files.sh" "$variant" "$work/tree" "$@"
"$folder/cpio.py" "$work/tree" "$work/image"
mv "$work/image" "$output"
