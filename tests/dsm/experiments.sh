#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the experiments on this machine's own shared memory, 1 to 4 processes: that they are right, that
# each notices a spoiled result, and what they say to wrong arguments.
set -u

cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/dsm/list.sh
. tests/dsm/list.sh
programs=${CORVUS_BUILD:-build}/tests/dsm/experiments
# shellcheck source=tests/tap.sh
. tests/tap.sh

# ends STATUS WORDS…: an experiment that does; its output is kept.
ends() {
    local status=0
    output=$(timeout 100 "$programs/${*:2:1}" "${@:3}" 2>&1) || status=$?
    output="$output (status $status)"
    [ "$status" -eq "$1" ]
}

is_right() {
    ends 0 "${@:2}" && [[ $output == *" processes=$1 "*" result=right"* ]]
}

is_wrong() {
    ends 1 "$@" && [[ $output == *" result=WRONG"* ]]
}

# A line that says what is wrong, then the usage.
refuses() {
    ends 2 "${@:2}" && [[ $output == "$2: $1"$'\n'usage:* ]]
}

for experiment in "${experiments[@]}"; do
    read -r -a words <<<"${experiment%%|*}"
    for processes in 1 2 3 4; do
        check "${words[*]}, $processes processes" is_right "$processes" "${words[@]}" -p "$processes"
    done
    check "${words[0]} notices a spoiled byte" is_wrong "${words[@]}" -p 2 -x "${experiment##*|}"
done
for seed in 2 3 4 5; do
    check "tsp of other cities ($seed)" is_right 3 tsp -n 10 -s "$seed" -p 3
    check "blackboard of other numbers ($seed)" is_right 3 blackboard -s "$seed" -p 3
done
check "an unknown option" refuses "an unknown argument" matmul -z
check "an argument that is none" refuses "an unknown argument" matmul 5
check "a size that is none" refuses "-n is out of range" sor -n x
check "one too large" refuses "-n is out of range" tsp -n 21
check "no processes" refuses "-p is out of range" lu -p 0
export CORVUS_RANK=1 CORVUS_NODES=2 CORVUS_RUN=$$
check "a rank whose others are not there" ends 3 radix -t 1
check "which it says" grep -q "the first rank makes no memory" <<<"$output"
check "-p under corvus run" refuses "-p is not for a program under \`corvus run\`" radix -p 2
export CORVUS_RANK=2
check "a rank beyond the count" refuses "CORVUS_RANK is wrong" radix
export CORVUS_RANK=0
check "a first rank whose others do not come" ends 3 radix -t 1 -w
check "which says so" grep -q "somebody does not come to the barrier" <<<"$output"
check "libdsm without a DSM server" ends 3 radix -t 1
check "which says so" grep -q "there is no DSM server" <<<"$output"
finish
