#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Messages between nodes beside TCP between native Linux guests, on one wire, in turn.

    compare.py [--build FOLDER] [--rounds N] [--divide N] [--only PAIR]...
    compare.py --count [--build FOLDER] [--divide N] [--only PAIR]...

Boots four pairs of machines on one hub (deploy/wire, MTU 9000): Debian's own kernel; native tasks
without and with encryption; the Linux servers of two nodes. One machine of each pair measures all
rows in rounds, with a pause behind each, in which this program stops the pair (QMP) and lets the next
one run: so rounds go A B C D A B C D, and what waits costs no processor. A ratio is made within a
turn; the median of these, and the least and the largest, are what is printed. Everything is also
written to FOLDER/tests/bench/net/rows.csv.

--count counts instructions in place of time, which other users of the host do not change: those that
the measuring machine executes between the beginning and the end of a row, by QEMU's plugin of
tests/linux/bench/profile, divided by the row's operations; the other machine's are not among them.
For native tasks their functions are in FOLDER/tests/bench/net/PAIR.profile.
"""
import argparse
import csv
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is written beside sources
import parts  # noqa: E402

DEBIAN, PLAIN, ENCRYPTED, LINUX = "debian", "plain", "encrypted", "linux"
# In the order in which they take turns.
PAIRS = (DEBIAN, PLAIN, ENCRYPTED, LINUX)
TITLES = {
    DEBIAN: "TCP, Debian guests",
    PLAIN: "native tasks, encryption off",
    ENCRYPTED: "native tasks, encrypted",
    LINUX: "TCP over eth0, Linux servers",
}
ROWS = {
    "null": ("null RPC, or TCP of 1 byte", "us"),
    "null_tenth": ("  the fastest tenth is below", "us"),
    "64": ("RPC with 64 bytes each way", "us"),
    "64_tenth": ("  the fastest tenth is below", "us"),
    "out": ("stream of 64 KiB, to there", "MB/s"),
    "in": ("stream of 64 KiB, from there", "MB/s"),
}
LATENCIES = ("null", "null_tenth", "64", "64_tenth")
# Against DEBIAN: at most so much for a latency, at least so much for a stream.
AIMS = {
    (PLAIN, "null"): 1.0, (PLAIN, "null_tenth"): 1.0,
    (ENCRYPTED, "null"): 1.0, (ENCRYPTED, "null_tenth"): 1.0,
    (PLAIN, "out"): 1.0, (PLAIN, "in"): 1.0,
    (ENCRYPTED, "out"): 0.25, (ENCRYPTED, "in"): 0.25,
    (LINUX, "out"): 0.8, (LINUX, "in"): 0.8,
}
CALLS, MESSAGES = 400, 128  # of a row: the same in drive.c and tcp.c
READY_SECONDS = 600
ROUND_SECONDS = 240
LINE = re.compile(r"(?:\[[^]]*\] )?bench: (.*)")


class Failure(Exception):
    """What ends the benchmark, in one line."""


class Machine:
    """One QEMU, and what it says."""

    def __init__(self, folder, name, slot, options):
        self.name = name
        self.log = f"{folder}/{name}.log"
        self.control = f"{folder}/{name}.qmp"
        self.read = 0
        open(self.log, "w", encoding="ascii").close()
        with open(f"{folder}/{name}.qemu", "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                ["deploy/boot.sh", "--serial", self.log, "--qmp", self.control, "--nic", "virtio",
                 "--mac", f"52:54:00:c0:00:{slot:02x}", "--nic-socket", f"{folder}/node{slot}.nic",
                 "--wire", f"{folder}/wire{slot}", *options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self.connection = None

    def command(self, name):
        """Runs one QMP command to its end."""
        if self.connection is None:
            self.connection = socket.socket(socket.AF_UNIX)
            self.connection.settimeout(30)
            self.connection.connect(self.control)
            self.replies = self.connection.makefile("r", encoding="utf-8")
            self.replies.readline()
            self.command("qmp_capabilities")
        self.connection.sendall(json.dumps({"execute": name}).encode() + b"\n")
        for line in self.replies:
            reply = json.loads(line)
            if "return" in reply:
                return
            if "error" in reply:
                raise Failure(f"{self.name}: {name}: {reply['error'].get('desc')}")
        raise Failure(f"{self.name}: QEMU is gone")

    def said(self):
        """The lines of the benchmark since the last call."""
        with open(self.log, "rb") as log:
            log.seek(self.read)
            data = log.read()
        data = data[:data.rfind(b"\n") + 1]
        self.read += len(data)
        lines = data.decode("ascii", "replace").replace("\r", "").split("\n")
        return [match.group(1) for match in map(LINE.fullmatch, lines) if match]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def counted(folder, kind):
    """Options of QEMU that count."""
    return ["--", "-plugin", f"{folder}/count.so,out={folder}/{kind}.count"]


class Pair:
    """Two machines, of which the first one measures."""

    def __init__(self, kind, first, second):
        self.kind = kind
        self.machines = (first, second)

    def run(self):
        for machine in reversed(self.machines):
            machine.command("cont")

    def stop(self):
        for machine in self.machines:
            machine.command("stop")

    def heard(self, word, rows):
        """Whether it has said that word; what rows it told before are put into `rows`."""
        for line in self.machines[0].said():
            name, _, value = line.partition(" ")
            if name == word:
                return True
            if name == "failed":
                raise Failure(f"{self.machines[0].log}: {line}")
            if name in ROWS:
                rows[name] = int(value)
        for machine in self.machines:
            if machine.process.poll() is not None:
                raise Failure(f"{machine.log}: the machine has ended")
        return False

    def wait(self, word, seconds):
        """Rows that were told until the line `word`."""
        rows = {}
        limit = time.monotonic() + seconds
        while not self.heard(word, rows):
            if time.monotonic() > limit:
                raise Failure(f"{self.machines[0].log}: no '{word}' within {seconds} seconds")
            time.sleep(0.02)
        return rows


def native_options(build, kind, number, arguments):
    secure = "authenticate" if kind == PLAIN else "encrypt"
    # Patient, for a machine that is stopped hears nothing.
    return ["--modules", f"{build}/tests/kernel/netbench.modules", "--memory", "192", "--append",
            f"panic=exit node={number} nodes={number + number % 2} cluster={kind} secure={secure} "
            f"patience=20 rounds=100000 divide={arguments.divide}"]


def linux_words(number, first, divide):
    words = f"bench_address=10.67.2.{number} bench_divide={divide} bench_rounds=100000"
    return words + (f" bench_peer=10.67.2.{number + 1}" if first else "")


def linux_options(folder, build, kind, number, arguments):
    image = f"{build}/tests/bench/net/initramfs.cpio"
    words = linux_words(number, number % 2 == 1, arguments.divide)
    modules = f"{folder}/{kind}.modules"
    if kind == DEBIAN:
        text = f"{image}\n"
        boot = f"{build}/tests/bench/net/kernel/boot"
        kernel = [name for name in os.listdir(boot) if name.startswith("vmlinuz-")][0]
        # The timer check takes a guest that gets no processor for a while for one without a timer.
        options = ["--kernel", f"{boot}/{kernel}", "--append",
                   f"console=ttyS0,115200 quiet nokaslr panic=-1 no_timer_check {words}"]
    else:
        with open(f"{build}/node.modules", encoding="utf-8") as lines:
            text = re.sub(r"(?m)^\S+ name=initramfs\b", f"{image} name=initramfs", lines.read())
        options = ["--append", f'node={number} nodes={number + number % 2} linux="quiet {words}"']
    with open(modules, "w", encoding="utf-8") as file:
        file.write(text)
    return ["--modules", modules, "--memory", "256", *options]


def start(folder, build, kinds, arguments, machines):
    """The pairs, each booted until it is ready and then stopped, before the next one is. What runs is
    put into `machines`."""
    pairs = []
    for kind in kinds:
        for number in (2 * PAIRS.index(kind) + 2, 2 * PAIRS.index(kind) + 1):
            options = (native_options(build, kind, number, arguments) if kind in (PLAIN, ENCRYPTED)
                       else linux_options(folder, build, kind, number, arguments))
            if arguments.count and number % 2 == 1:
                options += counted(folder, kind)
            machines.append(Machine(folder, f"{kind}{number}", number, options))
        pairs.append(Pair(kind, machines[-1], machines[-2]))
        pairs[-1].wait("ready", READY_SECONDS)
        pairs[-1].stop()  # in the pause before its first round
    return pairs


def operations(divide):
    """Of each section that the plugin counts, as drive.c and tcp.c make them."""
    calls, messages = CALLS // divide, MESSAGES // divide
    return {"null": calls, "64": calls, "out": messages, "in": messages}


def counts_of(folder, kind, section):
    """Pairs of an address and how often its instruction was executed."""
    with open(f"{folder}/{kind}.count.{section}", encoding="ascii") as lines:
        return [(int(address, 16), int(number)) for address, number in map(str.split, lines)]


def print_parts(folder, build, kind, divide):
    """Where the instructions of native rows go, by part of the system."""
    for section, (row, number) in enumerate(operations(divide).items()):
        print(f"\n{ROWS[row][0]}, {TITLES[kind]}: instructions of each")
        for part, each in parts.by_part(build, counts_of(folder, kind, section), number):
            print(f"  {each:10.0f}  {part}")


def write_profile(folder, build, kind, divide):
    """Where the instructions of native rows go, by component and by function."""
    log = f"{folder}/{kind}.rows"
    with open(log, "w", encoding="ascii") as rows:
        for name, number in operations(divide).items():
            rows.write(f"{'echo' if name == '64' else name} 0 0 ns/op {number}\n")
    programs = {"kernel": "kernel/corvus.elf", "net": "netipc/netipc.elf",
                "task": "tests/kernel/kernel-netbench.elf", "init": "init/init.elf"}
    elves = [word for name, file in programs.items() for word in ("--elf", f"{name}={build}/{file}")]
    with open(f"{build}/tests/bench/net/{kind}.profile", "w", encoding="ascii") as output:
        subprocess.run(["tests/linux/bench/profile/profile.py", log, f"{folder}/{kind}.count",
                        *elves], stdout=output, check=True)


def count(pairs, folder, arguments):
    """One round of each pair; prints instructions of an operation."""
    rows = operations(arguments.divide)
    found = {}
    for pair in pairs:
        pair.run()
        pair.wait("end", READY_SECONDS)
        pair.stop()
        for section, (row, number) in enumerate(rows.items()):
            found[pair.kind, row] = sum(
                executions for _, executions in counts_of(folder, pair.kind, section)) / number
        if pair.kind in (PLAIN, ENCRYPTED):
            write_profile(folder, arguments.build, pair.kind, arguments.divide)
    print(f"{'instructions of the measuring machine':38} {'pair':30} {'each':>9}  {'ratio':>6}")
    for row in rows:
        for pair in pairs:
            line = f"{ROWS[row][0]:38} {TITLES[pair.kind]:30} {found[pair.kind, row]:9.0f}"
            if (DEBIAN, row) in found and pair.kind != DEBIAN:
                line += f"  {found[pair.kind, row] / found[DEBIAN, row]:6.2f}"
            print(line)
    for pair in pairs:
        if pair.kind in (PLAIN, ENCRYPTED):
            print_parts(folder, arguments.build, pair.kind, arguments.divide)


def take_turns(pairs, rounds, warm_up):
    """Per turn, by pair, its rows."""
    turns = []
    for number in range(0 if warm_up else 1, rounds + 1):
        turn = {}
        for pair in pairs:
            pair.run()
            turn[pair.kind] = pair.wait("end", ROUND_SECONDS)
            pair.stop()
        if number > 0:  # the first one warms up
            turns.append(turn)
            print(f"# turn {number} of {rounds}", file=sys.stderr)
    return turns


def write_rows(file, turns):
    with open(file, "w", encoding="ascii", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(("turn", "pair", "row", "value", "unit"))
        for number, turn in enumerate(turns, 1):
            for kind, rows in turn.items():
                for row, value in rows.items():
                    writer.writerow((number, kind, row, value, "ns" if row in LATENCIES else "kB/s"))


def spread(values):
    return statistics.median(values), min(values), max(values)


def is_met(row, ratio, aim):
    return ratio <= aim if row in LATENCIES else ratio >= aim


def verdict(kind, row, ratio):
    aim = AIMS.get((kind, row))
    if aim is None:
        return ""
    return f"{'<=' if row in LATENCIES else '>='} {aim:.2f} {'PASS' if is_met(row, ratio, aim) else 'miss'}"


def print_table(turns, kinds):
    print(f"{'row':30} {'pair':30} {'median':>9} {'least':>9} {'most':>9}  "
          f"{'ratio':>6} {'least':>6} {'most':>6}  aim")
    for row, (title, unit) in ROWS.items():
        for kind in kinds:
            middle, least, most = spread([turn[kind][row] / 1000 for turn in turns])
            line = f"{title:30} {TITLES[kind]:30} {middle:9.1f} {least:9.1f} {most:9.1f}"
            if kind != DEBIAN and DEBIAN in kinds:
                ratio, low, high = spread([turn[kind][row] / turn[DEBIAN][row] for turn in turns])
                line += f"  {ratio:6.2f} {low:6.2f} {high:6.2f}  {verdict(kind, row, ratio)}"
            print(f"{line.rstrip()}  {unit if kind == kinds[0] else ''}".rstrip())


def print_aims(build, turns):
    """A line for each aim, and how many are met; of the protocol core, too."""
    met = []

    def tell(good, text):
        met.append(good)
        print(f"{'PASS' if good else 'miss'}  {text}")

    print()
    for (kind, row), aim in AIMS.items():
        ratio = statistics.median(turn[kind][row] / turn[DEBIAN][row] for turn in turns)
        bound = "at most" if row in LATENCIES else "at least"
        tell(is_met(row, ratio, aim),
             f"{ratio:5.2f}, aim {bound} {aim:.2f}: {ROWS[row][0].strip()}; {TITLES[kind]}")
    core = subprocess.run([f"{build}/tests/netipc/core_bench", "--check"], check=False, text=True,
                          stdout=subprocess.PIPE)
    tell(core.returncode == 0, "an RPC costs the protocol core the same with 10 and with 100,000 ports")
    for line in core.stdout.splitlines():
        if " - " in line:
            print(f"        {line.split(' - ', 1)[1]}")
    print(f"{sum(met)} of {len(met)} aims are met; load of the host: {os.getloadavg()[0]:.1f}")


def check_whole(turns, kinds):
    for turn in turns:
        for kind in kinds:
            missing = [row for row in ROWS if turn[kind].get(row, 0) <= 0]
            if missing:
                raise Failure(f"{kind}: no row {', '.join(missing)}")


def measure(arguments):
    kinds = [kind for kind in PAIRS if not arguments.only or kind in arguments.only]
    output = f"{arguments.build}/tests/bench/net"
    folder = f"{output}/run"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if arguments.count:
        shutil.copy(f"{arguments.build}/tests/linux/bench/count.so", folder)
    if not arguments.count and os.path.exists(f"{output}/rows.csv"):
        os.remove(f"{output}/rows.csv")  # that nobody takes the last run's for this one's
    machines = []
    with open(f"{folder}/hub.log", "w", encoding="utf-8") as log:
        hub = subprocess.Popen([f"{arguments.build}/deploy/wire", "serve", folder,
                                str(2 * len(PAIRS))], stdout=log, stderr=log)
    try:
        pairs = start(folder, arguments.build, kinds, arguments, machines)
        if arguments.count:
            count(pairs, folder, arguments)
            return
        turns = take_turns(pairs, arguments.rounds, arguments.divide == 1)
    finally:
        for machine in machines:
            machine.end()
        hub.terminate()
        hub.wait()
    check_whole(turns, kinds)
    write_rows(f"{output}/rows.csv", turns)
    print_table(turns, kinds)
    if not arguments.only:
        print_aims(arguments.build, turns)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--divide", type=int, default=1)
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--only", action="append", choices=PAIRS)
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 1 <= arguments.divide <= 100:
        parser.error("--rounds is 1 or more, --divide 1 to 100")
    os.chdir(f"{os.path.dirname(os.path.abspath(__file__))}/../../..")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        measure(arguments)
    except (Failure, OSError) as error:
        print(f"bench-net: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
