#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: do ordinary Linux programs run on a node? The test programs, the comparisons of Debian's own
# programs with this machine, a login and a large standard input, on one node that is brought up for it;
# with --native on Debian's kernel in the same machine, which says whether the tests are right; with
# --host the programs on this very machine.
#
#   tests/linux/run.sh [--build FOLDER] [--native|--host] [--only NAME]… [--memory MIB]
#                      [--disk FILE|none] [--keep]
#
# NAME is a test program, `forwarded` (those of that file, as if moved), a comparison (compare/NAME.sh or .py), `login` or `input`. --keep leaves the
# machine up. Environment: CORVUS_TEST_SLOWNESS (4) multiplies time limits; ARCHIVE_MEGABYTES (100) and
# STRESS_SECONDS (2) say how much those comparisons do.
set -u

cd "$(dirname "$0")/../.." || exit 2
build=${CORVUS_BUILD:-build}
place=node
# A thousand processes want that much.
memory=1024
disk=full
keep=no
only=()

fail_usage() {
    sed -n 's/^# \{0,1\}//; 9,10p' "$0" >&2
    printf 'linux: %s\n' "$1" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --native) place=native ;;
    --host) place=host ;;
    --keep) keep=yes ;;
    --build | --only | --memory | --disk)
        [ $# -ge 2 ] || fail_usage "$1 needs a value"
        case $1 in
        --only) only+=("$2") ;;
        *) printf -v "${1#--}" %s "$2" ;;
        esac
        shift
        ;;
    *) fail_usage "unknown argument '$1'" ;;
    esac
    shift
done

programs=$build/linux/tests
tree=$build/linux/tests-tree
results=$build/linux/results/$place
name=linux-$$
export CORVUS_TEST_SLOWNESS=${CORVUS_TEST_SLOWNESS:-4}
case $place in
node) machine=(./qemu-cluster.sh --name "$name") ;;
native) machine=(tests/linux/native/machine.sh --build "$build") ;;
host) export CORVUS_TEST_SLOWNESS=1 ;;
esac

# Where the programs are over there.
there=/var/tmp/linux-tests

# --- TAP ----------------------------------------------------------------------------------------

number=0
failures=0

# Why this test is known to fail on a node, if it is (known-failures: PROGRAM TEST REASON).
known_failure() {
    if [ "$place" = node ]; then
        awk -v program="$1" -v test="$2" \
            '$1 == program && $2 == test { $1 = $2 = ""; print substr($0, 3); exit }' \
            tests/linux/known-failures
    fi
}

# The program that a title is of: "dynamic/NAME", "NAME on ext4".
program_of() {
    local program=${1%% *}
    echo "${program#dynamic/}"
}

# result ok|"not ok" TITLE TEXT. What is known to fail is shown as such, and does not fail the run.
result() {
    local reason
    number=$((number + 1))
    reason=$(known_failure "$(program_of "$2")" "${3%%:*}")
    echo "$1 $number - $2: $3${reason:+ # TODO $reason}"
    if [ "$1" != ok ] && [ -z "$reason" ]; then
        failures=$((failures + 1))
    fi
}

comment() {
    sed 's/^/# /'
}

wanted() {
    local one
    [ ${#only[@]} -gt 0 ] || return 0
    for one in "${only[@]}"; do
        if [ "$one" = "$1" ]; then
            return 0
        fi
    done
    return 1
}

# Whether this test may be skipped here: there is a line for it.
may_be_skipped() {
    local where program test
    while read -r where program test _; do
        case $where in
        "$place" | any) ;;
        emulated) [ "$place" != host ] || continue ;;
        *) continue ;;
        esac
        if [ "$program" = "$1" ] && { [ "$test" = "$2" ] || [ "$test" = '*' ]; }; then
            return 0
        fi
    done <tests/linux/skips
    return 1
}

# --- The machine --------------------------------------------------------------------------------

