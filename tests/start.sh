#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Starts a test, a program that prints TAP, for tests/run.sh. What computes leaves the processor to the
# nodes of a cluster that is tested at the same time, for these wait for each other by the clock. One that
# hangs is ended, and has failed; limit.py keeps what its machines were like.
#
#   tests/start.sh TEST WORDS…

# Programs in Python leave nothing beside their sources.
export PYTHONDONTWRITEBYTECODE=1
case $1 in
*/long/* | */long.sh | *-long.sh | tests/linux/forwarded.sh) exec "$@" ;;
tests/cluster/thorough/*) exec tests/limit.py 2400 "$@" ;;
tests/cluster/*) exec tests/limit.py 1500 "$@" ;;
tests/linux/run.sh) exec nice -n 5 tests/limit.py 2400 "$@" ;;
*) exec nice -n 5 tests/limit.py 900 "$@" ;;
esac
