# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the tests of tests/cluster share: TAP, and a cluster of their own. A test sets `name` first, and
# `others` if it makes more clusters. Each command ends after `cluster_seconds`.

state=build/cluster/${name:?the name of the cluster}
work=$(mktemp -d)
number=0
failures=0
output=
[ -v others ] || others=()
mkdir -p build/cluster

# Runs the command on the test's own cluster; keeps what it prints, and its status as its own.
cluster() {
    output=$(timeout "${cluster_seconds:-240}" ./qemu-cluster.sh --name "$name" "$@" 2>&1)
}

# check TEXT COMMAND…: one test, passed when the command is true.
check() {
    local text=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number - $text"
    else
        echo "not ok $number - $text"
        printf '%s\n' "$output" | tail -n 15 | sed 's/^/#   /'
        failures=$((failures + 1))
    fi
}

# must TEXT COMMAND…: likewise; without it there is no use in going on.
must() {
    local failed=$failures
    check "$@"
    if [ "$failures" -ne "$failed" ]; then
        echo "Bail out! $1"
        exit 1
    fi
}

finish() {
    echo "1..$number"
    [ "$failures" -eq 0 ]
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
