#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: the hub of the virtual LAN, with sockets of this process in place of nodes."""

import atexit
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "agent"))

from harness import BUILD, check, end, wait_until  # noqa: E402

WIRE = BUILD / "deploy" / "wire"
ALL = 0
QUIET_SECONDS = 0.3
BYTES_MAX = 9018


def address(node):
    """A node's address; ALL is everybody."""
    return bytes([0x52, 0x54, 0, 0xC0, 0, node]) if node else b"\xff" * 6


def frame(source, destination, text, size=0):
    """A frame with a text in it."""
    data = address(destination) + address(source) + b"\x88\xb5" + text.encode()
    return data + bytes(max(0, size - len(data)))


def text_of(data):
    """What frame() put into it."""
    return data[14:].rstrip(b"\0").decode(errors="replace")


class Node:
    """One node's end of the wire, as QEMU has it."""

    def __init__(self, folder, number):
        self.number = number
        self.hub = f"{folder}/wire{number}"
        self.path = f"{folder}/node{number}.nic"
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10)

    def send(self, destination, text, size=0, source=None):
        """Sends a frame. False when there is no hub."""
        return self.send_bytes(frame(source or self.number, destination, text, size))

    def send_bytes(self, data):
        """Sends anything."""
        try:
            self.socket.sendto(data, self.hub)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True

    def receive(self, seconds=10.0):
        """The next frame's bytes; None when none comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(65536)
        except TimeoutError:
            return None

    def texts(self, seconds=QUIET_SECONDS):
        """The texts of all frames that come until it is quiet."""
        found = []
        while (data := self.receive(seconds)) is not None:
            found.append(text_of(data))
        return found

    def close(self):
        """The node ends, and leaves its socket's file as QEMU does when it is killed."""
        self.socket.close()


