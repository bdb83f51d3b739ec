#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/dsm-death.sh, at each step of the protocol: each kind of record that moves pages,
# received and to be sent.
set -eu
exec "$(dirname "$0")/../dsm-death.sh" {8,9,10,11,12,13,14,18,19}:{0,1}
