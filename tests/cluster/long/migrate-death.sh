#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/migrate-death.sh, at each step of the commit protocol and after it: source killed, target
# killed, link cut; from home, back and onward.
set -eu
exec "$(dirname "$0")/../migrate-death.sh" \
    out:{check,freeze,frozen,build,built,ready,committed,commit,running,settle,serving,settled}:{cut,target,source} \
    {back,on}:{check,freeze,frozen,build,built,ready,committed,commit,running,settle}:{cut,target,source}
