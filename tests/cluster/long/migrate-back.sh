#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/migrate-back.sh with 1,000 moves.
CORVUS_MOVES=500 exec "$(dirname "$0")/../migrate-back.sh"
