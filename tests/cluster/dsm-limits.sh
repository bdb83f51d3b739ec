#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: shared memory at its limits, on three small nodes that lend a part of their memory: 64 segments
# at once; wrong names, sizes, offsets and messages. With MIB (thorough/dsm-large.sh) a segment of that size,
# larger than the memory of a node, in nodes of MEMORY (144) MiB that lend LEND (72).
#
#   tests/cluster/dsm-limits.sh [MIB MEMORY LEND]
set -u

cd "$(dirname "$0")/../.." || exit 1
name=dsm-limits-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck source=tests/cluster/dsm/common.sh
. tests/cluster/dsm/common.sh
build=${CORVUS_BUILD:-build}
mib=${1:-148}
memory=${2:-144}
lend=${3:-72}
cluster_seconds=1500

give_programs() {
    give_dsm 1 2 3 && cluster cp "$build/tests/dsm/experiments/large" 1:/tmp
}

# total COUNTER: of the nodes' DSM servers, in `value`.
total() {
    node 1 corvus dsm stat -a || return 1
    value=$(awk -v name="$1" '$1 == name { print $2 }' <<<"$output")
    echo "# $1 $value"
}

# total_is TEST NUMBER COUNTER
total_is() {
    total "$3" && test "$value" "$1" "$2"
}

many_segments() {
    check "64 segments at once, mapped on three nodes" node 1 corvus run --local --on 1,2,3 -- /tmp/dsm many 64
    check "are as all wrote them" test "$(grep -c 'all as written' <<<"$output")" = 3
    check "and none is left" test "$(node 1 ls /dsm && echo "$output")" = ""
}

# refused_with TEXT SCRIPT: a script on node 2 fails, saying so.
refused_with() {
    ! node 2 sh -c "$2" && says "$1"
}

hostile_files() {
    local long
    long=$(printf 'x%.0s' {1..256})
    check "a file of the directory" node 2 sh -c 'printf 0123456789 >/dsm/plain'
    check "a name of 256 bytes" refused_with "name too long" "exec 2>&1; : >/dsm/$long"
    check "a name of 255" node 2 sh -c ": >/dsm/${long:1} && rm /dsm/${long:1}"
    check "a name in a folder that there is not" refused_with "nonexistent directory" 'exec 2>&1; : >/dsm/a/b'
    check "a folder" refused_with "not permitted" 'mkdir /dsm/folder 2>&1'
    check "a name with a line's end" node 2 sh -c ': >"/dsm/a
b" && corvus dsm ls | grep -q "a?b" && rm "/dsm/a
b"'
    check "a size of a terabyte" node 2 sh -c 'truncate -s 1099511627776 /dsm/plain && [ $(stat -c %s /dsm/plain) = 1099511627776 ]'
    check "one byte more" refused_with "large" 'truncate -s 1099511627777 /dsm/plain 2>&1'
    check "the largest that there is" refused_with "" 'truncate -s 9223372036854775807 /dsm/plain 2>&1'
    check "its last page is zero" node 2 sh -c '[ "$(dd if=/dsm/plain bs=4096 skip=268435455 count=1 2>/dev/null | tr -d "\\0" | wc -c)" = 0 ]'
    check "nothing is behind it" node 2 sh -c '[ "$(dd if=/dsm/plain bs=4096 skip=268435456 count=1 2>/dev/null | wc -c)" = 0 ]'
    check "nor written there" refused_with "" 'echo x | dd of=/dsm/plain bs=4096 seek=268435456 conv=notrunc 2>&1'
    check "the beginning is there" node 2 sh -c 'truncate -s 10 /dsm/plain && [ "$(cat /dsm/plain)" = 0123456789 ] && rm /dsm/plain'
}

# complains WORDS…: `corvus dsm WORDS…` on node 3 fails with one line, or usage behind it.
complains() {
    local status=0
    node 3 corvus dsm "$@" || status=$?
    [ "$status" -ne 0 ] && [ "$(wc -l <<<"$output")" -le 2 ] && grep -q -E '^corvus( dsm)?: ' <<<"$output"
}

hostile_commands() {
    check "corvus dsm stat of nothing" complains stat ""
    check "of a name of 10,000 bytes" complains stat "$(printf 'y%.0s' {1..10000})"
    check "of a name with a slash" complains stat ../../etc/passwd
    check "of a node that there is not" complains stat -n 77
    check "of a node that cannot be" complains trace -n 99999999999999999999
}

hostile_messages() {
    local segment
    check "a segment" answers 1 "segment " create victim 0600
    segment=${output##* }
    check "of 16 pages" answers 1 resized resize "$segment" 65536
    check "written on node 1" node 1 sh -c 'printf treasure | dd of=/dsm/victim bs=4096 seek=3 conv=notrunc 2>/dev/null'
    check "nonsense is said to node 2's server" node 2 timeout 200 /tmp/dsm hostile "$segment" 7 2000
    echo "# $output"
    check "and to node 1's" node 1 timeout 200 /tmp/dsm hostile "$segment" 11 2000
    check "they agree as before" agreed 1 2 3
    check "what was written is there" node 3 sh -c '[ "$(dd if=/dsm/victim bs=4096 skip=3 count=1 2>/dev/null | tr -d "\\0")" = treasure ]'
    check "it can be written" node 3 sh -c 'printf another | dd of=/dsm/victim bs=4096 seek=5 conv=notrunc 2>/dev/null'
    check "and read on node 1" node 1 sh -c '[ "$(dd if=/dsm/victim bs=4096 skip=5 count=1 2>/dev/null | tr -d "\\0")" = another ]'
    check "wrong messages were counted" total_is -gt 100 manager_malformed
    check "it goes" node 1 rm /dsm/victim
}

large_segment() {
    check "$mib MiB, in nodes of $memory MiB, are written by one and read by another" \
        node 1 corvus run --on 1,2,3 -- /tmp/large -v 1 -n "$mib" -t 1400
    echo "# $output"
    check "each page as it was written" says "pages=$((mib * 256)) wrong=0 result=right"
    check "others took pages over" total_is -gt $(((mib - memory) * 256)) taken_over
    check "none was lost" total_is -eq 0 lost
    check "no request failed" total_is -le "$failed" failed
    check "then there is room again" node 1 corvus run --on 1,2,3 -- /tmp/large -n 4 -t 300
}

value=
must "up" succeeds "node 3 is ready" up -n 3 -m "$memory" --lend "$lend"
must "programs are copied" give_programs
must "the servers agree" within 60 agreed 1 2 3
many_segments
hostile_files
hostile_commands
hostile_messages
if [ $# -gt 0 ]; then
    total failed
    failed=$value
    large_segment
fi
check "nobody complained" healthy
finish
