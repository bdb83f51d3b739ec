#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs one of the comparisons on this machine, within the package tree that a node's disk is made of:
# what it prints is what it is to print on a node.
#
#   tests/linux/compare/reference.sh TREE SCRIPT [KEY=VALUE…]
#
# In namespaces of its own: its mounts, processes and network end with it, and the tree stays as it is.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: tests/linux/compare/reference.sh TREE SCRIPT [KEY=VALUE…]" >&2
    exit 2
fi
options=(--mount --pid --fork --kill-child --net --ipc --uts)
if [ "$(id -u)" -ne 0 ]; then
    options+=(--map-root-user)
fi

# Within, as root of the namespaces.
enter() {
    local tree=$1 script=$2
    shift 2
    mount -t tmpfs -o mode=1777 tmp "$tree/tmp"
    mount -t proc proc "$tree/proc"
    mount --rbind /dev "$tree/dev"
    mount -t tmpfs -o mode=1777 shm "$tree/dev/shm"
    mkdir "$tree/tmp/compare"
    install -m 755 "$script" "$tree/tmp/script"
    exec chroot "$tree" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root "$@" sh -c 'ip link set lo up; cd /tmp/compare && exec /tmp/script' </dev/null
}

export -f enter
exec unshare "${options[@]}" bash -eu -c 'enter "$@"' enter "$@"
