#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: files and folders copied into a node and out of it."""

import io
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile

from harness import AGENT, Node, check, end

LARGE = 50_000_000


def describe(folder):
    """All that is in a folder: kinds, modes, contents."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("folder", stat.S_IMODE(mode))
        else:
            found[name] = (stat.S_IMODE(mode), path.read_bytes(), int(path.stat().st_mtime))
    return found


def make_tree(folder):
    """A folder with something of everything."""
    tree = pathlib.Path(folder)
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "closed").mkdir(mode=0o700)
    (tree / "program").write_bytes(b"#!/bin/sh\n")
    (tree / "program").chmod(0o755)
    (tree / "secret").write_bytes(b"s" * 511)
    (tree / "secret").chmod(0o600)
    (tree / "nothing").touch()
    (tree / "sub" / "block").write_bytes(os.urandom(512))
    (tree / "sub" / "more").write_bytes(os.urandom(65537))
    (tree / "name with blank and \xe4").write_bytes(b"1")
    (tree / ("long" * 60)).write_bytes(b"2")
    (tree / "sub" / "link").symlink_to("../program")
    (tree / "sub" / "broken").symlink_to("nowhere" * 30)
    (tree / "closed" / "inner").write_bytes(b"3")
    for path in tree.rglob("*"):
        os.utime(path, (1700000000, 1700000000), follow_symlinks=False)
    (tree / "twin").hardlink_to(tree / "secret")
    (tree / "closed").chmod(0o500)


def round_trips(node, here, there):
    """What goes in and comes out is the same."""
    make_tree(here / "tree")
    expected = describe(here / "tree")
    result = node.copy(here / "tree", f"N:{there}")
    check(result.returncode == 0, "a folder into a folder", result)
    check(describe(there / "tree") == expected, "is the same there")
    result = node.copy(here / "tree", f"N:{there}/new")
    check(result.returncode == 0 and describe(there / "new") == expected, "under a new name", result)
    result = node.copy(f"N:{there}/tree", here / "back")
    check(result.returncode == 0 and describe(here / "back") == expected, "back", result)
    large = os.urandom(LARGE)
    (here / "large").write_bytes(large)
    result = node.copy(here / "large", here / "tree" / "program", f"N:{there}")
    check((there / "large").read_bytes() == large, "50 MB in", result)
    result = node.copy(f"N:{there}/large", here / "large2")
    check((here / "large2").read_bytes() == large, "50 MB out", result)
    (here / "link").symlink_to("large")
    node.copy(here / "link", f"N:{there}/followed")
    check((there / "followed").read_bytes() == large, "a link that is named itself is followed")
    result = node.copy("N:/proc/self/status", "N:/sys/kernel/mm/transparent_hugepage/enabled", here)
    check(b"VmRSS" in (here / "status").read_bytes(), "a file of /proc, which says size 0", result)
    enabled = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").read_bytes()
    check((here / "enabled").read_bytes() == enabled, "one of /sys, which says a page")
    node.copy(here / "enabled", "N:/dev/null")
    check(stat.S_IMODE(os.stat("/dev/null").st_mode) == 0o666, "a device is written to, not changed")


def errors(node, here, there):
    """One line each, and a status."""
    cases = {
        "no such file here": (here / "none", f"N:{there}"),
        "no such file there": (f"N:{there}/none", here),
        "no such folder there": (here / "large", f"N:{there}/none/x"),
        "many files to no folder": (here / "large", here / "enabled", f"N:{there}/large"),
        "a folder's name for no folder": (here / "large", f"N:{there}/large/"),
        "no such folder here": (f"N:{there}/large", here / "none" / "x"),
        "many files to no folder here": (f"N:{there}/large", f"N:{there}/new", here / "enabled"),
        "the root has no name": ("N:/", here),
        "a device there": ("N:/dev/null", here),
        "a full disk": (here / "large", "N:/dev/full"),
    }
    for name, paths in cases.items():
        result = node.copy(*paths)
        lines = result.stderr.splitlines()
        check(result.returncode == 1 and len(lines) == 1 and lines[0].startswith((b"cp:", b"copy:")), name, result)
    for paths in ((here, there), ("N:/x", "N:/y"), ("N:/x",), ("1:/x", "2:/x", "/tmp")):
        check(node.copy(*paths).returncode == 2, f"wrong arguments {len(paths)}")
    result = node.copy(f"N:{there}/none", f"N:{there}/followed", here)
    check(result.returncode == 1 and (here / "followed").exists(), "what there is comes all the same")
    pipe = here / "tree2"
    pipe.mkdir()
    os.mkfifo(pipe / "fifo")
    socket.socket(socket.AF_UNIX).bind(str(pipe / "socket"))
    (pipe / "zz").write_bytes(b"z")
    result = node.copy(pipe, f"N:{there}")
    check(result.returncode == 1 and (there / "tree2" / "zz").exists(), "pipes and sockets are left out", result)
    result = node.copy(f"N:{pipe}", here / "tree3")
    check(result.returncode == 1 and (here / "tree3" / "zz").exists(), "there as well", result)


def running_program(node, here, there):
    """A program that runs is replaced, not refused."""
    shutil.copy("/bin/sleep", there / "runs")
    process = subprocess.Popen([there / "runs", "100"])
    result = node.copy("/bin/cat", f"N:{there}/runs")
    check(result.returncode == 0, "a program that runs is replaced", result)
    process.kill()
    process.wait()


def archive_of(*entries):
    """An archive of (name, type, link name)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind, target in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.linkname = target
            entry.mode = 0o755
            entry.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(b"evil"))
    return data.getvalue()


