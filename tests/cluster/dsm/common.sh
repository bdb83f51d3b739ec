# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the tests of shared memory on a cluster have in common. Behind network/common.sh.

# dsm N WORDS…: asks the DSM server of node N.
dsm() {
    node "$1" /tmp/dsm "${@:2}"
}

# answers N TEXT WORDS…
answers() {
    dsm "$1" "${@:3}"
    says "$2"
}

# agreed NODE…: they are in the majority, and know the same members and coordinator.
agreed() {
    local which first=
    for which in "$@"; do
        dsm "$which" state || return 1
        says "majority 1" || return 1
        says "coordinator 0" && return 1
        [ "${first:=${output#* members }}" = "${output#* members }" ] || return 1
    done
}

# give_dsm NODE…: the program that asks.
give_dsm() {
    local which
    for which in "$@"; do
        cluster cp "${CORVUS_BUILD:-build}/tests/cluster/dsm" "$which:/tmp" || return 1
    done
}

# MiB of node N's page cache.
cached() {
    node "$1" grep '^Cached:' /proc/meminfo
    output=$((${output//[^0-9]/} / 1024))
}

more_cached() {
    cached "$1" && [ "$output" -ge "$2" ]
}

less_cached() {
    cached "$1" && [ "$output" -lt "$2" ]
}
