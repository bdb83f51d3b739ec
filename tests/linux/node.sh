#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the test programs (tests/linux/programs) on a node, one test here for each of theirs. What is
# known not to work yet is in known-failures, a line each: PROGRAM TEST reason; those are run too, and
# shown as TODO.
#
#   tests/linux/node.sh [PROGRAM…]
set -u

cd "$(dirname "$0")/../.." || exit 1
build=${CORVUS_BUILD:-build}
known=tests/linux/known-failures
name=linux-$$
number=0
# Of one program, seconds; they stop their own tests after less.
program_seconds=240

cluster() {
    ./qemu-cluster.sh --name "$name" "$@"
}

finish() {
    cluster down >/dev/null 2>&1
    rm -rf "build/cluster/$name"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

result() {
    local passed=$1 program=$2 text=$3 test reason
    test=${text%%:*}
    number=$((number + 1))
    reason=$(awk -v program="$program" -v test="$test" \
        '$1 == program && $2 == test { $1 = $2 = ""; print substr($0, 3); exit }' "$known")
    echo "$([ "$passed" = yes ] || echo 'not ')ok $number - $program: $text${reason:+ # TODO $reason}"
}

# Takes a program's own TAP apart. A plan that is not kept is a failure of its own.
read_results() {
    local program=$1 planned=-1 seen=0 line
    while IFS= read -r line; do
        case $line in
        "ok "*" - "*)
            seen=$((seen + 1))
            result yes "$program" "${line#* - }"
            ;;
        "not ok "*" - "*)
            seen=$((seen + 1))
            result no "$program" "${line#* - }"
            ;;
        1..*) planned=${line#1..} ;;
        "#"*) echo "$line" ;;
        esac
    done
    if [ "$planned" != "$seen" ]; then
        result no "$program" "plan: $seen of $planned tests came to an end"
    fi
}

# What a program prints on the node.
output_of() {
    timeout "$program_seconds" ./qemu-cluster.sh --name "$name" exec \
        -e CORVUS_TEST_PLACE=node -e CORVUS_TEST_SLOWNESS=4 -C /tests 1 -- "./$1" \
        </dev/null 2>&1 | tr -d '\r'
}

# The tests of a program's output that fail, but for those known to.
surprises() {
    sed -n 's/^not ok [0-9]* - \([^:]*\):.*/\1/p' <<<"$2" | while read -r test; do
        awk -v program="$1" -v test="$test" \
            '$1 == program && $2 == test { found = 1 } END { if (!found) print test }' "$known"
    done
}

# An emulator on a busy machine stops for moments that tests of time cannot foresee: what fails gets
# one more chance, and that is said.
run_program() {
    local program=$1 output failed
    output=$(output_of "$program")
    failed=$(surprises "$program" "$output" | tr '\n' ' ')
    if [ -n "$failed" ]; then
        echo "# $program: once more, because of $failed"
        grep '^#' <<<"$output"
        output=$(output_of "$program")
    fi
    read_results "$program" <<<"$output"
}

programs=("$@")
if [ $# -eq 0 ]; then
    for file in tests/linux/programs/*.c; do
        file=$(basename "$file" .c)
        case $file in
        harness*) ;;
        load) ;; # takes minutes; name it to have it
        *) programs+=("$file") ;;
        esac
    done
fi

if ! cluster up -n 1 -m 1024 >&2; then
    echo "Bail out! the node did not come up"
    exit 1
fi
cluster exec 1 -- mkdir -p /tests/dynamic || exit 1
mapfile -t files < <(find "$build/linux/tests" -maxdepth 1 -type f ! -name '*.o' ! -name '*.d')
cluster cp "${files[@]}" 1:/tests || exit 1
# read_results runs in this shell, so the numbers go on.
for program in "${programs[@]}"; do
    run_program "$program"
done
echo "1..$number"
