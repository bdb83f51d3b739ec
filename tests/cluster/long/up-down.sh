#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/up-down.sh, twenty times up and down.
set -eu
CORVUS_CYCLES=20 exec "$(dirname "$0")/../up-down.sh"
