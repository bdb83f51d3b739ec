#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: the agent's channel when an end goes away in mid-frame, or says what it must not."""

import os
import random
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import AGENT, Node, check, end, wait_until

import wire
from wire import Type

SEED = int(os.environ.get("SEED", "1"))


class Peer:
    """A host that says whatever the test wants, on a channel of its own."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="corvus-agent-")
        path = f"{self.folder}/channel"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.agent = subprocess.Popen([AGENT, path], stdin=subprocess.DEVNULL)
        self.epoch = 0
        self.connect()

    def connect(self):
        """Takes the agent's (next) connection."""
        self.listener.settimeout(20)
        self.channel, _ = self.listener.accept()
        self.channel.settimeout(20)
        self.parser = wire.ChannelParser()
        self.frames = []

    def send(self, *arguments, **more):
        """Sends one frame."""
        self.channel.sendall(wire.channel_frame(*arguments, **more))

    def next(self, kind, session=None):
        """The payload of the next frame of a kind; others before it are dropped."""
        while True:
            while self.frames:
                frame = self.frames.pop(0)
                if frame[0] == kind and session in (None, frame[2]):
                    return frame[3]
            data = self.channel.recv(65536)
            if not data:
                raise EOFError
            self.frames += self.parser.feed(data)

    def hello(self, epoch=None, version=wire.VERSION):
        """Calls the agent, with a new epoch unless told; returns the agent's and the echo."""
        self.epoch = epoch or random.getrandbits(62) + 1
        self.send(Type.HELLO, payload=wire.HELLO.pack(version, wire.WINDOW, self.epoch, 0))
        while True:
            _, _, agent, echo = wire.HELLO.unpack(self.next(Type.HELLO))
            if echo == self.epoch or version != wire.VERSION:
                return agent, echo

    def open(self, session, *arguments, flags=0):
        """Starts a command."""
        self.send(Type.OPEN, session, payload=wire.open_payload(flags, arguments, {}))

    def exit(self, session):
        """How a session ended: kind, value, text."""
        payload = self.next(Type.EXIT, session)
        return (*wire.EXIT.unpack_from(payload), payload[wire.EXIT.size :].decode())

    def report(self):
        """The agent's counters."""
        self.send(Type.QUERY, 999)
        lines = self.next(Type.REPORT).decode().splitlines()
        return {name: int(value) for name, value in map(str.split, lines)}

    def alive(self):
        """A whole session, to see that all is well."""
        self.open(77777, "echo", "well")
        data = self.next(Type.DATA, 77777)
        return data == b"well\n" and self.exit(77777)[:2] == (wire.EXITED, 0)

    def stop(self):
        """Ends the agent."""
        self.agent.kill()
        self.agent.wait()


def number(value):
    """A payload of four bytes."""
    return struct.pack("<I", value)


def hello(peer):
    """Who is who, and who has been started again."""
    peer.open(1, "true")
    peer.send(Type.DATA, 1, payload=b"x")
    epoch, echo = peer.hello()
    check(echo == peer.epoch, "the agent answers a hello")
    counters = peer.report()
    check((counters["opened"], counters["stray_frames"]) == (0, 2), "and heeds nothing before it", counters)
    check(peer.hello(peer.epoch) == (epoch, echo), "again the same")
    peer.open(1, "cat")
    peer.send(Type.DATA, 1, payload=b"a")
    peer.next(Type.DATA, 1)
    peer.hello(peer.epoch)
    peer.send(Type.DATA, 1, payload=b"b")
    check(peer.next(Type.DATA, 1) == b"b", "a hello of the same epoch ends nothing")
    peer.hello()
    check(peer.report()["sessions"] == 0, "one of a new epoch ends all sessions")
    _, echo = peer.hello(version=99)
    check(echo == 0, "a host of another version is told ours, and not served")
    peer.open(2, "true")
    peer.hello()
    check(peer.alive(), "one that knows better is")


def cut_frames(peer):
    """The host vanishes at every byte of a frame."""
    before = peer.report()["bad_frames"]
    frame = wire.channel_frame(Type.DATA, 5, payload=b"\xf9\xfb12345678")
    for cut in range(1, len(frame)):
        peer.channel.sendall(frame[:cut])
        peer.hello()
    check(peer.report()["bad_frames"] - before == len(frame) - 1, "a frame cut at each of its bytes")
    check(peer.alive(), "the channel is in step after each")
    peer.channel.sendall(wire.channel_frame(Type.OPEN, 6, payload=bytes(60000))[:30000])
    peer.channel.close()
    peer.connect()
    peer.hello()
    check(peer.alive(), "the channel itself may go away in mid-frame")


