#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: an RPC takes the same instructions in the protocol core with 10 and with 100,000 exported ports, and
# with 1 and 999 peers.
set -eu

cd "$(dirname "$0")/../.."
exec "${CORVUS_BUILD:-build}/tests/netipc/core_bench" --check
