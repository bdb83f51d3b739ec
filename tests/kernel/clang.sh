#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: the test image as clang builds it (make COMPILER=clang kernel-images).
exec "$(dirname "$0")/run.sh" --build build/clang