def noise(peer):
    """Bytes of no sense, from a seed."""
    generator = random.Random(SEED)
    for _ in range(200):
        data = bytearray(generator.randbytes(generator.randrange(1, 5000)))
        for _ in range(generator.randrange(10)):
            data[generator.randrange(len(data))] = wire.MARK[0]
        peer.channel.sendall(data)
    peer.hello()
    check(peer.alive(), f"1 MB of noise, seed {SEED}", peer.agent.poll())
    kinds = [kind for kind in Type if kind not in (Type.HELLO, Type.QUERY)]
    for _ in range(3000):
        payload = generator.randbytes(generator.choice((0, 1, 4, 12, 40)))
        peer.send(
            generator.choice(kinds),
            session=generator.randrange(1, 20),
            stream=generator.randrange(3),
            payload=payload,
        )
    peer.hello()
    check(peer.alive(), f"3,000 whole frames of no sense, seed {SEED}", peer.agent.poll())
    check(peer.report()["sessions"] == 0, "leave no session")


def mistakes(peer):
    """Each thing that a host must not do ends its session, with a reason, and no other."""
    long_text = bytes(wire.PIECE_BYTES)
    cases = {
        "DATA beyond the credit": [(Type.DATA, 0, long_text)] * 14,
        "DATA on an output": [(Type.DATA, 1, b"x")],
        "DATA after END": [(Type.END, 0, b""), (Type.DATA, 0, b"x")],
        "END twice": [(Type.END, 0, b""), (Type.END, 0, b"")],
        "END with a payload": [(Type.END, 0, b"x")],
        "END of an output": [(Type.END, 2, b"")],
        "STOP of the input": [(Type.STOP, 0, b"")],
        "CREDIT beyond the window": [(Type.CREDIT, 1, number(1))],
        "CREDIT that wraps around": [(Type.CREDIT, 2, number(0xFFFFFFFF))],
        "CREDIT of the input": [(Type.CREDIT, 0, number(1))],
        "CREDIT of a wrong length": [(Type.CREDIT, 1, b"12345")],
        "SIGNAL 0": [(Type.SIGNAL, 0, number(0))],
        "SIGNAL beyond all": [(Type.SIGNAL, 0, number(1000))],
        "RESIZE without a terminal": [(Type.RESIZE, 0, number(0))],
        "EXIT from the host": [(Type.EXIT, 0, b"")],
        "REPORT from the host": [(Type.REPORT, 0, b"")],
        "OPEN of a session that is open": [(Type.OPEN, 0, wire.open_payload(0, ["true"], {}))],
    }
    peer.open(1, "cat")
    before = peer.report()["mistakes"]
    for session, (name, frames) in enumerate(cases.items(), 10):
        peer.open(session, "sleep", "4720")
        for kind, stream, payload in frames:
            peer.send(kind, session, stream, payload)
        kind, _, text = peer.exit(session)
        check(kind == wire.REFUSED and text, f"{name}: {text}")
    check(peer.report()["mistakes"] - before == len(cases), "they are counted")
    for session, payload in enumerate((b"", bytes(12), b"\0" * 6 + b"\1" + b"\0" * 5 + b"x"), 50):
        peer.send(Type.OPEN, session, payload=payload)
        check(peer.exit(session)[0] == wire.REFUSED, "a spoiled OPEN is refused")
    gone = wait_until(lambda: subprocess.run(["pgrep", "-f", "^sleep 4720"], capture_output=True).returncode)
    check(gone, "their processes have been killed")
    peer.send(Type.DATA, 1, payload=b"still")
    check(peer.next(Type.DATA, 1) == b"still", "another session does not notice")
    peer.send(Type.CLOSE, 1)
    for kind in (Type.DATA, Type.END, Type.CREDIT, Type.SIGNAL, Type.CLOSE):
        peer.send(kind, 1, payload=number(1))
    check(peer.alive(), "frames for a session that is over are nothing")


def too_many(peer):
    """A host that opens more than there may be."""
    before = peer.report()["mistakes"]
    for session in range(1000, 1000 + wire.SESSIONS_MAX + 3):
        peer.open(session, "cat")
    counters = peer.report()
    check(
        (counters["sessions"], counters["mistakes"] - before) == (wire.SESSIONS_MAX, 3),
        "sessions beyond the limit are not opened",
        counters,
    )
    peer.hello()
    check(peer.alive(), "and do no harm")


