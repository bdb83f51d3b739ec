#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: two machines joined by a wire, on both of which a task carries bytes by the network server's
# lower half (netipc/). Node 1 judges; when it says so, node 2 is killed.
#
#   tests/kernel/net.sh [--icount] [--mtu N] [--card OPTIONS]
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
folder=$build/tests/kernel/net.run
seconds=240
boot_options=()
card=
mtu=1500

while [ $# -gt 0 ]; do
    case $1 in
    --icount)
        boot_options+=(--icount)
        shift
        ;;
    --mtu | --card)
        [ $# -ge 2 ] || {
            echo "net: $1 needs a value" >&2
            exit 2
        }
        printf -v "${1#--}" %s "$2"
        shift 2
        ;;
    *)
        echo "usage: tests/kernel/net.sh [--icount] [--mtu N] [--card OPTIONS]" >&2
        exit 2
        ;;
    esac
done

rm -rf "$folder"
mkdir -p "$folder"

# Becomes the machine of a node. Sockets' paths have 107 bytes at most, so they are relative.
start_node() {
    local node=$1 other=$((3 - $1))
    exec deploy/boot.sh --kernel "$build/kernel/corvus.elf" \
        --modules "$build/tests/kernel/net.modules" --append "panic=exit node=$node" --memory 192 \
        --serial "$folder/node$node.log" --timeout "$seconds" "${boot_options[@]}" -- \
        -netdev "dgram,id=wire,local.type=unix,local.path=$folder/wire$node,remote.type=unix,remote.path=$folder/wire$other" \
        -device "virtio-net-pci,netdev=wire,romfile=,host_mtu=$mtu,mac=52:54:00:c0:00:0$node${card:+,$card}" \
        </dev/null >/dev/null
}

start_node 2 &
second=$!
disown "$second" # that it is killed need not be said
start_node 1 &
first=$!
# shellcheck disable=SC2317 # called by the trap
end_nodes() {
    kill "$first" "$second" 2>/dev/null || true
    wait 2>/dev/null || true
}
trap end_nodes EXIT

(
    while ! grep -a -q '# node 2 can be killed' "$folder/node1.log" 2>/dev/null; do
        sleep 0.2
    done
    # $second is its time limit, which ends with it.
    kill -KILL "$(pgrep -P "$second")"
) &
killer=$!

status=0
wait "$first" || status=$?
kill "$killer" 2>/dev/null || true
tr -d '\r' <"$folder/node1.log" | sed -n 's/^\[kernel-net\] \(\(not \)\{0,1\}ok .*\|1\.\..*\|#.*\)$/\1/p'
if [ "$status" -ne 3 ] || grep -a -q -E 'PANIC|page fault|restarting' "$folder"/node?.log; then
    echo "# node 1 ended with status $status"
    for log in "$folder"/node?.log; do
        echo "# the end of $log:"
        tail -n 15 "$log" | tr -d '\r' | sed 's/^/#   /'
    done
    exit 1
fi
