#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes a folder as a cpio archive of the kind Linux unpacks at start ("newc").

    deploy/cpio.py TREE OUTPUT

The archive depends on names, modes and contents only: entries are sorted, belong to root and have
one date. Device nodes, which only root could make in a folder, are added here: those without which
the first process has no console. Format: Documentation/driver-api/early-userspace/buffer-format.rst
of Linux.
"""

import os
import stat
import sys

# What Linux needs before devtmpfs is mounted: path, mode, major, minor.
DEVICES = (
    ("dev/console", stat.S_IFCHR | 0o600, 5, 1),
    ("dev/null", stat.S_IFCHR | 0o666, 1, 3),
)
# 1 January 2024; 0 makes tar and others warn of implausible dates.
DATE = 1704067200


class Archive:
    """An archive that is being written."""

    def __init__(self, file):
        self.file = file
        self.entries = 0
        self.offset = 0

    def _write(self, data):
        self.file.write(data)
        self.offset += len(data)

    def _align(self):
        self._write(b"\0" * (-self.offset % 4))

    def add(self, path, mode, data=b"", device=(0, 0)):
        """Adds one entry; data is a file's content or a link's target."""
        self.entries += 1
        name = os.fsencode(path) + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = (self.entries, mode, 0, 0, links, DATE, len(data), 0, 0, *device, len(name), 0)
        self._write(b"070701" + b"".join(b"%08X" % field for field in fields))
        self._write(name)
        self._align()
        self._write(data)
        self._align()

    def end(self):
        """Adds the entry that ends an archive."""
        self.add("TRAILER!!!", 0)


def paths_in(tree):
    """All paths below a folder, sorted so that a folder comes before what is in it."""
    paths = []
    for folder, subfolders, files in os.walk(tree):
        paths += [os.path.relpath(os.path.join(folder, name), tree) for name in subfolders + files]
    return sorted(paths, key=os.fsencode)


def add_path(archive, tree, path):
    """Adds what lies at one path of the tree."""
    full = os.path.join(tree, path)
    mode = os.lstat(full).st_mode
    if stat.S_ISLNK(mode):
        archive.add(path, stat.S_IFLNK | 0o777, os.fsencode(os.readlink(full)))
    elif stat.S_ISDIR(mode):
        archive.add(path, mode)
    elif stat.S_ISREG(mode):
        with open(full, "rb") as file:
            archive.add(path, mode, file.read())
    else:
        sys.exit(f"cpio: {path} is neither a file, a folder nor a link")


def main():
    if len(sys.argv) != 3 or not os.path.isdir(sys.argv[1]):
        sys.exit("usage: deploy/cpio.py TREE OUTPUT")
    tree, output = sys.argv[1:]
    with open(output, "wb") as file:
        archive = Archive(file)
        for path in paths_in(tree):
            add_path(archive, tree, path)
        for path, mode, major, minor in DEVICES:
            archive.add(path, mode, device=(major, minor))
        archive.end()


if __name__ == "__main__":
    main()