# in_place [KEY=VALUE…] -- COMMAND…: runs it there. A machine that answers nothing any more must not
# keep us for ever, so there is an end to it (in seconds) beside the command's own time limit. In our
# process group: whoever interrupts us ends it, too.
in_place() {
    local variables=()
    while [ "$1" != -- ]; do
        variables+=(-e "$1")
        shift
    done
    timeout --foreground "${patience:-$((400 * CORVUS_TEST_SLOWNESS))}" \
        "${machine[@]}" exec ${variables[@]+"${variables[@]}"} 1 "$@"
}

start_machine() {
    local options=(-m "$memory")
    if [ "$disk" != none ]; then
        if [ "$place" = native ] && [ "$disk" = full ]; then
            disk=$build/linux/disk-full.img
        fi
        options+=(--disk "$disk")
    else
        there=/tmp/linux-tests
    fi
    "${machine[@]}" up "${options[@]}" >"$results/up" 2>&1 &&
        in_place -- mkdir -p "$there" &&
        "${machine[@]}" cp "$programs.stripped/." "1:$there" >>"$results/up" 2>&1 &&
        in_place -- sh -c 'echo core >/proc/sys/kernel/core_pattern; ulimit -n 30000; ip link set lo up'
}

# What must not be in a node's log. On Debian's kernel some of it is QEMU's doing.
bad_lines='PANIC|Kernel panic|Oops|BUG:|WARNING: |scheduling while atomic|init: linux ended|bad page'

machine_is_well() {
    patience=60 in_place -- true </dev/null >/dev/null 2>&1 &&
        { [ "$place" != node ] || ! "${machine[@]}" log 1 | grep -a -q -E "$bad_lines"; }
}

restarts=0

# After a program that has harmed the machine the next one gets a new one.
look_after_machine() {
    [ "$place" != host ] || return 0
    if machine_is_well; then
        return
    fi
    result "not ok" "$1" "well: the machine is well afterwards"
    "${machine[@]}" log 1 2>/dev/null | tr -d '\r' | tail -n 25 | tee "$results/$1.log" | comment
    restarts=$((restarts + 1))
    "${machine[@]}" down >/dev/null 2>&1
    if [ "$restarts" -gt 5 ] || ! start_machine; then
        echo "Bail out! the machine does not come up again"
        exit 1
    fi
}

finish() {
    if [ "$place" != host ] && [ "$keep" = no ]; then
        "${machine[@]}" down >/dev/null 2>&1
    fi
    rm -f "$results"/input*
    if [ "$place" = node ] && [ "$keep" = no ]; then
        rm -rf "build/cluster/$name"
    fi
}

# --- The programs -------------------------------------------------------------------------------

# Reads TAP of one program and judges each line: skips that are not allowed are failures.
judge_program() {
    local title=$1 program line text planned=0 seen=0
    program=$(program_of "$title")
    while IFS= read -r line; do
        text=${line#*- }
        case $line in
        1..*) planned=${line#1..} ;;
        'ok '*'# SKIP'*)
            seen=$((seen + 1))
            if may_be_skipped "$program" "${text%%:*}"; then
                result ok "$title" "$text"
            else
                result "not ok" "$title" "${text/\# SKIP/(skipped, which is not allowed here:)}"
            fi
            ;;
        'ok '*' - '* | 'not ok '*' - '*)
            seen=$((seen + 1))
            result "${line%% [0-9]*}" "$title" "$text"
            ;;
        *) printf '# %s\n' "${line#\# }" ;;
        esac
    done
    if [ "$planned" -eq 0 ] || [ "$planned" -ne "$seen" ]; then
        result "not ok" "$title" "plan: $seen of $planned tests ran"
    fi
}

# The tests of a program's output that fail, but for those known to.
surprises() {
    local test
    sed -n 's/^not ok [0-9]* - \([^:]*\):.*/\1/p' | while read -r test; do
        if [ -z "$(known_failure "$(program_of "$1")" "$test")" ]; then
            echo "$test"
        fi
    done
}

