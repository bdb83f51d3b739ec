#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: the file systems of a node, as deploy/initramfs.sh and deploy/disk.sh make them."""

import os
import pathlib
import stat
import subprocess
import tempfile

from harness import AGENT, TOP, check, end

CORVUS = AGENT.parent / "corvus"
# 256 MiB of a node, of which 190 are for programs.
SMALL_MAX = 8 << 20
DATE = 1704067200


def make(kind, output):
    """Makes an image of the small variant."""
    return subprocess.run(
        [TOP / "deploy" / kind, "small", output, AGENT, CORVUS], capture_output=True, text=True, check=False
    )


def read_archive(data):
    """The entries of a cpio archive: path to (mode, owner, group, date, device, contents)."""
    entries = {}
    at = 0
    while True:
        if data[at : at + 6] != b"070701":
            raise ValueError(f"no header at {at}")
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        _, mode, owner, group, _, date, size, _, _, major, minor, name_size, _ = fields
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        begin = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return entries
        if name in entries:
            raise ValueError(f"{name} twice")
        entries[name] = (mode, owner, group, date, (major, minor), data[begin : begin + size])
        at = (begin + size + 3) & ~3


def initramfs(folder):
    """The initramfs."""
    result = make("initramfs.sh", folder / "a")
    check(result.returncode == 0, "it is made", result.stderr)
    data = (folder / "a").read_bytes()
    check(len(data) < SMALL_MAX, f"{len(data)} bytes")
    make("initramfs.sh", folder / "b")
    check((folder / "b").read_bytes() == data, "the second one is the same")
    entries = read_archive(data)
    check(all(entry[1:4] == (0, 0, DATE) for entry in entries.values()), "all of root, with one date")
    check(list(entries)[:-2] == sorted(list(entries)[:-2]), "sorted, so folders come first")
    for path, mode, device in (("dev/console", 0o600, (5, 1)), ("dev/null", 0o666, (1, 3))):
        check(entries[path][0] == stat.S_IFCHR | mode and entries[path][4] == device, path, entries[path][:5])
    for path, mode in (("init", 0o755), ("usr/bin/agent", 0o755), ("etc/passwd", 0o644)):
        check(entries[path][0] == stat.S_IFREG | mode, f"{path} has its mode")
    check(entries["usr/bin/agent"][5] == AGENT.read_bytes(), "the agent is in it")
    check(entries["tmp"][0] == stat.S_IFDIR | 0o1777, "tmp is everybody's")
    for path in ("usr/bin/sh", "usr/sbin/init", "usr/bin/env", "usr/bin/cttyhack"):
        check(stat.S_ISLNK(entries[path][0]) and entries[path][5] == b"/bin/busybox", f"{path} is busybox")
    folders = {path for path, entry in entries.items() if stat.S_ISDIR(entry[0])}
    parents = {os.path.dirname(path) for path in entries} - {""}
    check(parents <= folders, "nothing lies in a folder that is not there", parents - folders)


def disk(folder):
    """A disk."""
    result = make("disk.sh", folder / "c")
    check(result.returncode == 0, "a disk is made", result.stderr)
    make("disk.sh", folder / "d")
    same = subprocess.run(["cmp", folder / "c", folder / "d"], capture_output=True, text=True)
    check(same.returncode == 0, "the second one is the same", same)
    environment = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    result = subprocess.run(["e2fsck", "-fn", folder / "c"], capture_output=True, text=True, env=environment)
    check(result.returncode == 0, "its file system is in order", result.stdout)
    result = subprocess.run(
        ["debugfs", "-R", "stat /usr/bin/agent", folder / "c"], capture_output=True, text=True, env=environment
    )
    check("Mode:  0755" in result.stdout and "User:     0" in result.stdout, "files are root's", result.stdout)
    check((folder / "c").stat().st_blocks * 512 < 128 << 20, "what is empty takes no room")


def wrong_arguments(folder):
    """Wrong arguments."""
    for kind in ("initramfs.sh", "disk.sh"):
        for arguments in ((), ("small",), ("large", folder / "x"), ("small", "")):
            result = subprocess.run([TOP / "deploy" / kind, *arguments], capture_output=True, text=True)
            check(result.returncode == 2 and "usage:" in result.stderr, f"{kind} {arguments[:1]}", result)
    lists = {
        "a name that is none": "Not_A_Name!\n",
        "a package that there is not": "no-such-package-at-all /x\n",
        "a file that there is not": "busybox-static /no/such/file\n",
    }
    for name, text in lists.items():
        (folder / "test.packages").write_text(text)
        result = subprocess.run(
            [TOP / "deploy" / "packages.sh", folder / "test.packages", folder / "tree"], capture_output=True, text=True
        )
        check(result.returncode != 0 and not (folder / "tree").exists(), f"packages: {name}", result)


def main():
    with tempfile.TemporaryDirectory(prefix="images-", dir=TOP / "build") as name:
        folder = pathlib.Path(name)
        for part in (initramfs, disk, wrong_arguments):
            part(folder)
    end()


if __name__ == "__main__":
    main()