class Hub:
    """A hub in a folder."""

    def __init__(self, folder, nodes, *spec):
        self.folder = folder
        self.process = subprocess.Popen(
            [WIRE, "serve", folder, str(nodes), *spec], stderr=subprocess.PIPE, text=True
        )
        # However this test ends.
        atexit.register(self.process.kill)
        wait_until(lambda: self.process.poll() is not None or self.tell("stats")[0] == 0)

    def tell(self, *words):
        """A command; its status and what it said."""
        result = subprocess.run(
            [WIRE, "tell", self.folder, *words], capture_output=True, text=True, timeout=20, check=False
        )
        return result.returncode, result.stdout + result.stderr

    def stats(self):
        """The counters."""
        return json.loads(self.tell("stats", "json")[1])

    def port(self, node, counter):
        """A counter of a node."""
        return self.stats()["ports"][node - 1][counter]

    def link(self, source, destination, counter):
        """A counter of a link."""
        for link in self.stats()["links"]:
            if (link["from"], link["to"]) == (source, destination):
                return link[counter]
        return None

    def end(self, number=signal.SIGTERM):
        """Ends it; what it said."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)[1]


def started(folder, count, *spec):
    """A hub and its nodes, which know one another."""
    hub = Hub(folder, count, *spec)
    nodes = [Node(folder, number) for number in range(1, count + 1)]
    for node in nodes:
        node.send(ALL, "hello")
    for node in nodes:
        node.texts()
    return hub, nodes


def forwarding(folder):
    """A perfect wire."""
    hub, (one, two, three) = started(folder, 3)
    one.send(ALL, "to all")
    check(two.texts() == ["to all"] and three.texts() == ["to all"], "a broadcast reaches all others")
    one.send(3, "to three")
    check(
        three.texts() == ["to three"] and two.texts() == [] and one.texts() == [],
        "a frame for one node reaches it alone",
    )
    data = frame(1, 2, "large")
    data += os.urandom(BYTES_MAX - len(data))
    one.send_bytes(data)
    check(two.receive() == data, "a frame of an MTU of 9000 with a VLAN tag")
    one.send_bytes(data + b"x")
    one.send_bytes(b"short")
    one.send_bytes(b"")
    two.send(1, "still there")
    check(one.texts() == ["still there"] and two.texts() == [], "no frame of a wrong length")
    check(hub.port(1, "giant") == 1 and hub.port(1, "runt") == 2, "which are counted")
    count = 2000
    received = []
    for i in range(count):
        one.send(2, f"{i}")
        received.append(text_of(two.receive()))
    check(received == [f"{i}" for i in range(count)], "2,000 frames, none lost, in order")
    check("frames were not given back" not in hub.end(), "no frame is missing at the end")
    check(hub.process.returncode == 0, "SIGTERM ends it well")
    check(
        not any(name.startswith("wire") for name in os.listdir(folder)), "and it removes its sockets"
    )


def coming_and_going(folder):
    """Nodes and hub in any order."""
    one = Node(folder, 1)
    check(not one.send(2, "too early"), "a node before the hub")
    hub = Hub(folder, 2)
    one.send(2, "to nobody")
    check(wait_until(lambda: hub.port(2, "absent") == 1), "a frame to a node that is not there is counted")
    two = Node(folder, 2)
    two.send(1, "here")
    one.send(2, "welcome")
    check(one.texts() == ["here"] and two.texts() == ["welcome"], "a node after the hub")
    two.close()
    one.send(2, "gone")
    check(wait_until(lambda: hub.port(2, "absent") == 2), "a node that was killed")
    two = Node(folder, 2)
    time.sleep(0.05)
    one.send(2, "again")
    check(two.texts() == ["again"], "a node started again is on the wire before it has spoken")
    check(hub.port(2, "present"), "stats tell that it is there")
    two.close()
    check(not hub.port(2, "present") and hub.port(1, "present"), "and that it is not")
    two = Node(folder, 2)
    one.send(2, "at once")
    check(two.texts() == ["at once"], "so is one that the hub never missed")
    hub.end(signal.SIGKILL)
    check(not one.send(2, "no hub"), "without a hub")
    check(hub.tell("stats")[0] == 3, "which a command says")
    hub = Hub(folder, 2)
    one.send(ALL, "new hub")
    two.send(ALL, "new hub")
    check(one.texts() == ["new hub"] and two.texts() == ["new hub"], "a hub that was killed and started again")
    second = subprocess.run(
        [WIRE, "serve", folder, "2"], capture_output=True, text=True, timeout=20, check=False
    )
    check(second.returncode == 1 and "a hub is at work" in second.stderr, "a second hub in the folder declines")
    one.send(2, "unharmed")
    check(two.texts() == ["unharmed"] and hub.tell("stats")[0] == 0, "and does the first no harm")
    hub.end()


def for_the_dead(folder):
    """What is for a node that has gone is nobody else's: one might answer in its name."""
    hub, (one, two, three) = started(folder, 3)
    two.send(1, "here")
    check(one.texts() == ["here"], "a node tells where it is")
    two.close()
    one.send(2, "are you there")
    check(
        three.texts() == [] and wait_until(lambda: hub.port(2, "absent") == 1),
        "what is sent to it when it has gone reaches nobody else",
    )
    two = Node(folder, 2)
    one.send(2, "and now")
    check(two.texts() == ["and now"] and three.texts() == [], "but itself, when it is back")
    three.send(1, "2's", source=2)
    one.send(2, "to its new place")
    check(three.texts() == ["to its new place"] and two.texts() == [], "or whoever has its address next")
    hub.end()


def full_socket(folder):
    """A node that takes nothing, as if frozen."""
    hub, (one, two, three) = started(folder, 3)
    for i in range(1000):
        one.send(2, f"{i}")
        one.send(3, f"{i}")
        three.receive()
    kept = wait_until(lambda: hub.port(2, "full") > 0)
    stats = hub.stats()["ports"][1]
    check(kept and stats["waiting"] == 512, "a node that takes nothing: 512 frames wait", stats)
    texts = two.texts()
    check(
        texts == [f"{i}" for i in range(len(texts))] and len(texts) == 1000 - hub.port(2, "full"),
        "when it is back it gets them in order, and the others were counted",
        len(texts),
    )
    check(len(texts) > 512, "the socket's own queue besides")
    check(hub.port(3, "full") == 0 and hub.port(3, "sent") >= 1000, "another node missed nothing")
    for i in range(100):
        one.send(2, f"{i}")
    two.close()
    time.sleep(0.2)
    check(
        wait_until(lambda: hub.port(2, "waiting") == 0), "what waits for a node that ends is given up"
    )
    hub.end()


