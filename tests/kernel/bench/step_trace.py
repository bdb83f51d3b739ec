#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Goes through measured rounds of the benchmark one instruction at a time.

Talks to QEMU's gdb stub: stops at measure_trace_begin, then steps from one reading of the time stamp
counter in user mode to the next and looks at each instruction on the way. Prints, for the null RPC,
how many were executed by user level and by the kernel, and how many of them were writes of CR3, of
model-specific registers and of segment bases, and swapgs; with --profile, how many each function
executed, for every row.

  step_trace.py SOCKET KERNEL-ELF TASK-ELF [--profile [ROW]] [--listing ROW]
"""
import argparse
import bisect
import collections
import socket
import subprocess
import sys
import time

KERNEL_START = 1 << 63
STEPS_MAX = 200000
RDI, RIP = 5, 16  # register numbers of the protocol
BEGIN = "measure_trace_begin"
NULL_ROW = "rpc_null_cross_space"
EMPTY_ROW = "nothing"


class Stub:
    """The remote serial protocol, as far as it is needed."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.buffer = b""
        for _ in range(100):
            try:
                self.socket.connect(path)
                break
            except OSError:
                time.sleep(0.1)
        self.ask("QStartNoAckMode")

    def byte(self):
        if not self.buffer:
            self.buffer = self.socket.recv(65536)
            if not self.buffer:
                raise EOFError
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def ask(self, text):
        checksum = sum(text.encode()) & 0xFF
        self.socket.sendall(f"${text}#{checksum:02x}".encode())
        while self.byte() != b"$":
            pass
        answer = b""
        while (c := self.byte()) != b"#":
            answer += c
        self.byte()
        self.byte()
        return answer.decode()

    def kill(self):
        """Ends QEMU, which does not answer."""
        try:
            self.socket.sendall(b"$k#6b")
            self.byte()
        except OSError:
            pass
        except EOFError:
            pass

    def register(self, number):
        # All of them: single ones are only told to whoever has read their description.
        start = number * 16
        return int.from_bytes(bytes.fromhex(self.ask("g")[start : start + 16]), "little")

    def memory(self, address, length):
        answer = self.ask(f"m{address:x},{length:x}")
        return b"" if answer.startswith("E") else bytes.fromhex(answer)

    def string(self, address):
        return self.memory(address, 64).split(b"\0")[0].decode()


class Symbols:
    """Function names of the kernel and of the task, whose addresses do not overlap."""

    def __init__(self, *files):
        self.table = []
        for file in files:
            lines = subprocess.run(["nm", file], stdout=subprocess.PIPE, check=True, text=True)
            for line in lines.stdout.splitlines():
                fields = line.split()
                if len(fields) == 3 and fields[1] in "tTwW":
                    self.table.append((int(fields[0], 16), fields[2]))
        self.table.sort()
        self.addresses = [address for address, _ in self.table]

    def name(self, address):
        return self.table[max(bisect.bisect(self.addresses, address) - 1, 0)][1]

    def address(self, name):
        return next(address for address, other in self.table if other == name)


def kind(code):
    """What an instruction is, of the few that matter; by Intel's manual, volume 2."""
    rex = 0
    prefix = 0
    while code and code[0] in (0x66, 0xF2, 0xF3):
        prefix, code = code[0], code[1:]
    if code and code[0] & 0xF0 == 0x40:
        rex, code = code[0], code[1:]
    if len(code) < 3 or code[0] != 0x0F:
        return ""
    field = code[2] >> 3 & 7
    if code[1] == 0x31:
        return "rdtsc"
    if code[1] == 0x30:
        return "msr"
    if code[1] == 0x22 and field == 3 and not rex & 4:
        return "cr3"
    if code[1] == 0x01 and code[2] == 0xF8:
        return "swapgs"
    if code[1] == 0xAE and prefix == 0xF3 and code[2] >= 0xC0 and field in (2, 3):
        return "base"
    return ""


class Round:
    """What one round executed, between the two readings of the counter."""

    def __init__(self, name):
        self.name = name
        self.addresses = []
        self.kinds = collections.Counter()

    def user(self):
        return sum(address < KERNEL_START for address in self.addresses)

    def kernel(self):
        return len(self.addresses) - self.user()


def trace_round(stub, name):
    result = Round(name)
    readings = 0
    for _ in range(STEPS_MAX):
        address = stub.register(RIP)
        what = kind(stub.memory(address, 8))
        if readings == 1:
            result.addresses.append(address)
            result.kinds[what] += 1
        if what == "rdtsc" and address < KERNEL_START:
            readings += 1
        if readings == 2:
            break
        stub.ask("s")
    return result


def trace_all(stub, begin, wanted):
    """Rounds in the order in which the benchmark runs them, until it ends or has been seen enough of."""
    rounds = []
    stub.ask(f"Z0,{begin:x},1")
    while True:
        try:
            if not stub.ask("c").startswith("T05"):
                break
            name = stub.string(stub.register(RDI))
            stub.ask(f"z0,{begin:x},1")
            rounds.append(trace_round(stub, name))
            if name == wanted:
                break
            stub.ask(f"Z0,{begin:x},1")
        except (EOFError, ConnectionError):
            break
    return rounds


def print_row(name, value, unit):
    print(f"{name} {value} {unit} {value}")


def print_rows(rounds):
    by_name = {one.name: one for one in rounds}
    empty, null = by_name[EMPTY_ROW], by_name[NULL_ROW]
    print_row("rpc_null_user_level", null.user() - empty.user(), "instructions")
    print_row("rpc_null_kernel", null.kernel(), "instructions")
    print_row("rpc_null_cr3_writes", null.kinds["cr3"], "writes")
    print_row("rpc_null_msr_writes", null.kinds["msr"], "writes")
    print_row("rpc_null_base_writes", null.kinds["base"], "writes")
    print_row("rpc_null_swapgs", null.kinds["swapgs"], "swaps")


def print_profile(one, symbols):
    functions = collections.Counter()
    for address in one.addresses:
        place = "user" if address < KERNEL_START else "kernel"
        functions[place, symbols.name(address)] += 1
    print(f"{one.name}: {len(one.addresses)} instructions, {one.user()} user, {one.kernel()} kernel")
    for (place, function), times in functions.most_common():
        print(f"  {times:6} {place:6} {function}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("kernel")
    parser.add_argument("task")
    parser.add_argument("--profile", nargs="?", const="all")
    parser.add_argument("--listing")
    arguments = parser.parse_args()

    symbols = Symbols(arguments.kernel, arguments.task)
    wanted = arguments.listing or arguments.profile or NULL_ROW
    stub = Stub(arguments.socket)
    rounds = trace_all(stub, symbols.address(BEGIN), wanted)
    stub.kill()
    if arguments.listing:
        for one in rounds:
            if one.name == arguments.listing:
                for address in one.addresses:
                    print(f"{address:x} {symbols.name(address)}")
    elif arguments.profile:
        for one in rounds:
            if arguments.profile in ("all", one.name):
                print_profile(one, symbols)
    elif any(one.name == NULL_ROW for one in rounds):
        print_rows(rounds)
    else:
        sys.exit("step_trace: the null RPC was not seen")


if __name__ == "__main__":
    main()
