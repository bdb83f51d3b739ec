#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/migrate/death.sh: the target's shepherd killed at each step of a move.
set -eu
exec "$(dirname "$0")/../migrate/death.sh" '*:shepherd'
