#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What memory and locks shared by nodes cost, in null RPCs between them (the same run's), and how that
# compares with the aims. Linux programs do it, with a file of /dsm that they map.
#
#   tests/bench/dsm/bench.sh BUILD-FOLDER
set -eu

cd "$(dirname "$0")/../../.."
build=${1:?build folder}
name=bench-dsm-$$
work=$(mktemp -d)
trap './qemu-cluster.sh --name "$name" down >/dev/null 2>&1; rm -rf "$work" "build/cluster/$name"' EXIT
trap 'exit 1' INT TERM HUP

node() {
    ./qemu-cluster.sh --name "$name" exec "$1" -- "${@:2}" </dev/null
}

# background N FILE WORDS…
background() {
    # shellcheck disable=SC2016 # for the shell in the node
    node "$1" sh -c 'file=$1; shift; "$@" >"$file" 2>&1 </dev/null &' - "$2" /tmp/dsm "${@:3}"
}

# row NAME TEXT AIM: a median in null RPCs.
row() {
    awk -v name="$1" -v text="$2" -v aim="$3" '
        $1 == name { printf "%-44s %8d us %8d us %7.2f  %s\n", text, $2, $3, $2 / $3, aim }' "$work/rows"
}

# messages NAME TEXT
messages() {
    awk -v name="$1" -v text="$2" '$1 == name { printf "%-44s %8d messages\n", text, $2 }' "$work/rows"
}

./qemu-cluster.sh --name "$name" up -n 4 >/dev/null
for one in 1 2 3 4; do
    ./qemu-cluster.sh --name "$name" cp "$build/tests/cluster/dsm" "$one:/tmp" >/dev/null
done
until node 1 /tmp/dsm state | grep -q 'members f majority 1'; do sleep 0.5; done
segment=$(node 1 /tmp/dsm create bench 0600 | sed 's/.* //')
node 1 /tmp/dsm resize "$segment" $((4096 * 4096)) >/dev/null
background 2 /tmp/partner partner bench
until node 2 grep -q ready /tmp/partner; do sleep 0.5; done
node 1 /tmp/dsm bench bench 2 3 4 >"$work/rows" || { cat "$work/rows" >&2; exit 1; }
for one in 2 3 4; do
    background "$one" /tmp/barrier barrier 4 20 1
done
node 1 /tmp/dsm barrier 4 20 2 >>"$work/rows"

printf '%-44s %11s %11s %7s  %s\n' row median 'null RPC' RPCs aim
row read_two_hops "read miss, two hops" "<= 1.5"
row read_three_hops "read miss, three hops" "<= 2.5"
row upgrade "right to write without data" "<= 1.5"
row lock_hand_over "lock handed over" "<= 1.5"
row lock_cached "lock and unlock, cached" ""
row barrier "barrier of 4 nodes" "<= 3"
messages page_hit_messages "256 page hits"
messages lock_cached_messages "201 cached locks"
