#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: commands in a node by the agent: what a person or a script sees."""

import concurrent.futures
import fcntl
import hashlib
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from harness import Node, check, end, wait_until

LARGE = 50_000_000


def statuses(node):
    """What comes back from a command."""
    for status in (0, 1, 7, 255):
        result = node.run("sh", "-c", f"exit {status}")
        check(result.returncode == status, f"status {status}", result)
    for number in (signal.SIGKILL, signal.SIGSEGV):
        result = node.run("sh", "-c", f"kill -{int(number)} $$")
        check(result.returncode == 128 + number, f"ended by {number.name}", result)
    result = node.run("sh", "-c", "echo out; echo err >&2")
    check((result.stdout, result.stderr) == (b"out\n", b"err\n"), "stdout and stderr apart", result)
    result = node.run("/no/such/command")
    check(result.returncode == 127 and b"No such file" in result.stderr, "no such command", result)
    result = node.run("/etc/passwd")
    check(result.returncode == 126, "a command that is no program", result)
    result = node.run("pwd", options=("-C", "/usr"))
    check(result.stdout == b"/usr\n", "a folder to run in", result)
    result = node.run("pwd", options=("-C", "/no/folder"))
    check(result.returncode == 127 and b"/no/folder" in result.stderr, "no such folder", result)
    result = node.run("sh", "-c", 'echo "$A$B"', options=("-e", "A=x y", "-e", "B=\n="))
    check(result.stdout == b"x y\n=\n", "environment", result)
    result = node.run("printf", "%s|", "", "a b", "--", "*", "\xff")
    check(result.stdout == "|a b|--|*|\xff|".encode(), "arguments as they are", result)
    result = node.run("echo", "x" * 60000)
    check(len(result.stdout) == 60001, "a long argument", result.stderr)
    result = node.run("echo", "x" * 70000)
    check(result.returncode == 125 and b"too long" in result.stderr, "one that is too long", result)


def children_are_clean(node):
    """Nothing of the agent's own state reaches a command."""
    script = "ls -l /proc/self/fd; cat /proc/self/oom_score_adj; grep 'Sig[PBIC]' /proc/self/status; ulimit -n"
    here = subprocess.run(["sh", "-c", script], capture_output=True, stdin=subprocess.DEVNULL)
    there = node.run("sh", "-c", script)
    lines = [
        [line for line in text.stdout.splitlines() if b"Sig" in line or line.isdigit()]
        for text in (here, there)
    ]
    check(lines[0] == lines[1], "signals, limits and score as without the agent", lines)
    files = [line for line in there.stdout.splitlines() if b" -> " in line]
    check(len(files) == 4, "no file but the three", there.stdout)
    result = node.run("sh", "-c", "ps -o pid=,pgid=,sid= -p $$")
    check(len(set(result.stdout.split())) == 1, "a session and group of its own", result)


def large(node):
    """50 MB each way."""
    data = os.urandom(LARGE)
    begin = time.monotonic()
    result = node.run("sha256sum", input=data)
    check(result.stdout[:64].decode() == hashlib.sha256(data).hexdigest(), "50 MB in")
    result = node.run("cat", input=data)
    check(result.stdout == data, "50 MB in and out")
    data = b"\xf9\xfb" * 2_000_000
    result = node.run("cat", input=data)
    check(result.stdout == data, "4 MB of bytes that all are escaped")
    print(f"# {time.monotonic() - begin:.1f} s for 104 MB in and 54 MB out")
    check(node.memory() < 4096, f"the agent has {node.memory()} KiB")


def many(node):
    """Sessions beside each other; more than the agent has room for wait."""
    def one(number):
        data = os.urandom(100_000)
        result = node.run("sh", "-c", f"cat; exit {number % 200}", input=data)
        return result.stdout == data and result.returncode == number % 200

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        check(all(pool.map(one, range(120))), "120 sessions, 40 at once")
    # Not one process each here, which would cost more than what is tested.
    import client
    import wire

    connections = []
    for _ in range(300):
        connection = client.connect(node.socket)
        connection.settimeout(30)
        payload = wire.open_payload(0, ["cat"], {})
        connection.sendall(wire.client_frame(wire.Type.OPEN, payload=payload))
        connections.append(connection)
    check(
        wait_until(lambda: len(os.listdir(f"/proc/{node.agent.pid}/fd")) >= 256 * 3),
        "300 sessions are wanted, 256 run",
    )
    ended = 0
    for connection in connections:
        connection.sendall(wire.client_frame(wire.Type.END))
        data = b""
        while piece := connection.recv(65536):
            data += piece
        kinds = [frame[0] for frame in wire.ClientParser().feed(data)]
        ended += kinds[-1:] == [wire.Type.EXIT]
    check(ended == 300, "the others when those have ended", ended)
    check(node.counters()["sessions"] == 0, "none is left", node.counters())


