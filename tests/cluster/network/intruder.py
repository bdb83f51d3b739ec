#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Somebody on the wire who means no good: sits at a port of the hub in the place of a node that does not
run, and sends frames to the nodes.

usage: intruder.py FOLDER PORT SECONDS RATE KIND…
FOLDER is build/cluster/NAME, RATE in frames a second (0: as fast as it goes). The KINDs take turns:
  broadcast   frames of an unknown protocol, of all sizes, to everybody
  unicast     the same to the cards of nodes 1 and 2, and to their Linuxes
  arp         questions for addresses that nobody has, from addresses that nobody has
  syn         TCP SYNs to the port of the network servers, from many addresses
  beacon      UDP datagrams to it: beacons of random bytes, cut and too long ones
  random      IP packets, UDP and TCP headers of random contents, with sound checksums of IP
  connect     whole TCP connections to it from node 3's address, which then say random bytes, or nothing
Prints how many frames were sent and received.
"""

import os
import random
import socket
import struct
import sys
import time

ME = bytes.fromhex("525400bad000")
PORT = 6730
PREPARED = 500  # frames of a kind, sent over and over


def card(node):
    return bytes.fromhex("525400c000") + bytes([node])


def server_address(node):
    return bytes([10, 67, 0, node])


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(to, kind, payload, source=ME):
    return (to + source + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def ip(source, to, protocol, payload, chance):
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), chance.randrange(65536), 0, 64, protocol, 0)
    header += source + to
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def tcp(source, to, ports, numbers, flags, payload=b""):
    header = struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 8192, 0, 0)
    pseudo = source + to + struct.pack("!HH", 6, len(header) + len(payload))
    total = checksum(pseudo + header + payload)
    return header[:16] + struct.pack("!H", total) + header[18:] + payload


def udp(source, to, payload):
    header = struct.pack("!HHHH", PORT, PORT, 8 + len(payload), 0)
    total = checksum(source + to + struct.pack("!HH", 17, len(header) + len(payload)) + header + payload)
    return header[:6] + struct.pack("!H", total or 0xFFFF) + payload


def stranger(chance):
    """An address of the LAN that is no node's."""
    return bytes([10, 67, chance.randrange(2, 250), chance.randrange(1, 255)])


class Makers:
    """A function for each KIND: one frame."""

    def __init__(self, chance):
        self.chance = chance

    def size(self):
        return self.chance.choice([1, 46, 100, 500, 1500, 8986])

    def broadcast(self):
        return ethernet(b"\xff" * 6, self.chance.choice([0x88B5, 0x0800, 0x86DD, 0x8100]),
                        self.chance.randbytes(self.size()))

    def unicast(self):
        node = self.chance.choice([1, 2])
        to = self.chance.choice([card(node), bytes.fromhex("525400c100") + bytes([node])])
        return ethernet(to, self.chance.choice([0x88B5, 0x0800, 0x0806]), self.chance.randbytes(self.size()))

    def arp(self):
        question = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + self.chance.randbytes(6) + stranger(self.chance)
        return ethernet(b"\xff" * 6, 0x0806, question + bytes(6) + stranger(self.chance))

    def to_server(self, protocol, payload_of):
        node, source = self.chance.choice([1, 2]), stranger(self.chance)
        to = server_address(node)
        return ethernet(card(node), 0x0800, ip(source, to, protocol, payload_of(source, to), self.chance))

    def syn(self):
        ports = (self.chance.randrange(1024, 65536), PORT)
        numbers = (self.chance.randrange(1 << 32), 0)
        return self.to_server(6, lambda source, to: tcp(source, to, ports, numbers, 0x02))

    def beacon(self):
        data = self.chance.randbytes(self.chance.choice([0, 1, 20, 63, 64, 72, 80, 96, 128, 1024, 1400]))
        return self.to_server(17, lambda source, to: udp(source, to, data))

    def random(self):
        protocol, size = self.chance.choice([1, 2, 6, 17, 50]), self.chance.choice([0, 7, 8, 20, 64, 1400])
        return self.to_server(protocol, lambda source, to: self.chance.randbytes(size))


class Connections:
    """Connections as a peer would make them. Enough of TCP to be believed; nothing is sent again."""

    def __init__(self, chance, wire):
        self.chance = chance
        self.wire = wire
        self.port = 1024
        self.established = 0

    def begin(self):
        self.port = self.port % 60000 + 1024
        node = self.chance.choice([1, 2])
        source = bytes([10, 67, 0, 3])
        segment = tcp(source, server_address(node), (self.port, PORT), (1000, 0), 0x02)
        return ethernet(card(node), 0x0800, ip(source, server_address(node), 6, segment, self.chance))

    def answer(self, frame):
        """Answers questions for the address, and takes up connections."""
        if frame[12:14] == b"\x08\x06" and frame[38:42] == bytes([10, 67, 0, 3]):
            reply = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + ME + frame[38:42] + frame[22:32]
            self.wire.send(ethernet(frame[6:12], 0x0806, reply))
        elif frame[12:14] == b"\x08\x00" and frame[23] == 6 and len(frame) >= 54 and frame[47] & 0x12 == 0x12:
            source, to = frame[30:34], frame[26:30]
            ports = struct.unpack("!HH", frame[34:38])
            theirs = struct.unpack("!I", frame[38:42])[0]
            said = self.chance.randbytes(self.chance.choice([0, 1, 48, 200, 1400]))
            segment = tcp(source, to, (ports[1], ports[0]), (1001, (theirs + 1) & 0xFFFFFFFF), 0x18, said)
            self.wire.send(ethernet(frame[6:12], 0x0800, ip(source, to, 6, segment, self.chance)))
            self.established += 1


class Wire:
    """A port of the hub."""

    def __init__(self, folder, port):
        self.path = f"{folder}/node{port}.nic"
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        # Not connected: the hub answers from another socket than that.
        self.hub = f"{folder}/wire{port}"
        self.socket.setblocking(False)
        self.sent = self.received = 0

    def send(self, frame):
        try:
            self.socket.sendto(frame, self.hub)
            self.sent += 1
        except BlockingIOError:
            time.sleep(0.001)

    def receive(self):
        try:
            frame = self.socket.recv(65536)
        except BlockingIOError:
            return None
        self.received += 1
        return frame


def main():
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    folder, port, seconds, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    chance = random.Random(4)
    wire = Wire(folder, port)
    makers = Makers(chance)
    connections = Connections(chance, wire)
    kinds = sys.argv[5:]
    frames = {k: [getattr(makers, k)() for _ in range(PREPARED)] for k in kinds if k != "connect"}
    begin = time.monotonic()
    turn = 0
    while (passed := time.monotonic() - begin) < seconds:
        while (frame := wire.receive()) is not None:
            connections.answer(frame)
        if rate and turn >= passed * rate:
            time.sleep(0.002)
            continue
        for _ in range(16):
            kind = kinds[turn % len(kinds)]
            wire.send(connections.begin() if kind == "connect" else frames[kind][turn // len(kinds) % PREPARED])
            turn += 1
    print(f"{wire.sent} frames sent, {wire.received} received, {connections.established} connections")
    os.unlink(wire.path)


if __name__ == "__main__":
    main()