# output_of PATH [KEY=VALUE…]: runs the program where it is to be run.
output_of() {
    local path=$1 limit=$((200 * CORVUS_TEST_SLOWNESS))
    shift
    if [ "$place" = host ]; then
        env CORVUS_TEST_PLACE=host "$@" timeout "$limit" "$programs/$path" </dev/null 2>&1
    else
        in_place CORVUS_TEST_PLACE="$place" CORVUS_TEST_SLOWNESS="$CORVUS_TEST_SLOWNESS" "$@" \
            -- timeout "$limit" "$there/$path" </dev/null 2>&1
    fi
}

# run_program TITLE PATH [KEY=VALUE…]. An emulator on a busy machine stops for moments that tests of time
# cannot foresee: there what fails gets one more chance, and that is said.
run_program() {
    local title=$1 path=$2 output failed
    shift 2
    output=$results/${title//[\/ ]/-}.tap
    output_of "$path" "$@" >"$output"
    failed=$(surprises "$title" <"$output" | tr '\n' ' ')
    if [ -n "$failed" ] && [ "$place" != host ]; then
        echo "# $title: once more, because of $failed"
        grep '^#' "$output"
        mv "$output" "$output.first"
        output_of "$path" "$@" >"$output"
    fi
    judge_program "$title" <"$output"
    look_after_machine "$title"
}

run_programs() {
    local source program
    for source in tests/linux/programs/*.c; do
        program=$(basename "$source" .c)
        case $program in harness*) continue ;; esac
        wanted "$program" || continue
        run_program "$program" "$program"
        if [ -e "$programs/dynamic/$program" ]; then
            run_program "dynamic/$program" "dynamic/$program"
        fi
        case $program in
        file | mmap_file | pipe | lock)
            # On the disk's ext4, too: /tmp is a tmpfs.
            if [ "$place" != host ] && [ "$disk" != none ]; then
                run_program "$program on ext4" "$program" CORVUS_TEST_FOLDER=/var/tmp
            fi
            ;;
        esac
    done
}

# Some of them once more, as processes that have moved: the file `forwarded`. Minutes, so only when asked for.
run_forwarded() {
    local program without
    [ "$place" = node ] && [ ${#only[@]} -gt 0 ] && wanted forwarded || return 0
    while read -r program without _; do
        run_program "$program forwarded" "$program" CORVUS_TEST_FORWARDED="$without"
    done < <(grep -v '^#' tests/linux/forwarded)
}

# --- The comparisons ----------------------------------------------------------------------------

parameters=(ARCHIVE_MEGABYTES="${ARCHIVE_MEGABYTES:-100}" STRESS_SECONDS="${STRESS_SECONDS:-2}")

# What the script prints here, made again when the script or the tree is newer.
expected_output() {
    local script=$1 output=$2
    if [ ! -e "$output" ] || [ "$script" -nt "$output" ] || [ "$tree.made" -nt "$output" ] ||
        [ "$(cat "$output.parameters")" != "${parameters[*]}" ]; then
        tests/linux/compare/reference.sh "$tree" "$script" "${parameters[@]}" >"$output.new" 2>"$output.messages" &&
            mv "$output.new" "$output"
        echo "${parameters[*]}" >"$output.parameters"
    fi
    [ -s "$output" ]
}

# compares SCRIPT TITLE: its output there, and is it the one from here? Leaves the difference beside it.
compares() {
    local script=$1 output=$results/$2.out
    in_place -- sh -c 'rm -rf /var/tmp/compare; mkdir /var/tmp/compare'
    in_place -- sh -c 'cat >/var/tmp/script; chmod 755 /var/tmp/script' <"$script"
    in_place -- timeout "$((150 * CORVUS_TEST_SLOWNESS))" /usr/bin/env -i \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "${parameters[@]}" \
        sh -c 'cd /var/tmp/compare && exec /var/tmp/script' </dev/null >"$output" 2>"$output.messages"
    diff -u --label here --label there "$build/linux/expected/$2" "$output" >"$output.diff"
}

# What was different, for people.
show_difference() {
    head -n 30 "$results/$1.out.diff" | comment
    tail -n 5 "$results/$1.out.messages" | comment
}

# Several of them have time limits of their own: as with the programs, one more chance, and that is said.
run_comparison() {
    local script=$1 title=$2 expected=$build/linux/expected/$2
    if ! expected_output "$script" "$expected"; then
        tail -n 5 "$expected.messages" | comment
        result "not ok" compare "$title: it runs on this machine"
        return
    fi
    if compares "$script" "$title" || {
        echo "# compare: $title once more, because of"
        show_difference "$title"
        compares "$script" "$title"
    }; then
        result ok compare "$title: the same output as on this machine"
    else
        show_difference "$title"
        result "not ok" compare "$title: the same output as on this machine"
    fi
    look_after_machine "$title"
}

run_comparisons() {
    local script title
    [ "$place" != host ] || return 0
    mkdir -p "$build/linux/expected"
    for script in tests/linux/compare/*.sh tests/linux/compare/*.py; do
        title=$(basename "${script%.*}")
        if [ "$title" = reference ] || ! wanted "$title"; then
            continue
        fi
        if [ "$disk" = none ]; then
            result "not ok" compare "$title: needs a disk"
            continue
        fi
        run_comparison "$script" "$title"
    done
}

# --- A login ------------------------------------------------------------------------------------

run_login() {
    if [ "$place" = host ] || [ "$disk" = none ] || ! wanted login; then
        return
    fi
    in_place -- bash -c "$(cat tests/linux/login.sh)" </dev/null >"$results/login.tap" 2>&1
    judge_program login <"$results/login.tap"
    look_after_machine login
}

# --- A large standard input ---------------------------------------------------------------------

verdict() {
    if [ "$1" = "$2" ]; then
        result ok input "$3"
    else
        printf '# %s is not %s\n' "$1" "$2"
        result "not ok" input "$3"
    fi
}

run_input() {
    local size=$((50 * 1024 * 1024)) here sums=() i
    if [ "$place" = host ] || ! wanted input; then
        return
    fi
    head -c "$size" /dev/urandom >"$results/input"
    here=$(sha256sum <"$results/input")
    verdict "$(in_place -- sha256sum <"$results/input")" "$here" \
        "sum: sha256sum of 50 MB of random bytes through exec"
    verdict "$(in_place -- cat <"$results/input" | sha256sum)" "$here" "cat: 50 MB there and back"
    for i in 1 2 3 4; do
        head -c $((size / 10)) "$results/input" | in_place -- sha256sum >"$results/input.$i" &
        sums+=($!)
    done
    for i in "${sums[@]}"; do
        wait "$i"
    done
    here=$(head -c $((size / 10)) "$results/input" | sha256sum)
    verdict "$(cat "$results"/input.? | sort -u)" "$here" "four: four at once"
    rm -f "$results"/input.?
}

# --- All of it ----------------------------------------------------------------------------------

rm -rf "$results"
mkdir -p "$results"
if [ ! -e "$programs.stripped" ]; then
    echo "Bail out! $programs.stripped is not there: make linux-tests"
    exit 1
fi
trap finish EXIT
trap 'exit 130' INT TERM HUP
if [ "$place" != host ] && ! start_machine; then
    tail -n 20 "$results/up" | comment
    echo "Bail out! the machine does not come up"
    exit 1
fi
run_programs
run_forwarded
run_comparisons
run_login
run_input
if [ "$place" = node ]; then
    "${machine[@]}" log 1 >"$results/log"
    if grep -a -E "$bad_lines" "$results/log" | head -n 10 | comment | grep .; then
        result "not ok" node "log: nothing bad in it"
    else
        result ok node "log: nothing bad in it"
    fi
fi
echo "1..$number"
[ "$failures" -eq 0 ]
