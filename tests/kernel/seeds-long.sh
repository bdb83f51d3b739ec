#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: a million random calls with each of several seeds.
set -eu
exec "$(dirname "$0")/seeds.sh" 1000000 1 2 3 5 8 13 21 34
