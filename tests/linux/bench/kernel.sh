#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetches Debian's own kernel for the machine that nodes are compared with; installs nothing.
#
#   tests/linux/bench/kernel.sh TREE [PATTERN…]   TREE/boot/vmlinuz-VERSION appears, and these files
#
# linux-image-amd64 only names the package that has the kernel, and that name has a version in it:
# what the machine's package lists say, else the newest that was fetched before.
set -eu

cd "$(dirname "$0")/../../.."
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/corvus/packages

from_lists() {
    apt-cache depends --important linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9][a-z0-9.+-]*\)$/\1/p' | head -n 1
}

from_cache() {
    local file
    for file in "$cache"/linux-image-[0-9]*-amd64_*.deb; do
        if [ -e "$file" ]; then
            file=${file##*/}
            echo "${file%%_*}"
        fi
    done | sort -V | tail -n 1
}

if [ $# -lt 1 ] || [ -z "$1" ]; then
    echo "usage: tests/linux/bench/kernel.sh TREE [PATTERN…]" >&2
    exit 2
fi
tree=$1
shift
package=$(from_lists)
package=${package:-$(from_cache)}
if [ -z "$package" ]; then
    echo "kernel: the package lists do not know linux-image-amd64; apt-get update may help" >&2
    exit 1
fi
mkdir -p "$(dirname "$tree")"
printf '%s /boot/vmlinuz-* %s\n' "$package" "$*" >"$tree.packages"
deploy/packages.sh "$tree.packages" "$tree"
