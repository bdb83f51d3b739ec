#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Runs suites of tests, all of which print TAP, through prove, and ends with its result. `make test`
# and its relations build first and then call this.
#
#   tests/run.sh BUILD-FOLDER SUITE…       suites: unit dsm sim agent wire bench kernel exchange fuzz clang boot cluster thorough linux lint long
set -eu

# Prints the tests of one suite, one a line. A test is an executable that prints TAP.
tests_of() {
    case $1 in
    unit) compgen -G "$build/tests/unit/test_*" || true ;;
    sim) echo tests/sim/short.sh tests/netipc/cost.sh tests/dsm/{short,model}.sh tests/migration/model.sh ;;
    dsm) echo tests/dsm/{experiments.sh,picture.py} ;;
    agent) echo tests/agent/{sessions,faults,copies,corvus,images}.py ;;
    wire) echo tests/wire/{hub,qemu}.py ;;
    bench) echo tests/linux/bench/check.sh tests/bench/net/check.sh tests/bench/migrate/check.py ;;
    kernel) echo tests/kernel/{first,run,errors,latency,init,console,virtio,secure,net,pagers}.sh ;;
    exchange) echo tests/kernel/exchange.sh ;;
    fuzz) echo tests/kernel/seeds.sh ;;
    clang) echo tests/kernel/clang.sh ;;
    boot) echo tests/boot/{paths,folder,netboot}.sh ;;
    cluster) find tests/cluster -maxdepth 1 -name '*.sh' -executable | sort ;;
    thorough) find tests/cluster/thorough -name '*.sh' | sort ;;
    linux) echo tests/linux/{run,ethernet,network,message,memobj,reference}.sh ;;
    lint) echo tests/lint.sh ;;
    long) echo tests/cluster/long/network-load.sh tests/{sim,dsm}/long.sh tests/kernel/seeds-long.sh tests/linux/forwarded.sh ;;
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

# A make that is called in a test is not part of the one that called this; its variables hold on.
MAKEFLAGS=$(sed 's/ *--jobserver-[a-z]*=[^ ]*//g; s/ *-j[0-9]*//g' <<<"${MAKEFLAGS-}")
export MAKEFLAGS

# Asked once and kept, so that no test's output has it.
deploy/accelerator.sh >/dev/null

# Three at once, where there are two processors: two tests of clusters, which mostly wait, and one of the
# others, which mostly compute. Of each kind one after the other, because several have time limits; clusters
# are two kinds, so that these take about the same time.
# tests/start.sh starts each. Colours are prove's own doing: only on a terminal.
run() {
    prove -e tests/start.sh --timer --failures --comments --statefile "$state" "$@"
}

mkdir -p "$build"
state=$build/tests-state
rm -f "$state"
if run --state save --jobs "$(($(nproc) > 1 ? 3 : 1))" \
    --rules 'seq=tests/cluster/{*,thorough/{dsm-death,migrate-back}.sh}' \
    --rules 'seq=tests/cluster/thorough/*' --rules 'seq=**' "${tests[@]}"; then
    exit 0
fi

# Nodes wait for each other by the clock, which an emulator on a busy machine cannot keep. So a few tests
# that failed beside others are run once more by themselves, and that is said; a fault that is there fails again.
mapfile -t failed < <(prove --dry --statefile "$state" --state failed)
if [ ${#failed[@]} -eq 0 ] || [ ${#failed[@]} -gt 3 ] || [ ${#failed[@]} -eq ${#tests[@]} ]; then
    exit 1
fi
echo "run: failed, and once more with nothing beside: ${failed[*]}"
run "${failed[@]}"
