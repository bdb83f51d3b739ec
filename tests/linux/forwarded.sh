#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: test programs whose system calls another process makes, as those of a process that has moved are.
set -eu
exec "$(dirname "$0")/run.sh" --only forwarded
