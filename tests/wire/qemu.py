#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: two real QEMUs on the wire. One has a network card with firmware that asks for an address; the
other, without a machine, joins QEMU's own DHCP server to the wire through a hub port."""

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import hub as wire  # noqa: E402
from harness import check, end, wait_until  # noqa: E402

ROM = "/usr/lib/ipxe/qemu/efi-virtio.rom"
MAC = "52:54:00:c0:00:01"
SECONDS = 90


def netdev(folder, node, name):
    """QEMU's end of the wire."""
    return (
        f"dgram,id={name},local.type=unix,local.path={folder}/node{node}.nic,"
        f"remote.type=unix,remote.path={folder}/wire{node}"
    )


def start(log, *options):
    """A QEMU; its output goes into a file."""
    with open(log, "wb") as file:
        return subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none", *options],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )


def read(path):
    """What a machine has said."""
    with open(path, errors="replace", encoding="utf-8") as file:
        return file.read()


def client(folder):
    """A machine that boots from the network."""
    return start(
        f"{folder}/client", "-machine", "pc,graphics=off", "-m", "128", "-serial", "stdio",
        "-netdev", netdev(folder, 1, "lan"), "-boot", "n",
        "-device", f"virtio-net-pci,netdev=lan,mac={MAC}",
    )


def server(folder):
    """DHCP and nothing else."""
    return start(
        f"{folder}/server", "-machine", "none", "-netdev", netdev(folder, 2, "lan"),
        "-netdev", "user,id=slirp,restrict=on",
        "-netdev", "hubport,id=left,hubid=0,netdev=lan", "-netdev", "hubport,id=right,hubid=0,netdev=slirp",
    )


def has_address(folder):
    """True when the client was given one."""
    return wait_until(lambda: "10.0.2.15" in read(f"{folder}/client"), SECONDS)


def run(folder, machines):
    """The test; it puts the machines it starts into a list."""
    check(os.path.exists(ROM), "the card's firmware is installed (ipxe-qemu)")
    lan = wire.Hub(folder, 2)
    machines += [server(folder), client(folder)]
    check(has_address(folder), "a card in QEMU gets an address over the wire", read(f"{folder}/client"))
    stats = lan.stats()
    check(all(port["received"] > 1 and port["sent"] > 1 for port in stats["ports"]), "both ways", stats)
    machines[1].kill()
    machines[1].wait()
    machines[1] = client(folder)
    check(has_address(folder), "so does the machine that follows one that was killed")
    lan.end()
    machines[1].kill()
    machines[1].wait()
    machines[1] = client(folder)
    wait_until(lambda: "net0" in read(f"{folder}/client"), SECONDS)
    lan = wire.Hub(folder, 2)
    check(has_address(folder), "and one that was there before the hub", read(f"{folder}/client"))
    lan.end()


def main():
    machines = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(folder, machines)
        finally:
            for machine in machines:
                machine.kill()
                machine.wait()
    end()


if __name__ == "__main__":
    main()
