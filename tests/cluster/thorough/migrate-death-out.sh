#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/migrate/death.sh: source killed, target killed, link cut at each step of a move from home, and after it.
set -eu
exec "$(dirname "$0")/../migrate/death.sh" 'out:*:'{cut,target,source}
