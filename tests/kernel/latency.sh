#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: how many instructions interrupts are off, at most.
exec "$(dirname "$0")/run.sh" --image latency