def fate(folder, pause):
    """Which of 300 frames arrive, and how, from one seed."""
    hub, (one, two) = started(folder, 2)
    hub.tell("wire", "loss=10%,dup=5%,biterror=1e-4,seed=42")
    found = []
    for i in range(300):
        one.send(2, f"number {i}")
        if pause and i % 50 == 0:
            time.sleep(pause)
        # Not to be outrun: what a full socket drops is no matter of the seed.
        if i % 5 == 4:
            found += two.texts(0.005)
    found += two.texts()
    hub.end()
    return found


def impairments(folder):
    """SPECs of a running hub."""
    first = fate(folder, 0)
    check(first == fate(folder, 0.02), "the same seed, the same frames, another speed: the same fate")
    check(200 < len(set(first)) < 300 and len(first) > len(set(first)), "which some did not survive")
    hub, (one, two) = started(folder, 2, "delay=200ms")
    begin = time.monotonic()
    one.send(2, "late")
    check(two.receive() is not None and 0.19 < time.monotonic() - begin, "delay from the start on")
    check(hub.tell("wire", "1>2:loss=100%")[0] == 0, "another SPEC while it runs")
    one.send(2, "lost")
    two.send(1, "kept")
    check(one.texts() == ["kept"] and two.texts() == [], "one way")
    status, said = hub.tell("wire", "loss=200%")
    check(status == 1 and "no probability" in said and said.count("\n") == 1, "a wrong SPEC is refused")
    one.send(2, "still lost")
    check(two.texts() == [] and hub.link(1, 2, "lost") == 2, "and changes nothing")
    check(hub.stats()["spec"] == "seed=1 1>2:loss=1", "stats tell the SPEC")
    check(hub.tell("wire", "broadcast=100%")[0] == 0, "a wire without broadcasts")
    one.send(ALL, "to all")
    one.send_bytes(address(ALL) + address(1) + b"\x08\x06who has")
    one.send(2, "to one")
    check(two.texts() == ["who has", "to one"], "but ARP's")
    check(hub.link(1, 2, "lost") == 3 and hub.stats()["spec"] == "broadcast=1", "which stats tell")
    hub.tell("wire", "rate=80kbit")
    begin = time.monotonic()
    for _ in range(5):
        one.send(2, "slow", 1000)
    count = len(two.texts(1))
    seconds = time.monotonic() - begin - 1
    check(count == 5 and seconds > 0.45, "5,000 bytes take half a second at 80 kbit/s", seconds)
    hub.end()


def partitions(folder):
    """Cuts."""
    hub, nodes = started(folder, 4)
    one, two, three, four = nodes
    check(hub.tell("cut", "1,2")[0] == 0, "cut 1,2")
    for node in nodes:
        node.send(ALL, f"from {node.number}")
    check(
        [node.texts() for node in nodes] == [["from 2"], ["from 1"], ["from 4"], ["from 3"]],
        "both halves go on, apart",
    )
    one.send(3, "in disguise", source=4)
    one.send(3, "openly")
    check(three.texts() == [], "another one's address does not help")
    four.send(3, "to three")
    three.send(4, "to four")
    check(three.texts() == ["to three"] and four.texts() == ["to four"], "nor does it disturb")
    check(hub.link(1, 3, "cut") == 3, "what was cut off is counted", hub.stats())
    check(len(hub.stats()["cuts"]) == 8, "stats tell the cuts")
    hub.tell("heal")
    two.send(3, "healed")
    check(three.texts() == ["healed"], "heal")
    hub.tell("cut", "2>3")
    two.send(3, "not this way")
    three.send(2, "this way")
    check(three.texts() == [] and two.texts() == ["this way"], "a one-way cut")
    check("2>3" in hub.tell("stats")[1], "stats as text")
    hub.end()


def blocks(data):
    """The blocks of a pcapng file: type and contents."""
    place = 0
    while place < len(data):
        kind, length = struct.unpack_from("<II", data, place)
        assert struct.unpack_from("<I", data, place + length - 4)[0] == length
        yield kind, data[place + 8 : place + length - 4]
        place += length


