#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/dsm-limits.sh with a segment that is larger than the memory of a node.
set -eu
exec "$(dirname "$0")/../dsm-limits.sh" 148 144 72
