# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the tests of tests/cluster share: TAP, and a cluster of their own. A test sets `name` first, and
# `others` if it makes more clusters. Each command ends after `cluster_seconds`.

# shellcheck source=tests/tap.sh
. tests/tap.sh

state=build/cluster/${name:?the name of the cluster}
work=$(mktemp -d)
[ -v others ] || others=()
mkdir -p build/cluster

# Runs the command on the test's own cluster; keeps what it prints, and its status as its own.
cluster() {
    output=$(timeout "${cluster_seconds:-240}" ./qemu-cluster.sh --name "$name" "$@" 2>&1)
}

clean_up() {
    local each
    for each in "$name" ${others[@]+"${others[@]}"}; do
        ./qemu-cluster.sh --name "$each" down >/dev/null 2>&1
        # What is needed to see why.
        [ "$failures" -ne 0 ] || rm -rf "build/cluster/$each"
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

says() {
    [[ $output == *"$1"* ]]
}

succeeds() {
    local text=$1
    shift
    cluster "$@" && says "$text"
}

# Wrong arguments: status 2, one line that says what, then the usage.
refuses() {
    local text=$1 status=0
    shift
    cluster "$@" || status=$?
    [ "$status" -eq 2 ] && says "$text" && [ "$(grep -n '^usage:' <<<"$output" | cut -d : -f 1)" = 2 ]
}

# Refused for the state the cluster is in: status 1 and one line.
declines() {
    local text=$1 status=0
    shift
    cluster "$@" || status=$?
    [ "$status" -eq 1 ] && says "$text" && [ "$(wc -l <<<"$output")" -eq 1 ]
}

# log_says EXPRESSION [N]: node N did, or node 1.
log_says() {
    output=$(tail -n 5 "$state/node${2:-1}.log")
    grep -a -q -E "$1" "$state/node${2:-1}.log"
}
