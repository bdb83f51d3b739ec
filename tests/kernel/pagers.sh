#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: memory objects on a node: VM server, default pager, pagers that are well-behaved or not.
set -eu

cd "$(dirname "$0")/../.."
exec tests/kernel/run.sh --image pagers --timeout 300
