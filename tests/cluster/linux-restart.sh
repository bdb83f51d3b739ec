#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: Linux panics on a running node. It is reported, init starts it again, and the node can be
# reached as before, with nothing of the old Linux left.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=restart-$$
# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

# A node whose Linux starts anew answers within seconds.
answers() {
    local tries=60
    while ! timeout 20 ./qemu-cluster.sh --name "$name" exec 1 -- "$@" 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 1
    done
}

panics() {
    timeout 100 ./qemu-cluster.sh --name "$name" exec 1 -- \
        sh -c 'touch /tmp/old; echo 2 >/proc/sys/vm/panic_on_oom; exec tail /dev/zero' 2>/dev/null
    [ $? -eq 125 ]
}

check "a node comes up" cluster up -n 1
check "a command in a Linux that panics ends with the status of a lost agent" panics
check "the panic is reported" log_says 'Kernel panic - not syncing: Out of memory'
check "init says that Linux ended, and restarts it" log_says 'init: linux ended \(status 134\), restarting'
check "the new Linux answers" answers true
check "it is a new one" answers test ! -e /tmp/old
# shellcheck disable=SC2016 # for the shell in the node
check "it has its memory" answers sh -c '[ $(sed -n "s/MemAvailable: *\([0-9]*\) .*/\1/p" /proc/meminfo) -gt 190000 ]'
check "a second panic is survived, too" panics
check "and the third Linux answers" answers true
finish
