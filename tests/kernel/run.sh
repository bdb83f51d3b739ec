#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs a test image (a module list made by tests/build.mk) in QEMU by direct boot and prints the TAP
# of its suites as it comes, as that of one test. Fails when a test fails, a plan is not complete,
# the kernel panics, a server is started again, or the machine does not end itself in time. The whole
# serial line is kept beside the module list.
#
# Comments in the image's configuration, tests/kernel/NAME.conf, say what else is to be known:
#   # suites: SERVER…      whose TAP counts (default: kernel-NAME)
#   # restarts: SERVER…    who is started again on purpose
#   # qemu: OPTION…        more of QEMU's, for devices; $build is where make built
#   # boot: OPTION…        more of deploy/boot.sh's
#   # log: REGEX           some line of the log begins so
#   # never: REGEX         none does
set -eu
export LC_ALL=C

usage() {
    cat <<'END'
usage: tests/kernel/run.sh [option…]
  --build DIR          where make built (default: $CORVUS_BUILD, or build)
  --image NAME         tests, init, fuzz … (default: tests)
  --append TEXT        more of the kernel command line
  --timeout SECONDS    (default: 600)
END
}

wrong_arguments() {
    printf 'run: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# Prints the values of a comment of the configuration.
said_by_config() {
    if [ -e "tests/kernel/$image.conf" ]; then
        sed -n "s/^# $1: *//p" "tests/kernel/$image.conf"
    fi
}

is_among() {
    local word=$1 other
    shift
    for other in "$@"; do
        if [ "$word" = "$other" ]; then
            return 0
        fi
    done
    return 1
}

# From the serial line to TAP: a suite's lines come behind its name, put there by the console. Tests
# are numbered anew; the plan comes when all suites have printed theirs.
tap_lines() {
    local line number=0 planned=0 plans=0
    while IFS= read -r line; do
        [[ ${line%$'\r'} =~ ^\[([^]]*)\]\ (.*)$ ]] || continue
        line=${BASH_REMATCH[2]}
        is_among "${BASH_REMATCH[1]}" "${suites[@]}" || continue
        if [[ $line =~ ^(ok|not\ ok)\ [0-9]+(.*)$ ]]; then
            number=$((number + 1))
            echo "${BASH_REMATCH[1]} $number${BASH_REMATCH[2]}"
        elif [[ $line =~ ^1\.\.([0-9]+)$ ]]; then
            planned=$((planned + BASH_REMATCH[1]))
            plans=$((plans + 1))
        elif [[ $line == '# '* || $line == 'Bail out!'* ]]; then
            echo "$line"
        fi
    done
    if [ "$plans" -eq ${#suites[@]} ]; then
        echo "1..$planned"
    fi
}

problem() {
    printf '# %s\n' "$1"
    problems=$((problems + 1))
}

check_restarts() {
    local server allowed
    read -r -a allowed <<<"$(said_by_config restarts)"
    while IFS= read -r server; do
        is_among "$server" '' ${allowed[@]+"${allowed[@]}"} || problem "$server was started again"
    done <<<"$(sed -n 's/^init: \([^ ]*\) ended (.*), restarting in .*/\1/p' "$log" | sort -u)"
}

check_log() {
    local pattern
    while IFS= read -r pattern; do
        [ -z "$pattern" ] || grep -a -q -E "^$pattern" "$log" || problem "not in the log: $pattern"
    done <<<"$(said_by_config log)"
    while IFS= read -r pattern; do
        [ -z "$pattern" ] || ! grep -a -q -E "^$pattern" "$log" || problem "in the log: $pattern"
    done <<<"$(said_by_config never)"
}

# Looks at what the whole run left, $1 being the status of boot.sh.
judge() {
    local planned ran failed
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | tail -n 1)
    ran=$(grep -c -E '^(not )?ok ' "$tap") || true
    failed=$(grep -E '^not ok ' "$tap" | grep -c -v -E '# (TODO|SKIP)') || true

    case $1 in
    "$status_passed") ;;
    "$status_failed") problem "the suite that ends the node failed, or could not start" ;;
    124) problem "the machine did not end itself within $timeout seconds" ;;
    *) problem "QEMU ended with status $1" ;;
    esac
    ! grep -a -q -E 'PANIC|cannot boot:' "$log" || problem "the kernel stopped"
    check_restarts
    check_log
    [ -n "$planned" ] || problem "not all of these printed a plan: ${suites[*]}"
    [ "${planned:-$ran}" -eq "$ran" ] || problem "$ran of $planned planned tests ran"
    [ "$failed" -eq 0 ] || problem "$failed tests failed"
    if [ "$problems" -gt 0 ]; then
        echo "# the end of $log:"
        tail -n 25 "$log" | tr -d '\r' | sed 's/^/#   /'
    fi
}

# What init tells the debug exit device at a suite's end, as QEMU's status.
status_passed=3
status_failed=7

build=${CORVUS_BUILD:-build}
image=tests
append=
timeout=600
while [ $# -gt 0 ]; do
    case $1 in
    --build | --image | --append | --timeout)
        [ $# -ge 2 ] || wrong_arguments "$1 needs a value"
        printf -v "${1#--}" %s "$2"
        shift 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_arguments "unknown argument '$1'" ;;
    esac
done

cd "$(dirname "$0")/../.."
log=$build/tests/kernel/$image.log
tap=$build/tests/kernel/$image.tap
problems=0
read -r -a suites <<<"$(said_by_config suites)"
[ ${#suites[@]} -gt 0 ] || suites=("kernel-$image")
read -r -a boot_options <<<"$(said_by_config boot | tr "\n" " ")"
read -r -a qemu_options <<<"$(said_by_config qemu | tr "\n" " ")"
# shellcheck disable=SC2016 # so it stands in the configuration
qemu_options=("${qemu_options[@]//'$build'/$build}")

status=0
mkdir -p "$(dirname "$log")"
set +e
deploy/boot.sh --kernel "$build/kernel/corvus.elf" --modules "$build/tests/kernel/$image.modules" \
    --append "panic=exit $append" --serial stdio --timeout "$timeout" \
    ${boot_options[@]+"${boot_options[@]}"} -- ${qemu_options[@]+"${qemu_options[@]}"} </dev/null |
    tee "$log" | tap_lines | tee "$tap"
status=${PIPESTATUS[0]}
set -e

judge "$status"
[ "$problems" -eq 0 ]
