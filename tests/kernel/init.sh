#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the image that tests init.
exec "$(dirname "$0")/run.sh" --image init
