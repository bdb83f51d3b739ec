#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs suites of tests, all of which print TAP, through prove, and ends with its result. `make test`
# and its relations build first and then call this.
#
#   tests/run.sh BUILD-FOLDER SUITE…       suites: unit agent bench kernel fuzz clang boot cluster linux lint long
set -eu

# Prints the tests of one suite, one a line. A test is an executable that prints TAP.
tests_of() {
    case $1 in
    unit) compgen -G "$build/tests/unit/test_*" || true ;;
    agent) echo tests/agent/{sessions,faults,copies,corvus,images}.py ;;
    bench) echo tests/linux/bench/check.sh ;;
    kernel) echo tests/kernel/{first,run,errors,latency,init,console,virtio}.sh ;;
    fuzz) echo tests/kernel/seeds.sh ;;
    clang) echo tests/kernel/clang.sh ;;
    boot) echo tests/boot/paths.sh ;;
    cluster) compgen -G "tests/cluster/*.sh" ;;
    linux) echo tests/linux/node.sh ;;
    lint) echo tests/lint.sh ;;
    long) echo tests/kernel/seeds-long.sh ;;
    *)
        echo "run: no suite '$1'" >&2
        exit 2
        ;;
    esac
}

if [ $# -lt 2 ]; then
    echo "usage: tests/run.sh BUILD-FOLDER SUITE…" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
build=$1
shift
export CORVUS_BUILD=$build

tests=()
for suite in "$@"; do
    list=$(tests_of "$suite")
    for test in $list; do
        # Sources that are gone may have left their programs.
        if [ "$suite" != unit ] || [ -e "tests/unit/$(basename "$test").c" ]; then
            tests+=("$test")
        fi
    done
done

# Asked once and kept, so that no test's output has it.
deploy/accelerator.sh >/dev/null

# -e '': tests are programs, run as they are. One after the other, because several have time limits.
# Colours are prove's own doing: only on a terminal.
exec prove -e '' --timer --failures --comments "${tests[@]}"
