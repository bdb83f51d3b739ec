# SPDX-License-Identifier: BSD-2-Clause
"""Where the instructions of a native row go, by part of the system: each counted instruction belongs to
the source file that the debug information names for it, and files belong to parts."""
import collections
import re
import subprocess

# The first pattern that is found in FUNCTION@FILE says the part.
PARTS = (
    ("crypto", r"bearssl|core/(aead|noise|secure)|^(ChaCha20|__poly1305|poly1305)_"),
    ("TCP/IP (lwIP)", r"lwip|netipc/(checksum|interface|heap)"),
    ("card's driver, switch", r"virtio|netipc/(card|drivers|switch|frame|memory)"),
    ("protocol core", r"netipc/core/"),
    ("links, event loop", r"netipc/(transport|carrier|server|platform)|lib/clock"),
    ("proxies, handing on, workers", r"netipc/|lib/(thread|port|message|call|stub)|include/corvus"),
    ("kernel: copies", r"memcpy@.*kernel/x86|kernel/(item|copy|space|mapping|buffer)"),
    ("kernel: threads, switches, time", r"kernel/(schedule|thread|deadline|ready|futex|x86/(clock|apic|switch))"),
    ("kernel: entry and interrupts", r"kernel/(x86/|interrupt|event)"),
    ("kernel: messages and services", r"kernel/"),
    ("C library", r"musl|malloc|free|get_meta|pthread|mem(cpy|set)|string"),
    ("the caller", r"netbench"),
)
OTHER = "others"
KERNEL_HALF = 1 << 63


def programs(build):
    """Each with the addresses it is linked at."""
    return ((KERNEL_HALF, 1 << 64, f"{build}/kernel/corvus.elf"),
            (0x10000000, 0x20000000, f"{build}/tests/kernel/kernel-netbench.elf"),
            (0x400000, 0x10000000, f"{build}/netipc/netipc.elf"))


def part_of(function, file):
    text = f"{function}@{file}"
    return next((part for part, pattern in PARTS if re.search(pattern, text)), OTHER)


def places(program, addresses):
    """Per address, the function that was compiled and the file of the instruction."""
    lines = subprocess.run(["addr2line", "-f", "-e", program], check=True, text=True,
                           input="".join(f"{one:x}\n" for one in addresses),
                           stdout=subprocess.PIPE).stdout.splitlines()
    return zip(lines[::2], lines[1::2])


def by_part(build, counts, operations):
    """Instructions of an operation by part, the most first. `counts`: (address, executions)."""
    result = collections.Counter()
    for first, end, program in programs(build):
        mine = [(address, number) for address, number in counts if first <= address < end]
        for (_, number), place in zip(mine, places(program, [address for address, _ in mine])):
            result[part_of(*place)] += number
    result[OTHER] += sum(number for _, number in counts) - sum(result.values())
    return [(part, number / operations) for part, number in result.most_common() if number > 0]
