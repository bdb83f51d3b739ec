#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Says where running nodes of a cluster spend their time: asks QEMU again and again where the processor is.

    where.py [--name CLUSTER] [--build FOLDER] [--seconds N] [--top N] NODE...

Every sample is the place of an instruction, which belongs to the component that is linked there: the
microkernel, Linux, a server, or programs of Linux (all that is elsewhere). Servers that are linked to the
same addresses are told apart by their address space: give --space HEX=NAME, from a first run's list. Idle
is the microkernel's halt. A sample waits for the end of QEMU's translation block, which shifts it by a few
instructions.
"""
import argparse
import collections
import os
import re
import sys
import time

sys.dont_write_bytecode = True
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path[:0] = [TESTS, os.path.join(TESTS, "linux", "bench", "profile")]
from limit import Machine  # noqa: E402
from profile import Elf  # noqa: E402

REGISTERS = re.compile(r"RIP=([0-9a-f]+).*HLT=(\d).*CR3=([0-9a-f]+)", re.DOTALL)


def sample(machine):
    """Address of the instruction (None: halted), and of the address space."""
    match = REGISTERS.search(machine.monitor("info registers"))
    return None if match[2] == "1" else int(match[1], 16), int(match[3], 16)


def component_of(components, spaces, address, space):
    found = [one for one in components if one.holds(address)]
    if len(found) > 1:
        found = [one for one in found if one.name == spaces.get(space)] or found
    return found


def measure(machine, components, spaces, seconds):
    counts, total = collections.Counter(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        address, space = sample(machine)
        total += 1
        if address is None:
            counts["idle", "", ""] += 1
            continue
        found = component_of(components, spaces, address, space)
        if not found:
            counts["programs", f"space {space:x}", ""] += 1
        elif len(found) > 1:
            names = " or ".join(f"{one.name} {one.function(address)}" for one in found)
            counts["servers", f"space {space:x}", names] += 1
        else:
            counts[found[0].name, found[0].function(address), f"space {space:x}"] += 1
        time.sleep(0.002)
    return counts, total


def show(node, counts, total, top):
    by_component = collections.Counter()
    functions = collections.Counter()
    for (component, function, where), count in counts.items():
        by_component[component] += count
        functions[component, function, where if component in ("servers",) else ""] += count
    print(f"node {node}: {total} samples")
    for component, count in by_component.most_common():
        print(f"  {100 * count / total:5.1f} %  {component}")
    for (component, function, where), count in functions.most_common(top):
        print(f"    {100 * count / total:5.1f} %  {component}: {function} {where}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="default")
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--top", type=int, default=30)
    parser.add_argument("--space", action="append", default=[])
    parser.add_argument("node", nargs="+")
    arguments = parser.parse_args()
    spaces = {int(text.split("=")[0], 16): text.split("=")[1] for text in arguments.space}
    build = arguments.build
    components = [Elf("microkernel", f"{build}/kernel/corvus.elf"), Elf("Linux", f"{build}/linux/vmlinux"),
                  Elf("netipc", f"{build}/netipc/netipc.elf"), Elf("dsm", f"{build}/dsm/dsm.elf")]
    for node in arguments.node:
        machine = Machine(f"build/cluster/{arguments.name}/node{node}.qmp")
        counts, total = measure(machine, components, spaces, arguments.seconds)
        show(node, counts, total, arguments.top)


if __name__ == "__main__":
    main()
