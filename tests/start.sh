#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Starts a test, a program that prints TAP, for tests/run.sh. What computes leaves the processor to the
# nodes of a cluster that is tested at the same time, for these wait for each other by the clock.
#
#   tests/start.sh TEST WORDS…
case $1 in
tests/cluster/*) exec "$@" ;;
*) exec nice -n 5 "$@" ;;
esac