def hostile(here, there):
    """Archives that want to be unpacked elsewhere, at both ends."""
    import transfer

    outside = here / "outside"
    outside.mkdir()
    attacks = {
        "a name upwards": [("../outside/evil", tarfile.REGTYPE, "")],
        "a name from the root": [(f"{outside}/evil", tarfile.REGTYPE, "")],
        "a name upwards inside": [("x", tarfile.DIRTYPE, ""), ("x/../../outside/evil", tarfile.REGTYPE, "")],
        "through a link": [("x", tarfile.SYMTYPE, str(outside)), ("x/evil", tarfile.REGTYPE, "")],
        "onto a link": [("x", tarfile.SYMTYPE, f"{outside}/evil"), ("x", tarfile.REGTYPE, "")],
        "a device": [("x", tarfile.CHRTYPE, "")],
        "a hard link": [("x", tarfile.LNKTYPE, "/etc/passwd")],
    }
    for name, entries in attacks.items():
        target = here / "target"
        target.mkdir()
        reader, writer = os.pipe()
        worker = transfer.Worker(transfer.unpack, reader, "rb", (str(target), None))
        stderr, sys.stderr = sys.stderr, io.StringIO()
        worker.start()
        os.write(writer, archive_of(*entries))
        os.close(writer)
        worker.join()
        said, sys.stderr = sys.stderr.getvalue(), stderr
        # A link may be replaced by a file: that leads nowhere.
        harmless = worker.failed or name == "onto a link"
        check(harmless and not list(outside.iterdir()), f"out of a node: {name}", said)
        shutil.rmtree(target)
        if "link" in name:
            continue  # the host may write anywhere in a node
        result = subprocess.run([AGENT, "copy-in", there], input=archive_of(*entries), capture_output=True)
        check(result.returncode == 1 and not list(outside.iterdir()), f"into a node: {name}", result)
    for name, data in (("noise", os.urandom(2000)), ("nothing", b""), ("a cut archive", archive_of(("y", tarfile.REGTYPE, ""))[:600])):
        result = subprocess.run([AGENT, "copy-in", there], input=data, capture_output=True)
        check(result.returncode == 1, f"into a node: {name}", result)


def main():
    node = Node()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="corvus-copies-"))
    here, there = folder / "here", folder / "there"
    here.mkdir()
    there.mkdir()
    try:
        round_trips(node, here, there)
        errors(node, here, there)
        running_program(node, here, there)
        hostile(here, there)
        check(node.counters()["sessions"] == 0, "no session is left")
    finally:
        node.stop()
        subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
        shutil.rmtree(folder)
    end()


if __name__ == "__main__":
    main()
