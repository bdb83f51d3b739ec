#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: tests/cluster/network-load.sh with a million messages over the bad wire, some nine hundred thousand
# rights among them, by five programs a node: with one the wire would mostly be waited for.
set -eu
CORVUS_LOAD_MESSAGES=1667 CORVUS_LOAD_PROGRAMS=5 CORVUS_LOAD_ROUNDS=20 CORVUS_LOAD_SECONDS=1200 \
    CORVUS_LOAD_BIT_ERRORS=1e-8 CORVUS_LOAD_PATIENCE=20 \
    exec "$(dirname "$0")/../network-load.sh"
