# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the agent share: TAP, and a node without a machine.

The agent runs on the host, the server too, and a Line stands for what is between them in a node: a
byte channel that either end may leave and come back to.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("CORVUS_BUILD", "build")
AGENT = BUILD / "linux" / "programs" / "agent"
MAIN = TOP / "deploy" / "agent" / "main.py"
sys.path.insert(0, str(TOP / "deploy" / "agent"))

SECONDS = 60
_count = 0
_failures = 0


def check(passed, text, detail=""):
    """One test."""
    global _count, _failures
    _count += 1
    print(f"{'ok' if passed else 'not ok'} {_count} - {text}", flush=True)
    if not passed:
        _failures += 1
        for line in str(detail)[-2000:].splitlines():
            print(f"#   {line}")
    return passed


def end():
    """The plan, and the status."""
    print(f"1..{_count}")
    sys.exit(1 if _failures else 0)


def wait_until(condition, seconds=SECONDS):
    """Waits for a condition; false when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Line:
    """Joins two sockets like QEMU's virtio-serial port: what an agent says to nobody is lost."""

    def __init__(self, host_path, node_path):
        self.ends = {}
        self.seen = {"host": 0, "node": 0}  # bytes that came from there
        self.held = threading.Event()  # set: bytes flow
        self.held.set()
        for name, path in (("host", host_path), ("node", node_path)):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1)
            threading.Thread(target=self._accept, args=(listener, name), daemon=True).start()

    def _accept(self, listener, name):
        while True:
            connection, _ = listener.accept()
            self.ends[name] = connection
            self._pump(connection, name)
            if self.ends.get(name) is connection:
                del self.ends[name]

    def _pump(self, connection, name):
        other = "node" if name == "host" else "host"
        while True:
            try:
                data = connection.recv(4096)
            except OSError:
                return
            if not data:
                return
            self.seen[name] += len(data)
            self.held.wait()
            self._pass_on(data, other)

    def _pass_on(self, data, name):
        while True:
            end = self.ends.get(name)
            try:
                if end is not None:
                    end.sendall(data)
                    return
            except OSError:
                pass
            if name == "host":
                return
            time.sleep(0.02)

    def inject(self, name, data):
        """Bytes that one end gets as if the other had sent them."""
        self.ends[name].sendall(data)

    def break_end(self, name):
        """One end loses its connection."""
        self.ends[name].shutdown(socket.SHUT_RDWR)


class Node:
    """An agent and a server on a Line."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="corvus-agent-")
        self.socket = f"{self.folder}/agent"
        self.channel = f"{self.folder}/channel"
        self.line = Line(self.channel, f"{self.folder}/node")
        self.log = open(f"{self.folder}/log", "ab")
        self.agent = self.server = None
        self.start_agent()
        self.start_server()

    def start_agent(self):
        """Starts the agent (again)."""
        home = dict(os.environ, HOME=self.folder)
        self.agent = subprocess.Popen(
            [AGENT, f"{self.folder}/node"], stderr=self.log, stdin=subprocess.DEVNULL, env=home
        )

    def start_server(self):
        """Starts the server (again); returns when the agent answers it."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.server = subprocess.Popen([MAIN, "serve", self.channel, self.socket], stderr=self.log)
        if not wait_until(lambda: os.path.exists(self.socket)):
            raise TimeoutError("the agent does not answer")

    def command(self, *arguments, options=()):
        """The command line that runs something in the node."""
        return [MAIN, "exec", *options, self.socket, "--", *arguments]

    def run(self, *arguments, options=(), **more):
        """Runs something in the node to its end."""
        more.setdefault("stdin", subprocess.DEVNULL) if "input" not in more else None
        return subprocess.run(
            self.command(*arguments, options=options),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            **more,
        )

    def start(self, *arguments, options=(), **more):
        """Starts something in the node."""
        for name in ("stdin", "stdout", "stderr"):
            more.setdefault(name, subprocess.PIPE)
        return subprocess.Popen(self.command(*arguments, options=options), **more)

    def copy(self, *paths):
        """Copies files; N: before a path means the node."""
        paths = [str(path).replace("N:", "1:", 1) if str(path)[:2] == "N:" else str(path) for path in paths]
        return subprocess.run(
            [MAIN, "copy", self.socket, *paths], capture_output=True, timeout=SECONDS, check=False
        )

    def connections(self):
        """Clients that the server has at the moment."""
        with open("/proc/net/unix", encoding="ascii", errors="replace") as table:
            return sum(line.split()[5:6] == ["03"] and line.split()[-1] == self.socket for line in table)

    def counters(self):
        """The agent's counters."""
        text = subprocess.run(
            [MAIN, "query", self.socket], capture_output=True, timeout=SECONDS, check=True
        ).stdout.decode()
        return {name: int(value) for name, value in map(str.split, text.splitlines())}

    def memory(self):
        """The agent's resident memory, in KiB."""
        with open(f"/proc/{self.agent.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def log_text(self):
        """What agent and server said."""
        with open(f"{self.folder}/log") as file:
            return file.read()

    def stop(self):
        """Ends both."""
        for process in (self.server, self.agent):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
