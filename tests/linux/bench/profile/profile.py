#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints where the instructions of the benchmark's rows go, by component and by function.

    profile.py LOG COUNTS [--elf NAME=FILE]… [--kallsyms NAME=FILE]… [--row ROW]… [--top N]
               [--function NAME]

LOG is the output of the benchmark, COUNTS what the plugin (count.c) was given as out=. An address
belongs to the component whose executable segments (--elf), or whose symbols (--kallsyms, a copy of
/proc/kallsyms), it lies in, else to "other programs": shared libraries, compilers, the vDSO. Numbers
are instructions of one operation. With --function, one function is listed instruction by instruction.
"""
import argparse
import bisect
import collections
import os
import re
import subprocess
import sys

KERNEL_HALF = 1 << 63
OTHER = "other programs"
# A row, as bench prints it: name median minimum unit operations.
ROW = re.compile(r"^([a-z0-9_]+) (\d+) (\d+) ([A-Za-z/]+) (\d+)$")


def lines_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()


class Component:
    """A program, with the addresses it takes and the functions in it."""

    def __init__(self, name, ranges, functions):
        self.name = name
        self.ranges = ranges
        functions.sort()
        self.starts = [start for start, _ in functions]
        self.names = [function for _, function in functions]

    def holds(self, address):
        return any(start <= address < end for start, end in self.ranges)

    def function(self, address):
        index = bisect.bisect(self.starts, address) - 1
        return self.names[index] if index >= 0 else "?"


class Elf(Component):
    """A component that there is a linked program of."""

    def __init__(self, name, file):
        self.file = file
        ranges = []
        for line in lines_of("readelf", "-lW", file):
            fields = line.split()
            if fields[:1] == ["LOAD"] and "E" in "".join(fields[6:-1]):
                start = int(fields[2], 16)
                ranges.append((start, start + int(fields[5], 16)))
        functions = []
        for line in lines_of("nm", "--defined-only", file):
            fields = line.split()
            if len(fields) == 3 and fields[1] in "tTwWiI" and not fields[2].startswith(".L"):
                functions.append((int(fields[0], 16), fields[2]))
        super().__init__(name, ranges, functions)

    def listing(self, start, end):
        """Disassembly of a range of addresses: lines by address."""
        listing = {}
        for line in lines_of("objdump", "-d", "--no-show-raw-insn", f"--start-address={start}",
                             f"--stop-address={end}", self.file):
            match = re.match(r"^ *([0-9a-f]+):\t(.*)$", line)
            if match:
                listing[int(match[1], 16)] = match[2]
        return listing


class Kallsyms(Component):
    """A kernel that only tells its symbols; everything in its half of the addresses is its own."""

    def __init__(self, name, file):
        functions = []
        with open(file, encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                functions.append((int(fields[0], 16), fields[2]))
        super().__init__(name, [(KERNEL_HALF, 1 << 64)], functions)

    def listing(self, _start, _end):
        return {}


class Rest(Component):
    """What belongs to nobody else."""

    def __init__(self):
        super().__init__(OTHER, [(0, 1 << 64)], [])

    def function(self, address):
        return f"{address >> 12:x}000"

    def listing(self, _start, _end):
        return {}


def read_rows(log):
    """Names and numbers of operations, in the order of the sections."""
    with open(log, encoding="utf-8", errors="replace") as lines:
        matches = [ROW.match(re.sub(r"^(\[[^]]*\] )?bench: ", "", line.rstrip())) for line in lines]
    rows = [(match[1], int(match[5])) for match in matches if match]
    if not rows:
        sys.exit(f"profile: no rows in {log}")
    return rows


def read_counts(file):
    with open(file, encoding="ascii") as lines:
        return [(int(address, 16), int(count)) for address, count in map(str.split, lines)]


def attribute(counts, components):
    """Instructions by (component, function)."""
    result = collections.Counter()
    for address, count in counts:
        component = next(one for one in components if one.holds(address))
        result[component.name, component.function(address)] += count
    return result


def print_row(name, operations, counts, components, top):
    functions = attribute(counts, components)
    total = sum(functions.values())
    print(f"{name}: {total / operations:.1f} instructions, {operations} operations")
    parts = collections.Counter()
    for (component, _), count in functions.items():
        parts[component] += count
    for component, count in parts.most_common():
        print(f"  {count / operations:12.1f}  {100 * count / total:5.1f} %  {component}")
    print()
    for (component, function), count in functions.most_common(top):
        print(f"  {count / operations:12.1f}  {component:14}  {function}")
    left = len(functions) - top
    if left > 0:
        rest = total - sum(count for _, count in functions.most_common(top))
        print(f"  {rest / operations:12.1f}  {'':14}  {left} more functions")
    print()


def print_function(name, operations, counts, components, function):
    by_component = collections.defaultdict(dict)
    for address, count in counts:
        component = next(one for one in components if one.holds(address))
        if component.function(address) == function:
            by_component[component][address] = count
    for component, found in by_component.items():
        print(f"{name}: {function} of {component.name}, executions an operation")
        listing = component.listing(min(found), max(found) + 1)
        for address in sorted(set(listing) | set(found)):
            print(f"  {found.get(address, 0) / operations:10.2f}  {address:16x}  "
                  f"{listing.get(address, '')}")
        print()


def named_file(text):
    name, equals, file = text.partition("=")
    if not equals or not os.access(file, os.R_OK):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE with a file that can be read")
    return name, file


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("counts")
    parser.add_argument("--elf", type=named_file, action="append", default=[])
    parser.add_argument("--kallsyms", type=named_file, action="append", default=[])
    parser.add_argument("--row", action="append", default=[])
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--function")
    arguments = parser.parse_args()

    components = [Elf(*one) for one in arguments.elf]
    components += [Kallsyms(*one) for one in arguments.kallsyms]
    components.append(Rest())
    rows = read_rows(arguments.log)
    missing = set(arguments.row) - {name for name, _ in rows}
    if missing:
        sys.exit(f"profile: no such row in {arguments.log}: {' '.join(sorted(missing))}")
    for number, (name, operations) in enumerate(rows):
        if arguments.row and name not in arguments.row:
            continue
        counts = read_counts(f"{arguments.counts}.{number}")
        if arguments.function:
            print_function(name, operations, counts, components, arguments.function)
        else:
            print_row(name, operations, counts, components, arguments.top)


if __name__ == "__main__":
    main()