def no_credit(peer):
    """A host that gives no credit gets a window and no more."""
    peer.open(1, "cat", "/dev/zero")
    got = 0
    while got < wire.WINDOW:
        got += len(peer.next(Type.DATA, 1))
    peer.open(2, "echo", "well")
    data = peer.next(Type.DATA)
    check((got, data) == (wire.WINDOW, b"well\n"), "without credit no more than the window", got)
    peer.send(Type.CREDIT, 1, 1, number(5))
    check(len(peer.next(Type.DATA, 1)) == 5, "and as much as is given then")
    peer.send(Type.CLOSE, 1)


def restarts(node):
    """Agent or server are killed with sessions under way."""
    client = node.start("cat")
    client.stdin.write(b"one\n")
    client.stdin.flush()
    client.stdout.readline()
    node.agent.kill()
    node.agent.wait()
    node.start_agent()
    _, error = client.communicate(timeout=30)
    check(client.returncode == 125 and b"started again" in error, "a restarted agent's sessions fail", error)
    check(node.run("echo", "x").stdout == b"x\n", "the next command runs")
    client = node.start("sleep", "4721")
    running = ["pgrep", "-f", "^sleep 4721"]
    wait_until(lambda: subprocess.run(running, capture_output=True).returncode == 0)
    node.agent.kill()
    node.agent.wait()
    gone = wait_until(lambda: subprocess.run(running, capture_output=True).returncode)
    check(gone, "a command ends with the agent")
    before = node.connections()
    late = node.start("echo", "x")
    wait_until(lambda: node.connections() > before)
    time.sleep(0.5)
    node.start_agent()
    late.communicate(timeout=30)
    check(late.returncode == 125, "one that was sent to the dead one fails, too: nobody knows if it ran")
    client.communicate(timeout=30)

    for turn in range(5):
        clients = [node.start("cat", "/dev/zero", stdout=subprocess.DEVNULL) for _ in range(3)]
        feeder = node.start("cat", stdin=open("/dev/zero", "rb"), stdout=subprocess.DEVNULL)
        seen = node.line.seen["node"]
        wait_until(lambda: node.line.seen["node"] > seen + 1_000_000)
        node.server.kill()
        node.server.wait()
        for process in (*clients, feeder):
            process.communicate(timeout=30)
        node.start_server()
        data = random.randbytes(1_000_000)
        result = node.run("cat", input=data)
        check(result.stdout == data, f"server killed under load, turn {turn + 1}", result.stderr)
    counters = node.counters()
    check(counters["sessions"] == 0, "no session of before is left", counters)
    print(f"# {counters}")

    client = node.start("cat")
    client.stdin.write(b"one\n")
    client.stdin.flush()
    client.stdout.readline()
    node.line.break_end("node")
    result = node.run("echo", "x")
    check(result.stdout == b"x\n", "a channel that breaks at the agent's end is opened again", result)
    client.kill()
    client.communicate()


def host_noise(node):
    """What the server gets that it must not."""
    node.line.inject("host", b"noise" + wire.MARK + b"cut")
    node.line.inject("host", wire.channel_frame(Type.DATA, 12345, 1, b"for nobody"))
    node.line.inject("host", wire.channel_frame(Type.EXIT, 54321, 0, bytes(8)))
    node.line.inject("host", wire.channel_frame(Type.HELLO, payload=b"short"))
    check(node.run("echo", "x").stdout == b"x\n", "noise from the agent's side")
    counters = node.counters()
    check(counters["host_bad_frames"] >= 1 and counters["host_skipped_bytes"] >= 5, "is counted", counters)
    for data in (b"\xff" * 100, wire.client_frame(Type.DATA, payload=b"x"), wire.client_frame(Type.CLOSE)):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(node.socket)
        connection.settimeout(20)
        connection.sendall(data)
        check(connection.recv(100) == b"", "a client that talks nonsense is dropped")
    check(node.run("echo", "x").stdout == b"x\n", "and the others are served")


def main():
    random.seed(SEED)
    peer = Peer()
    try:
        for part in (hello, cut_frames, noise, mistakes, too_many, no_credit):
            part(peer)
        check(peer.agent.poll() is None, "one and the same agent to the end")
    finally:
        peer.stop()
    node = Node()
    try:
        restarts(node)
        host_noise(node)
    finally:
        node.stop()
    end()


if __name__ == "__main__":
    main()
