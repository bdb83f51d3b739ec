#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to move a process to another node, in null RPCs between the two nodes' migration drivers.

    bench.py [--build FOLDER] [--rounds N] [--wholes N] [--sizes MIB,MIB...] [--touched MIB]
             [--memory MIB] [--secure encrypt|authenticate]

Starts a cluster of two nodes and takes turns. In each one a program (process.c) with so much resident
memory is started on node 1 and moved to node 2, once for each size, with the drain off; then one whose
faults are timed; in the first --wholes turns of each size one with all its memory (`corvus migrate --eager`)
and TCP streams over the same wire; in the first turn some whose pages are counted. The null RPCs are made before and behind each thing that is measured by them, and a quotient is
made of what belongs together: so on a busy host the quotients stay, the times do not. figures.py has the
arithmetic, picture.py draws. Everything is also written to FOLDER/tests/bench/migrate/rows.csv.
"""
import argparse
import os
import re
import signal
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing is written beside sources
import figures  # noqa: E402
import picture  # noqa: E402

ECHOES = 30  # before, and behind
FAULTS = 100
FAULTS_MIB, TOUCHED_PART = 64, 10
PAGES_A_MIB = 256
PATIENCE = 900  # seconds, for any one command; on a busy host a fault takes tens of milliseconds

BEGIN = """rm -f /tmp/orders /tmp/out; mkfifo /tmp/orders
/tmp/process resident "$1" <>/tmp/orders >/tmp/out 2>&1 &
until [ -s /tmp/out ]; do sleep 0.1; done; cat /tmp/out"""
MOVE = """/tmp/process echo 2 "$3" && /tmp/process move "$1" 2 "$2" && /tmp/process echo 2 "$3" """
ORDER = """echo "$1" >/tmp/orders
until tail -n 1 /tmp/out | grep -q -v -e '^ready' -e '^fault'; do sleep 0.1; done; cat /tmp/out; : >/tmp/out"""
END = """kill -9 "$1"; while [ -d "/proc/$1" ]; do sleep 0.1; done"""
GONE = """while [ -d "/proc/$1" ]; do sleep 0.1; done"""
DRAIN = """echo "$1" >/sys/module/cor/parameters/drain"""
FRAMES = "ip link set eth0 mtu 9000"
ADDRESS = """sed -n 's/[[:space:]].*\\<node2\\>.*//p' /etc/hosts"""
SERVE = "/tmp/netbench-tcp serve >/tmp/serve 2>&1 </dev/null &"
STREAM = """/tmp/netbench-tcp drive "$1" 1 1"""


class Failure(Exception):
    """What ends the benchmark, in one line."""


class Cluster:
    """Two nodes."""

    def __init__(self):
        self.name = f"bench-migrate-{os.getpid()}"

    def run(self, *words):
        """A command of qemu-cluster.sh; what it prints."""
        try:
            done = subprocess.run(["./qemu-cluster.sh", "--name", self.name, *words], stdin=subprocess.DEVNULL,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                                  check=False)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{' '.join(words)!r} is not done after {PATIENCE} seconds") from error
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
            raise Failure(f"{' '.join(words)!r}: status {done.returncode}: {said}")
        return done.stdout

    def shell(self, node, script, *words):
        """A script of a node's shell."""
        return self.run("exec", str(node), "--", "sh", "-c", script, "-", *map(str, words))

    def end(self):
        subprocess.run(["./qemu-cluster.sh", "--name", self.name, "down"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def numbers(text):
    """name -> list of numbers, of what process.c prints."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\w+) (\d+)", line)
        if match:
            found.setdefault(match.group(1), []).append(int(match.group(2)))
    return found


def begin(cluster, size):
    """A process with so much memory on node 1; its number."""
    found = numbers(cluster.shell(1, BEGIN, size))
    if "ready" not in found:
        raise Failure(f"the process with {size} MiB did not begin")
    return found["ready"][0]


def move(cluster, pid, how):
    """Moves it; what is known of the move."""
    found = numbers(cluster.shell(1, MOVE, pid, how, ECHOES))
    steps = {name: found[name][0] for name in ("freezing", "frozen", "committed", "away", "total", "move")}
    return {"rpc": figures.middle(found["echo"]), **steps}


def order(cluster, text):
    """What the process does when it is told so."""
    output = cluster.shell(1, ORDER, text)
    if not output.endswith("done\n"):
        raise Failure(f"the process did not do {text!r}: {output.strip()}")
    return numbers(output)


def end(cluster, pid):
    cluster.shell(1, END, pid)
    cluster.shell(2, GONE, pid)


def measure_move(cluster, size, how):
    """One that does nothing else. Eager: with all its memory."""
    pid = begin(cluster, size)
    moved = move(cluster, pid, how)
    end(cluster, pid)
    return moved


def measure_faults(cluster):
    """What a page that nobody has asked for takes, by a process that has moved."""
    pid = begin(cluster, FAULTS_MIB)
    move(cluster, pid, "lazy")
    echoes = numbers(cluster.shell(2, '/tmp/process echo 1 "$1"', ECHOES))["echo"]
    times = order(cluster, f"faults {FAULTS}")["fault"]
    echoes += numbers(cluster.shell(2, '/tmp/process echo 1 "$1"', ECHOES))["echo"]
    end(cluster, pid)
    return {"rpc": figures.middle(echoes), "fault": figures.middle(times)}


def measure_touched(cluster, how, size):
    """Pages that come to a process that touches a tenth of its own."""
    pages = size * PAGES_A_MIB
    pid = begin(cluster, size)
    moved = move(cluster, pid, "lazy")
    order(cluster, f"touch {how} {pages // TOUCHED_PART}")
    came = numbers(cluster.shell(2, '/tmp/process pages 1 "$1"', moved["move"]))["came"][0]
    end(cluster, pid)
    return {"came": came, "of": pages}


def measure_stream(cluster, address):
    """TCP between the nodes' Linuxes, from node 1 to node 2, in bytes a second."""
    match = re.search(r"^bench: out (\d+)$", cluster.shell(1, STREAM, address), re.MULTILINE)
    if match is None:
        raise Failure("no TCP stream between the nodes")
    return int(match.group(1)) * 1000


def measure_wholes(cluster, address, sizes):
    """With their memory; and streams before and behind."""
    before = measure_stream(cluster, address)
    cluster.shell(2, DRAIN, 1)
    found = {size: measure_move(cluster, size, "eager") for size in sizes}
    cluster.shell(2, DRAIN, 0)
    return {"stream": (before + measure_stream(cluster, address)) / 2, "moves": found}


def take_turn(cluster, address, arguments, number):
    """All rows once. What takes long is left out of later turns; counts are not the host's."""
    turn = {"moves": {size: measure_move(cluster, size, "lazy") for size in arguments.sizes}}
    turn["faults"] = measure_faults(cluster)
    if number <= arguments.wholes:
        turn["wholes"] = measure_wholes(cluster, address, arguments.sizes)
    if number == 1:
        turn["touched"] = {how: measure_touched(cluster, how, arguments.touched) for how in figures.WAYS}
    return turn


def measure(cluster, arguments):
    cluster.run("up", "-n", "2", "-m", str(arguments.memory), "--secure", arguments.secure,
                "--patience", "20")  # for a host that is busy
    for node in (1, 2):
        cluster.run("cp", f"{arguments.build}/tests/bench/migrate/process", f"{node}:/tmp")
        cluster.run("cp", f"{arguments.build}/tests/bench/net/netbench-tcp", f"{node}:/tmp")
        cluster.shell(node, FRAMES)
    address = cluster.shell(1, ADDRESS).strip()
    cluster.shell(2, SERVE)
    cluster.shell(2, DRAIN, 0)
    turns = []
    for number in range(1, arguments.rounds + 1):
        turns.append(take_turn(cluster, address, arguments, number))
        print(f"# turn {number} of {arguments.rounds}", file=sys.stderr)
    return turns


def report(turns, arguments):
    folder = f"{arguments.build}/tests/bench/migrate"
    with open(f"{folder}/rows.csv", "w", encoding="ascii", newline="") as output:
        figures.write_rows(turns, output)
    with open(f"{folder}/sizes.svg", "w", encoding="ascii") as output:
        picture.draw(figures.curves(turns), output)
    for line in figures.table(turns):
        print(line)
    aims = figures.aims(turns)
    print()
    for aim in aims:
        print(aim)
    met = sum(aim.startswith("PASS") for aim in aims)
    print(f"{met} of {len(aims)} aims are met; {arguments.secure}; load of the host: {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} processors")
    print(f"rows.csv and sizes.svg: {folder}")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wholes", type=int, default=3)
    parser.add_argument("--sizes", default="1,8,64,256,512")
    parser.add_argument("--touched", type=int, default=256)
    parser.add_argument("--memory", type=int, default=768)
    parser.add_argument("--secure", choices=("encrypt", "authenticate"), default="authenticate")
    arguments = parser.parse_args()
    try:
        arguments.sizes = sorted({int(size) for size in arguments.sizes.split(",")})
    except ValueError:
        parser.error("--sizes are numbers of MiB with commas between")
    if arguments.rounds < 1 or arguments.wholes < 1 or len(arguments.sizes) < 2 or arguments.sizes[0] < 1:
        parser.error("--rounds and --wholes are 1 or more, --sizes at least two")
    if arguments.touched < 1 or arguments.memory < max(arguments.sizes[-1], arguments.touched, FAULTS_MIB) + 160:
        parser.error(f"--memory is at least 160 more than the largest process, and {FAULTS_MIB + 160}")
    return arguments


def main():
    arguments = parse()
    os.chdir(f"{os.path.dirname(os.path.abspath(__file__))}/../../..")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in ("rows.csv", "sizes.svg"):  # that nobody takes the last run's for this one's
        if os.path.exists(f"{arguments.build}/tests/bench/migrate/{name}"):
            os.remove(f"{arguments.build}/tests/bench/migrate/{name}")
    cluster = Cluster()
    try:
        report(measure(cluster, arguments), arguments)
    except (Failure, OSError, KeyError) as error:
        print(f"bench-migrate: {error}", file=sys.stderr)
        return 1
    finally:
        cluster.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
