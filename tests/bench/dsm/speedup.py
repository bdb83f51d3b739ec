#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A line of the table of speedup.sh: medians of runs on one and on two nodes, and how much faster two are.

usage: speedup.py PROGRAM RUNS
RUNS has lines of nodes, nanoseconds that passed, seconds of processor time of the busiest machine."""

import statistics
import sys


def main():
    """Arguments and line."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    runs = {"1": [], "1,2": []}
    with open(sys.argv[2], encoding="utf-8") as lines:
        for line in lines:
            nodes, nanoseconds, seconds = line.split()
            runs[nodes].append((int(nanoseconds) / 1e9, float(seconds)))
    cells = [f"{sys.argv[1]:16}"]
    for figure in range(2):
        one, two = (statistics.median(run[figure] for run in runs[nodes]) for nodes in ("1", "1,2"))
        cells.append(f"{one:10.2f} {two:10.2f} {one / two if two else 0:8.2f}")
    print("   ".join(cells).replace("   ", " ", 1))


if __name__ == "__main__":
    main()
