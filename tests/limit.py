#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ends a test that hangs, for tests/start.sh, and keeps what its machines were like.

    tests/limit.py SECONDS TEST WORDS…

Ends with the test's status, or with 124. BUILD/hung/TEST then has, of each QEMU that the test had
started and that has a control socket (QMP), its registers (NODE.monitor), its memory as a core file
for gdb (NODE.core.zst; docs/HACKING.md says how to read it), its logs; and in `processes` what all
of the test's processes wait for.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

# What a test has for its own end.
END_SECONDS = 60
# A loaded machine answers late; one that was stopped by a signal never.
QMP_SECONDS = 60
LOG_BYTES = 1 << 20
# By this in their environment its processes are known, whoever has become their parent.
MARK = "CORVUS_LIMIT"
MONITOR = ("info status", "info registers", "info lapic", "info pic", "info chardev")


def processes(mark):
    """The numbers of the processes with the mark, and of none that has ended meanwhile."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield entry
        except OSError:
            continue


def words_of(process):
    """A process's command."""
    return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]


def describe(process):
    """A line: number, what it waits for, command."""
    try:
        waits = [(process / name).read_text().strip() for name in ("wchan", "syscall")]
        return f"{process.name} {' '.join(waits)}: {' '.join(words_of(process))}\n"
    except OSError:
        return ""


class Machine:
    """A connection to a QEMU."""

    def __init__(self, path):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(QMP_SECONDS)
        self.connection.connect(path)
        self.stream = self.connection.makefile("r", encoding="utf-8")
        self.stream.readline()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """What a command returns; events before that are passed over."""
        question = {"execute": command, "arguments": arguments}
        self.connection.sendall(json.dumps(question).encode() + b"\n")
        for line in self.stream:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise OSError(answer["error"]["desc"])
        raise OSError("QEMU has ended")

    def monitor(self, command):
        """What the monitor for people says."""
        return self.execute("human-monitor-command", **{"command-line": command})


def keep_machine(process, words, folder):
    """Registers, memory and logs of one machine."""
    working = process / "cwd"
    control = re.search(r"unix:([^,]*)", words[words.index("-qmp") + 1])[1]
    name = "-".join(pathlib.Path(control).parts[-2:]).removesuffix(".qmp")
    for log in (working / control).parent.iterdir():
        if log.is_file() and log.stat().st_size <= LOG_BYTES:
            shutil.copy(log, folder / f"{name}-{log.name}")
    # The socket's own folder may be too deep for a socket's path.
    os.chdir(working)
    machine = Machine(control)
    with open(folder / f"{name}.monitor", "w", encoding="utf-8") as file:
        for command in MONITOR:
            file.write(f"--- {command}\n{machine.monitor(command)}\n")
    core = folder / f"{name}.core"
    machine.execute("dump-guest-memory", paging=True, protocol=f"file:{core}")
    subprocess.run(["zstd", "-q", "--rm", core], check=True)


def keep(mark, folder):
    """All that is known of the test's processes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    here = os.getcwd()
    found = sorted(processes(mark), key=lambda process: int(process.name))
    with open(folder / "processes", "w", encoding="utf-8") as file:
        file.writelines(map(describe, found))
    for process in found:
        try:
            words = words_of(process)
            if "-qmp" in words and os.path.basename(words[0]).startswith("qemu-system"):
                keep_machine(process, words, folder)
        except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
            print(f"# of process {process.name} not all could be kept: {error}")
        os.chdir(here)


def end(child):
    """Lets a test clean up behind itself, and if it does not, ends it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(END_SECONDS)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def begin(test, mark):
    """Starts a test, in a group of its own, as behind timeout; signals that are to end this program
    go there, however early they come."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def prepare():
        os.setpgid(0, 0)
        # A shell starts what it leaves in the background with these ignored, and programs inherit that.
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = subprocess.Popen(test, env={**os.environ, MARK: mark}, preexec_fn=prepare)
    for number in signals:
        signal.signal(number, lambda number, frame: os.killpg(child.pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    return child


def main():
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        print("usage: tests/limit.py SECONDS TEST WORDS…", file=sys.stderr)
        return 2
    seconds, test = int(sys.argv[1]), sys.argv[2:]
    build = pathlib.Path(os.environ.get("CORVUS_BUILD", "build")).absolute()
    mark = str(os.getpid())
    child = begin(test, mark)
    try:
        status = child.wait(seconds)
        return status if status >= 0 else 128 - status
    except subprocess.TimeoutExpired:
        folder = build / "hung" / os.path.basename(test[0])
        print(f"# it hangs; what its machines are like is kept in {folder}", flush=True)
        keep(f"{MARK}={mark}".encode(), folder)
        sys.stdout.flush()
        end(child)
        return 124


if __name__ == "__main__":
    sys.exit(main())
