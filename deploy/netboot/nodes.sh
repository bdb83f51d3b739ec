#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Prints the node list of a cluster (see directory.sh) from the addresses of its cards: a file with one
# a line, perhaps followed by further words for that node's command line. `-` for the file stands for
# eight nodes as qemu-cluster.sh has them. Nodes are numbered in the order of the lines.
#
#   deploy/netboot/nodes.sh ADDRESSES|- CLUSTER KEY-FILE
#
# The key is made when the file is not there, and kept: nodes that boot anew must have the same.
set -eu

nodes_max=254

fail() {
    printf 'netboot: %s\n' "$*" >&2
    exit 1
}

# Lines without comments.
addresses() {
    local number
    if [ "$1" = - ]; then
        for number in 1 2 3 4 5 6 7 8; do
            echo "52:54:00:c0:00:0$number"
        done
    else
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"
    fi
}

key() {
    if [ ! -e "$1" ]; then
        (umask 077 && od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n' >"$1")
    fi
    cat "$1"
}

if [ $# -ne 3 ]; then
    echo "usage: deploy/netboot/nodes.sh ADDRESSES|- CLUSTER KEY-FILE" >&2
    exit 2
fi
[ "$1" = - ] || [ -r "$1" ] || fail "$1 cannot be read; it has a card's address a line"
[[ $2 =~ ^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$ ]] || fail "'$2' is not a name of a cluster"
key=$(key "$3")
[[ $key =~ ^[0-9a-f]{64}$ ]] || fail "$3 is not a key of 64 hexadecimal digits"
mapfile -t lines < <(addresses "$1")
[ ${#lines[@]} -le $nodes_max ] || fail "at most $nodes_max nodes, not ${#lines[@]}"
number=0
for line in "${lines[@]}"; do
    number=$((number + 1))
    read -r mac words <<<"$line"
    # As iPXE and GRUB write it, whoever wrote it down otherwise.
    mac=${mac,,}
    mac=${mac//-/:}
    echo "$mac node=$number nodes=${#lines[@]} cluster=$2 key=$key${words:+ $words}"
done