def slow_readers(node):
    """One who does not read holds up nobody else, and little memory."""
    slow = [node.start("cat", "/dev/zero") for _ in range(5)]
    full = [node.start("sleep", "100") for _ in range(5)]
    for process in full:
        os.set_blocking(process.stdin.fileno(), False)

    def fill():
        stuck = 0
        for process in full:
            try:
                process.stdin.write(bytes(65536))
                process.stdin.flush()
            except BlockingIOError:
                stuck += 1
        return stuck == len(full)

    check(wait_until(fill), "writers to processes that do not read are stopped")
    time.sleep(0.5)
    begin = time.monotonic()
    data = os.urandom(5_000_000)
    result = node.run("cat", input=data)
    check(result.stdout == data, "beside them a session goes on")
    print(f"# 5 MB in and out in {time.monotonic() - begin:.1f} s")
    check(node.memory() < 4096, f"the agent has {node.memory()} KiB")
    got = sum(len(process.stdout.read(1_000_000)) for process in slow)
    check(got == 5_000_000, "the slow ones can read on")
    for process in slow + full:
        process.kill()
        process.communicate()
    check(wait_until(lambda: node.counters()["sessions"] == 0), "killed clients' sessions end")


def is_running(pattern):
    """Whether some process has this in its command line."""
    return subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode == 0


def ends(node):
    """Clients that go, processes that go, readers that go."""
    client = node.start("sh", "-c", "sleep 4711; echo never")
    check(wait_until(lambda: is_running("^sleep 4711")), "a command runs")
    client.kill()
    client.communicate()
    check(wait_until(lambda: not is_running("sleep 4711")), "it ends when its client is killed")
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        client = node.start("sleep", "4712")
        wait_until(lambda: is_running("^sleep 4712"))
        client.send_signal(number)
        check(client.wait(20) == status, f"{number.name} to the client reaches the command")
    client = node.start("sh", "-c", "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    client.stdout.readline()
    client.send_signal(signal.SIGTERM)
    out, _ = client.communicate(timeout=20)
    check((out, client.returncode) == (b"caught\n", 3), "which may handle it", (out, client.returncode))
    client = node.start("sh", "-c", "trap '' TERM; echo ready; sleep 4713")
    client.stdout.readline()
    client.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    client.send_signal(signal.SIGTERM)
    check(client.wait(20) == 143, "the second signal ends the client all the same")
    client.communicate()
    result = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1; echo "${PIPESTATUS:-}"', "sh", *node.command("yes")],
        capture_output=True,
        timeout=60,
    )
    check(result.stdout.startswith(b"y\n"), "a reader that has enough", result)
    check(wait_until(lambda: not is_running("^yes$")), "ends the writer")
    result = node.run("sh", "-c", "exec <&-; sleep 0.2; echo done", input=bytes(10_000_000))
    check(result.stdout == b"done\n", "a command that closes its input", result)
    result = node.run("sh", "-c", "(sleep 0.5; echo late) & echo early")
    check(result.stdout == b"early\nlate\n", "output is read until all who write have ended", result)
    result = node.run("sh", "-c", "exec >&-; echo err >&2; exit 4")
    check((result.returncode, result.stderr) == (4, b"err\n"), "a command that closes its output")


class Terminal:
    """A client on a terminal."""

    def __init__(self, node, *arguments, size=(30, 90)):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.saved = termios.tcgetattr(slave)
        self.slave = slave

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            node.command(*arguments, options=("-t",)),
            stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal,
        )
        self.seen = b""

    def wait_for(self, text):
        """Reads until there is a text."""
        deadline = time.monotonic() + 20
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        found = text in self.seen
        self.seen = self.seen.partition(text)[2]
        return found

    def type(self, text):
        """Types."""
        os.write(self.master, text)


def terminals(node):
    """A command with a terminal."""
    terminal = Terminal(node, "sh", "-c", "tty; stty size; echo $TERM; test -t 0 -a -t 1 -a -t 2 && echo tty; exec sh")
    check(terminal.wait_for(b"/dev/pts/"), "a terminal", terminal.seen)
    check(terminal.wait_for(b"30 90"), "of this one's size", terminal.seen)
    check(terminal.wait_for(b"tty"), "for all three", terminal.seen)
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)
    time.sleep(0.5)
    terminal.type(b"stty size\r")
    check(terminal.wait_for(b"40 100"), "which follows", terminal.seen)
    terminal.type(b"sleep 4714\r")
    wait_until(lambda: is_running("^sleep 4714"))
    terminal.type(b"\x03")
    terminal.type(b"echo status $?\r")
    check(terminal.wait_for(b"status 130"), "Ctrl-C interrupts there", terminal.seen)
    terminal.type(b"sleep 4715 & exit 9\r")
    check(terminal.process.wait(20) == 9, "ends with the shell, whatever is left behind")
    check(termios.tcgetattr(terminal.slave) == terminal.saved, "this terminal is as before")
    subprocess.run(["pkill", "-f", "^sleep 4715"], check=False)
    result = node.run("sh", "-c", "cat; echo end", options=("-t",), input=b"typed\n")
    check(b"typed" in result.stdout and b"end" in result.stdout, "input that ends", result)


def main():
    node = Node()
    try:
        for part in (statuses, children_are_clean, large, many, slow_readers, ends, terminals):
            begin = time.monotonic()
            part(node)
            print(f"# {part.__name__}: {time.monotonic() - begin:.1f} s")
        counters = node.counters()
        wrong = ("bad_frames", "skipped_bytes", "mistakes", "host_bad_frames", "host_skipped_bytes")
        check(not any(counters[name] for name in wrong), "no frame was wrong", counters)
    finally:
        node.stop()
    end()


if __name__ == "__main__":
    main()
