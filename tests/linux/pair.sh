# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the tests share that start two nodes and run one of tests/linux/subjects on both: TAP, and the
# nodes. A test sets `name` first.

build=${CORVUS_BUILD:-build}
scratch=$build/tests/${name:?the name of the cluster}
mkdir -p "$scratch"
# shellcheck source=tests/tap.sh
. tests/tap.sh
kept=$scratch/output

clean_up() {
    ./qemu-cluster.sh --name "$name" down >/dev/null 2>&1
    rm -rf "$scratch" "build/cluster/$name"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# node NODE SCRIPT
node() {
    timeout 300 ./qemu-cluster.sh --name "$name" exec "$1" -- sh -c "$2"
}

# up PROGRAM: two nodes, each with the program in /tmp.
up() {
    local each
    ./qemu-cluster.sh --name "$name" up -n 2 -m 256 || return 1
    for each in 1 2; do
        ./qemu-cluster.sh --name "$name" cp "$build/linux/tests.stripped/$1" "$each:/tmp" || return 1
    done
}
