#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the simulator for an hour: other seeds each day, with 10^6 messages and more in a run.
set -eu

cd "$(dirname "$0")/../.."
. tests/sim/common.sh

# The day, so that a failure can be had again: it names its seed.
seed=$(date +%Y%m%d)000

simulate "seeds under sanitizers" netipc --seed "$seed" --runs 100000 --seconds 1800
simulate "a million messages in one run" netipc-fast --seed "$seed" --runs 1 --messages 1000000
simulate "1,000 nodes" netipc-fast --seed "$seed" --runs 2 --nodes 1000 --actions 1000000
finish
