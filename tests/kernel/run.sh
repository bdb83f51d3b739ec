#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs a test image (a module list made by tests/build.mk) in QEMU by direct boot and prints the TAP
# of its test task as it comes. Fails when a test fails, the plan is not complete, the kernel panics,
# a server is started again, or the machine does not end itself in time. The whole serial line is
# kept beside the module list.
set -eu

usage() {
    cat <<'END'
usage: tests/kernel/run.sh [option…]
  --build DIR          where make built (default: $CORVUS_BUILD, or build)
  --image NAME         tests, fuzz … (default: tests)
  --task NAME          the task whose TAP counts (default: kernel-NAME of the image)
  --append TEXT        more of the kernel command line
  --timeout SECONDS    (default: 240)
END
}

wrong_arguments() {
    printf 'run: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# From the serial line to TAP: the task's lines come behind its name, put there by the console.
tap_lines() {
    sed -nu -e 's/\r$//' -e "s/^\[$task\] //" \
        -e '/^ok /p; /^not ok /p; /^1\.\.[0-9]/p; /^# /p; /^Bail out!/p'
}

problem() {
    printf '# %s\n' "$1"
    problems=$((problems + 1))
}

# Looks at what the whole run left, $1 being the status of boot.sh.
judge() {
    local planned ran failed
    planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$tap" | tail -n 1)
    ran=$(grep -c -E '^(not )?ok ' "$tap") || true
    failed=$(grep -E '^not ok ' "$tap" | grep -c -v -E '# (TODO|SKIP)') || true

    [ "$1" -ne 124 ] || problem "the machine did not end itself within $timeout seconds"
    [ $(($1 % 2)) -eq 1 ] || [ "$1" -eq 124 ] || problem "QEMU ended with status $1"
    ! grep -a -q -E 'PANIC|cannot boot:' "$log" || problem "the kernel stopped"
    ! grep -a -q -E '^(\[init\]|init:).* restart' "$log" || problem "a server was started again"
    [ -n "$planned" ] || problem "no plan was printed"
    [ "${planned:-$ran}" -eq "$ran" ] || problem "$ran of $planned planned tests ran"
    [ "$failed" -eq 0 ] || problem "$failed tests failed"
    if [ "$problems" -gt 0 ]; then
        echo "# the end of $log:"
        tail -n 25 "$log" | tr -d '\r' | sed 's/^/#   /'
    fi
}

build=${CORVUS_BUILD:-build}
image=tests
task=
append=
timeout=240
while [ $# -gt 0 ]; do
    case $1 in
    --build | --image | --task | --append | --timeout)
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
task=${task:-kernel-$image}

cd "$(dirname "$0")/../.."
log=$build/tests/kernel/$image.log
tap=$build/tests/kernel/$image.tap
problems=0

status=0
mkdir -p "$(dirname "$log")"
set +e
deploy/boot.sh --kernel "$build/kernel/corvus.elf" --modules "$build/tests/kernel/$image.modules" \
    --append "panic=exit $append" --serial stdio --timeout "$timeout" </dev/null |
    tee "$log" | tap_lines | tee "$tap"
status=${PIPESTATUS[0]}
set -e

judge "$status"
[ "$problems" -eq 0 ]