def packets(path):
    """Interface, direction and text of each frame in a file; and the number of interfaces."""
    interfaces = 0
    found = []
    for kind, body in blocks(pathlib.Path(path).read_bytes()):
        if kind == 1:
            interfaces += 1
        elif kind == 6:
            interface, high, low, captured, _ = struct.unpack_from("<IIIII", body)
            flags = struct.unpack_from("<HHI", body, 20 + (captured + 3) // 4 * 4)[2]
            assert abs((high << 32 | low) / 1e9 - time.time()) < 600
            found.append((interface + 1, flags, text_of(body[20 : 20 + captured])))
    return interfaces, found


def captures(folder):
    """pcap."""
    hub, (one, two) = started(folder, 2)
    path = f"{folder}/a file.pcap"
    check(hub.tell("pcap", path)[0] == 0 and hub.stats()["pcap"] == path, "pcap FILE")
    hub.tell("wire", "1>2:loss=100%")
    one.send(2, "lost")
    two.send(1, "kept")
    one.texts()
    check(
        packets(path) == (2, [(1, 1, "lost"), (2, 1, "kept"), (1, 2, "kept")]),
        "what nodes send, and what they get, at once in the file",
        packets(path),
    )
    check(hub.tell("pcap", "off")[0] == 0 and hub.stats()["pcap"] is None, "pcap off")
    two.send(1, "not seen")
    one.texts()
    check(len(packets(path)[1]) == 3, "ends it")
    path = f"{folder}/rotated"
    hub.tell("pcap", "rotate=64k", "keep=2", path)
    for i in range(60):
        two.send(1, f"{i}", 4000)
        one.receive()
    names = sorted(name for name in os.listdir(folder) if name.startswith("rotated"))
    check(names == ["rotated", "rotated.1", "rotated.2"], "rotation keeps as many as it says", names)
    check(all(os.path.getsize(f"{folder}/{name}") <= 65536 for name in names), "of that size")
    last = packets(f"{path}.1")[1][-1], packets(path)[1][0]
    check(int(last[0][2]) <= int(last[1][2]) <= int(last[0][2]) + 1, "and nothing lies between them", last)
    status, said = hub.tell("pcap", "/nowhere/x")
    check(status == 1 and "No such file" in said, "a file that cannot be made")
    os.symlink("/dev/full", f"{folder}/full")
    hub.tell("pcap", f"{folder}/full")
    two.send(1, "into the full disk")
    check(one.texts() == ["into the full disk"], "a full disk does not stop the wire")
    stats = hub.stats()
    check(stats["pcap"] is None and "No space" in stats["pcap_error"], "but the capture, and stats say so")
    hub.end()


def hostile_clients(folder):
    """The control socket."""
    hub, (one, two) = started(folder, 2)
    silent = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.connect(f"{folder}/wire.control")
        silent.append(client)
    check(hub.tell("stats")[0] == 0, "clients that say nothing are in nobody's way")
    for data in (b"\n", b"x" * 100000, b"wire\0 loss=1\n", bytes(range(256)) * 20):
        client = socket.socket(socket.AF_UNIX)
        client.connect(f"{folder}/wire.control")
        client.settimeout(10)
        try:
            client.sendall(data)
            answer = client.recv(100)
        except ConnectionError:
            answer = b"error: closed"
        check(answer.startswith(b"error: "), f"{data[:6]!r}… is refused", answer)
    one.send(2, "unimpressed")
    check(two.texts() == ["unimpressed"], "the wire works on")
    hub.end()


def arguments(folder):
    """Wrong arguments: one line and the usage."""
    for words in ([], ["fly"], ["serve", folder], ["serve", folder, "17"], ["serve", folder, "2", "x=1"],
                  ["tell", folder], ["tell", folder, "a\nb"], ["check", "0", "heal"]):
        result = subprocess.run([WIRE, *words], capture_output=True, text=True, timeout=20, check=False)
        lines = result.stderr.splitlines()
        check(
            result.returncode == 2 and len(lines) == 4 and lines[1].startswith("usage:"),
            f"arguments {words[:1] + words[2:]} are refused", result.stderr,
        )
    long = subprocess.run(
        [WIRE, "serve", "x" * 120, "2"], capture_output=True, text=True, timeout=20, check=False
    )
    check(long.returncode == 1 and "too long" in long.stderr, "a folder with too long a name", long.stderr)


def main():
    for test in (forwarding, coming_and_going, for_the_dead, full_socket, impairments, partitions, captures,
                 hostile_clients, arguments):
        with tempfile.TemporaryDirectory() as folder:
            test(folder)
    end()


if __name__ == "__main__":
    main()
