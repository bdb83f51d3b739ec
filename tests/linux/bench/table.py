#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Puts what the machines measured side by side.

    table.py [--csv FILE] [--words FILE] NATIVE NODE

NATIVE and NODE are files with rows as the benchmark prints them: name median minimum unit operations.
A row's ratio is node to native. --words names the rows of the native machine without the string
instructions that copy byte by byte, each byte of which counts as an instruction here; the second pair
of columns is against those.

Exit status 1: a row is missing, or the counter does not count instructions. A row beyond its limit is
shown, and is no error.
"""
import argparse
import csv
import math
import re
import sys

CALIBRATION = "calibration"
CALIBRATION_INSTRUCTIONS = 1001
MEMORY = "memory_available"
BOOT = "boot"
# Without an aim.
FACTS = ("memory_total", "memory_free")

# The largest ratio that is aimed at, and the largest that is allowed.
LIMITS = {"getpid": (1.5, 2.36), "clock_gettime": (1.1, 2.5), "compile": (1.05, 2.5), BOOT: (2.0, 2.0)}
OTHERS = (2.0, 2.5)
MEAN_LIMITS = (1.25, 1.6)
MEMORY_LEAST = 190 * 1024

ROW = re.compile(r"^([a-z0-9_]+) (\d+) (\d+) ([A-Za-z/]+) (\d+)$")
COLUMNS = ("row", "native", "node", "ratio", "aim", "verdict", "words", "ratio_words", "unit")


def read_rows(file):
    """Medians and units by name."""
    with open(file, encoding="utf-8") as lines:
        matches = [ROW.match(line.rstrip()) for line in lines]
    return {match[1]: (int(match[2]), match[4]) for match in matches if match}


def verdict(ratio, limits):
    aim, limit = limits
    if ratio <= aim:
        return "good"
    return "short of the aim" if ratio <= limit else "ABOVE THE LIMIT"


def ratio_of(node, native):
    return node / native if native > 0 else math.inf


def line_of(name, native, node, words):
    """One line of the table, as values by column."""
    value, unit = node[name]
    line = {"row": name, "native": native[name][0], "node": value, "unit": unit}
    if name in words:
        line["words"] = words[name][0]
    if name == MEMORY:
        line["aim"] = f">={MEMORY_LEAST}"
        line["verdict"] = "good" if value >= MEMORY_LEAST else "BELOW THE LIMIT"
    elif name == CALIBRATION:
        line["aim"] = f"={CALIBRATION_INSTRUCTIONS}"
    elif name not in FACTS:
        limits = LIMITS.get(name, OTHERS)
        line["ratio"] = ratio_of(value, native[name][0])
        line["aim"] = f"<={limits[0]:g}"
        line["verdict"] = verdict(line["ratio"], limits)
        if name in words:
            line["ratio_words"] = ratio_of(value, words[name][0])
    return line


def geometric_mean(values):
    values = list(values)
    if not values or 0 in values:
        return math.nan
    return math.exp(sum(map(math.log, values)) / len(values))


def mean_lines(lines):
    """Means of all rows; the second counts a row in which the node is faster as equal."""
    rows = [line for line in lines if "ratio" in line and line["row"] != BOOT]
    result = []
    for name, least in (("geometric_mean", 0.0), ("mean_without_gains", 1.0)):
        line = {"row": name}
        for column in ("ratio", "ratio_words"):
            values = [max(row[column], least) for row in rows if column in row]
            if values:
                line[column] = geometric_mean(values)
        if least == 0.0 and "ratio" in line:
            line["aim"] = f"<={MEAN_LIMITS[0]:g}"
            line["verdict"] = verdict(line["ratio"], MEAN_LIMITS)
        result.append(line)
    return result


def text_of(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_table(lines):
    cells = [list(COLUMNS)]
    cells += [[text_of(line.get(column, "-")) for column in COLUMNS] for line in lines]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    for row in cells:
        parts = (
            cell.ljust(width) if column in ("row", "verdict", "unit") else cell.rjust(width)
            for cell, width, column in zip(row, widths, COLUMNS)
        )
        print("  ".join(parts).rstrip())


def write_csv(file, lines):
    with open(file, "w", encoding="utf-8", newline="") as output:
        writer = csv.DictWriter(output, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow({column: text_of(value) for column, value in line.items()})


def problems_of(machines):
    """What makes the table worthless, or incomplete."""
    everything = [name for rows in machines.values() for name in rows]
    for machine, rows in machines.items():
        for name in dict.fromkeys(everything):
            if name not in rows and not (machine == "words" and name in (BOOT, MEMORY, *FACTS)):
                yield f"no row {name} of {machine}"
        counted = rows.get(CALIBRATION, (0, ""))[0]
        if counted != CALIBRATION_INSTRUCTIONS:
            yield (f"{machine}: {counted} instructions counted where there are "
                   f"{CALIBRATION_INSTRUCTIONS}; no figure of this run is to be trusted")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--csv")
    parser.add_argument("--words")
    parser.add_argument("native")
    parser.add_argument("node")
    arguments = parser.parse_args()

    machines = {"native": read_rows(arguments.native), "node": read_rows(arguments.node)}
    if arguments.words:
        machines["words"] = read_rows(arguments.words)
    native, node = machines["native"], machines["node"]
    lines = [line_of(name, native, node, machines.get("words", {})) for name in native if name in node]
    lines += mean_lines(lines)
    print_table(lines)
    if arguments.csv:
        write_csv(arguments.csv, lines)
    problems = list(problems_of(machines))
    for problem in problems:
        print(f"table: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
