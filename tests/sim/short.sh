#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the simulator, half a minute of it under sanitizers, a cluster of 1,000 nodes, and as
# many messages as can be had in another while.
set -eu

cd "$(dirname "$0")/../.."
. tests/sim/common.sh

simulate "seeds under sanitizers" netipc --seed 1 --runs 1000 --seconds 30
simulate "seeds with many messages" netipc-fast --seed 5000 --runs 1000 --actions 400000 \
    --seconds 30
simulate "1,000 nodes" netipc-fast --seed 1 --runs 1 --nodes 1000 --actions 20000
finish
