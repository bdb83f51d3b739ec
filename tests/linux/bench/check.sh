#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the benchmark itself, on the host and with few rounds: every row can be measured, what cannot
# is told, and the table and the profile say what is in their input. No machine is started.
set -eu

cd "$(dirname "$0")/../../.."
build=${CORVUS_BUILD:-build}/tests/linux/bench
source=tests/linux/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# check NAME COMMAND…: one test. What the command prints is shown when it fails.
check() {
    local name=$1 result=ok
    shift
    number=$((number + 1))
    "$@" >"$work/output" 2>&1 || result="not ok"
    echo "$result $number - $name"
    if [ "$result" != ok ]; then
        sed 's/^/# /' "$work/output"
        failed=$((failed + 1))
    fi
}

# check functions run in a condition, where set -e does not hold: each ends with && or return.

bench() {
    "$build/bench" --divide 100 --folder "$work" --compiler "$build/tools/usr/bin/tcc" \
        --source "$build/program.c" "$@"
}

# A difference of two measurements may come out as nothing on a busy machine.
all_rows_have_numbers() {
    bench >"$work/rows" || return 1
    cat "$work/rows"
    diff <(bench --list) <(cut -d ' ' -f 1 "$work/rows") &&
        ! awk 'NF == 5 && $2 >= $3 && ($3 > 0 || $1 ~ /^context_switch/) && $5 > 0 { next }
               { print "wrong: " $0 }' "$work/rows" | grep .
}

wrong_arguments_are_refused() {
    local status=0
    bench --row nonsense >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ "$status" -eq 2 ] && grep -q "^bench: no row 'nonsense'$" "$work/said" || return 1
    status=0
    bench --divide 0 >"$work/said" 2>&1 || status=$?
    [ "$status" -eq 2 ]
}

one_failed_row_stops_no_other() {
    local status=0
    bench --compiler "$work/absent" --row compile --row unix_latency --prefix 'x: ' \
        >"$work/said" 2>&1 || status=$?
    cat "$work/said"
    [ "$status" -eq 1 ] && grep -q '^x: compile failed: .*No such file or directory$' "$work/said" &&
        grep -q '^x: unix_latency [0-9]* [0-9]* instructions [0-9]*$' "$work/said"
}

source_is_the_same_each_time() {
    "$source/generate.py" 1 >"$work/one.c" && "$source/generate.py" 1 >"$work/again.c" &&
        "$source/generate.py" 2 >"$work/two.c" && cmp "$work/one.c" "$work/again.c" &&
        ! cmp -s "$work/one.c" "$work/two.c" && [ "$(wc -l <"$work/one.c")" -eq 5000 ] &&
        gcc -fsyntax-only -Werror "$work/one.c"
}

rows_of_a_machine() {
    printf '%s\n' '# a fact' "calibration 1001 1001 instructions 9" "getpid $1 1 instructions 9" \
        "stat $2 1 instructions 9"
}

table_has_ratios_and_verdicts() {
    rows_of_a_machine 100 1000 >"$work/native"
    rows_of_a_machine 200 2600 >"$work/node"
    "$source/table.py" --csv "$work/table.csv" "$work/native" "$work/node" &&
        grep -q '^getpid,100,200,2.000,<=1.5,short of the aim,' "$work/table.csv" &&
        grep -q '^stat,1000,2600,2.600,<=2,ABOVE THE LIMIT,' "$work/table.csv" &&
        grep -q '^geometric_mean,,,2.280,<=1.25,ABOVE THE LIMIT,' "$work/table.csv"
}

table_refuses_half_a_measurement() {
    rows_of_a_machine 100 1000 >"$work/native"
    rows_of_a_machine 100 1000 | grep -v stat >"$work/less"
    rows_of_a_machine 100 1000 | sed s/1001/1200/ >"$work/wrong"
    ! "$source/table.py" "$work/native" "$work/less" &&
        ! "$source/table.py" "$work/native" "$work/wrong" &&
        "$source/table.py" "$work/native" "$work/native"
}

profile_knows_functions() {
    local address
    address=$(nm "$build/bench" | sed -n 's/ t known_loop$//p')
    echo 'bench: calibration 7 7 instructions 10' >"$work/log"
    printf '%s\n' "$address 30" 'fff 20' >"$work/count.0"
    "$source/profile/profile.py" "$work/log" "$work/count" --elf "bench=$build/bench" \
        >"$work/profile" || return 1
    cat "$work/profile"
    grep -q '^calibration: 5.0 instructions, 10 operations$' "$work/profile" &&
        grep -q '^ *3.0  bench  *known_loop$' "$work/profile" &&
        grep -q '^ *2.0  *40.0 %  other programs$' "$work/profile"
}

# The plugin sees marks only when the compiler left these bytes in the program.
marks_are_in_the_programs() {
    local program
    for program in bench mark; do
        objdump -d "$build/$program" >"$work/code" || return 1
        grep -q 'nopl  *0x436f7232(%rax)' "$work/code" || return 1
    done
}

echo 1..8
check "every row can be measured" all_rows_have_numbers
check "wrong arguments are refused" wrong_arguments_are_refused
check "a row that cannot be measured says why and stops no other" one_failed_row_stops_no_other
check "the program to compile depends on the seed only" source_is_the_same_each_time
check "the table has ratios, means and verdicts" table_has_ratios_and_verdicts
check "the table refuses missing rows and wrong counters" table_refuses_half_a_measurement
check "the profile knows components and functions" profile_knows_functions
check "the profiler's marks are in the programs" marks_are_in_the_programs
[ "$failed" -eq 0 ]
