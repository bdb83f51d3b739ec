#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: two machines joined by a wire, with an image each of tests/kernel (NAME.conf); what the task
# kernel-NAME of node 1 says is the result.
#
#   tests/kernel/pair.sh NAME [option…]
#     --icount           the clock counts instructions
#     --append TEXT      more of the kernel command line of both
#     --append2 TEXT     of node 2 alone, in front of that: the first of two values counts
#     --kill             node 2 is killed when node 1 says `# node 2 can be killed`
#     --restarts         servers may be started again
#     --timeout SECONDS
set -eu

cd "$(dirname "$0")/../.."
build=${CORVUS_BUILD:-build}
seconds=240
append=
append2=
kill_second=false
forbidden="PANIC|page fault|restarting"
boot_options=()

usage() {
    sed -n 's/^#  \( .*\)/\1/p' tests/kernel/pair.sh >&2
    exit 2
}

[ $# -ge 1 ] || usage
name=$1
shift
while [ $# -gt 0 ]; do
    case $1 in
    --icount) boot_options+=(--icount) ;;
    --kill) kill_second=true ;;
    --restarts) forbidden="PANIC|page fault" ;;
    --append | --append2 | --timeout)
        [ $# -ge 2 ] || usage
        case $1 in
        --append) append=$2 ;;
        --append2) append2=$2 ;;
        *) seconds=$2 ;;
        esac
        shift
        ;;
    *) usage ;;
    esac
    shift
done
[ -r "$build/tests/kernel/$name.modules" ] || {
    echo "pair: there is no image $name" >&2
    exit 2
}
folder=$build/tests/kernel/$name.run
rm -rf "$folder"
mkdir -p "$folder"

# Becomes the machine of a node. Sockets' paths have 107 bytes at most, so they are relative.
start_node() {
    local node=$1 other=$((3 - $1)) words=$append
    [ "$node" = 1 ] || words="$append2 $append"
    exec deploy/boot.sh --kernel "$build/kernel/corvus.elf" \
        --modules "$build/tests/kernel/$name.modules" \
        --append "panic=exit node=$node nodes=2 $words" --memory 192 \
        --serial "$folder/node$node.log" --timeout "$seconds" "${boot_options[@]}" -- \
        -netdev "dgram,id=wire,local.type=unix,local.path=$folder/wire$node,remote.type=unix,remote.path=$folder/wire$other" \
        -device "virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:c0:00:0$node" \
        </dev/null >/dev/null
}

start_node 2 &
second=$!
if $kill_second; then
    disown "$second" # that it is killed need not be said
fi
start_node 1 &
first=$!
# shellcheck disable=SC2317 # called by the trap
end_nodes() {
    kill "$first" "$second" 2>/dev/null || true
    wait 2>/dev/null || true
}
trap end_nodes EXIT

killer=
if $kill_second; then
    (
        while ! grep -a -q '# node 2 can be killed' "$folder/node1.log" 2>/dev/null; do
            sleep 0.1
        done
        # $second is its time limit, which ends with it.
        kill -KILL "$(pgrep -P "$second")"
    ) &
    killer=$!
fi

status=0
wait "$first" || status=$?
[ -z "$killer" ] || kill "$killer" 2>/dev/null || true
tr -d '\r' <"$folder/node1.log" |
    sed -n "s/^\[kernel-$name\] \(\(not \)\{0,1\}ok .*\|1\.\..*\|#.*\)\$/\1/p"
if [ "$status" -ne 3 ] || grep -a -q -E "$forbidden" "$folder"/node?.log; then
    echo "# node 1 ended with status $status"
    for log in "$folder"/node?.log; do
        echo "# the end of $log:"
        tail -n 15 "$log" | tr -d '\r' | sed 's/^/#   /'
    done
    exit 1
fi
