#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Pages that travel between four nodes in the experiments of which the literature has figures, at the
# same sizes (4 nodes, pages of 4 KiB, sequential consistency, by simulation): the table prints both.
# Ours read ahead, so what was wanted and what came along unasked are told apart.
#
#   tests/bench/dsm/transfers.sh BUILD-FOLDER [EXPERIMENT|FIGURE…]
set -eu

cd "$(dirname "$0")/../../.."
build=${1:?build folder}
shift
[ $# -ne 0 ] || set -- "fft -n 16|5100" "lu -n 512|1700" "lu -n 512 -v 1|215000" "radix -n 1048576|637000"
name=bench-transfers-$$
trap './qemu-cluster.sh --name "$name" down >/dev/null 2>&1; rm -rf "build/cluster/$name"' EXIT
trap 'exit 1' INT TERM HUP

cluster() {
    ./qemu-cluster.sh --name "$name" "$@" </dev/null
}

# Pages with data that came, and those of them that nobody had asked for, of all nodes.
counters() {
    cluster exec 1 -- corvus dsm stat -a | awk '
        $1 == "data_received" { all = $2 }
        $1 == "prefetched" { ahead = $2 }
        $1 == "prefetch_used" { used = $2 }
        END { print all, ahead, used }'
}

cluster up -n 4 >/dev/null
printf '%-24s %10s %10s %10s %12s\n' "on 4 nodes" transfers ahead "ahead, used" literature
for experiment in "$@"; do
    read -r -a words <<<"${experiment%%|*}"
    cluster cp "$build/tests/dsm/experiments/${words[0]}" 1:/tmp >/dev/null
    read -r all ahead used < <(counters)
    line=$(cluster exec 1 -- corvus run --on 1,2,3,4 -- "/tmp/${words[0]}" "${words[@]:1}" -t 2000)
    [[ $line == *" result=right"* ]] || { echo "transfers: $line" >&2; exit 1; }
    read -r all_after ahead_after used_after < <(counters)
    printf '%-24s %10d %10d %10d %12s\n' "${experiment%%|*}" $((all_after - all)) $((ahead_after - ahead)) \
        $((used_after - used)) "${experiment##*|}"
done
