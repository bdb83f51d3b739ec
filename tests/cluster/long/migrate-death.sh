#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/migrate-death.sh, at each step of the commit protocol and after it: source killed, target
# killed, link cut; from home, back and onward; and the target's shepherd killed. With patterns: of those 116
# cases the ones that match any, as 'on:*' or '*:commit:cut'; the three moves can be tested beside each other so.
#
#   tests/cluster/long/migrate-death.sh [PATTERN…]
set -eu

all=(
    out:{check,freeze,frozen,build,built,ready,committed,commit,running,settle,serving,settled}:{cut,target,source}
    {back,on}:{check,freeze,frozen,build,built,ready,committed,commit,running,settle}:{cut,target,source}
    {out,on}:{check,freeze,frozen,build,built,ready,committed,commit,running,settle}:shepherd
)
[ $# -ne 0 ] || set -- '*'
cases=()
for each in "${all[@]}"; do
    for pattern in "$@"; do
        # shellcheck disable=SC2053 # it is a pattern
        [[ $each != $pattern ]] || { cases+=("$each") && break; }
    done
done
if [ ${#cases[@]} -eq 0 ]; then
    echo "usage: $0 [PATTERN…], and no case matches" >&2
    exit 2
fi
exec "$(dirname "$0")/../migrate-death.sh" "${cases[@]}"
