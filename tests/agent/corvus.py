#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: the command `corvus`, on files that stand for the kernel's."""

import json
import pathlib
import re
import struct
import subprocess
import tempfile

from harness import BUILD, TOP, check, end

CORVUS = BUILD / "linux" / "programs" / "corvus"
HEADER = (TOP / "include" / "corvus" / "trace.h").read_text()


def run(folder, *arguments):
    """Runs the command on a folder."""
    return subprocess.run(
        [CORVUS, "--from", folder, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


def counters_of_header():
    """Names and texts of the counters that the kernel has."""
    return re.findall(r'\bC\(([A-Z]\w*), "([^"]*)"\)', HEADER)


def kinds_of_header():
    """Names and numbers of the kinds of trace records."""
    return [(name, int(number)) for name, number in re.findall(r'\bK\(([A-Z]\w*), (\d+), "', HEADER)]


def stats(folder):
    """Counters."""
    names = counters_of_header()
    file = folder / "counters"
    file.write_text("".join(f"{name.lower()} {i * 10**15}\n" for i, (name, _) in enumerate(names)))
    result = run(folder, "stats")
    lines = result.stdout.splitlines()
    right = len(lines) == len(names) and all(
        line.split(maxsplit=2) == [name.lower(), str(i * 10**15), text]
        for i, ((name, text), line) in enumerate(zip(names, lines))
    )
    check(right, f"{len(names)} counters, with what they mean", result.stdout)
    check(len({line.index(text) for (_, text), line in zip(names, lines)}) == 1, "in columns")
    result = run(folder, "stats", "--json")
    expected = {name.lower(): i * 10**15 for i, (name, _) in enumerate(names)}
    check(json.loads(result.stdout) == expected, "as JSON", result)
    file.write_text("later 18446744073709551615\n")
    check("later 18446744073709551615" in run(folder, "stats").stdout, "one that this program does not know")
    check(run(folder, "stats", "-i", "0.1").stdout.split() == ["later", "0"], "what is added meanwhile")
    for text in ("x\n", "x y\n", "x 1y\n", "x -1\n", " 1\n", "x \n", "x 1\n" * 300):
        file.write_text(text)
        result = run(folder, "stats")
        check(result.returncode == 1 and result.stderr.count("\n") == 1, f"a spoiled file: {text[:8]!r}", result)


def record(tsc, kind, a, b, thread=7):
    """One record of the ring."""
    return struct.pack("<QIIQQ", tsc, thread, kind, a, b)


def trace(folder):
    """Trace records."""
    kinds = kinds_of_header()
    file = folder / "trace"
    file.write_bytes(b"".join(record(1000 + 10 * i, number, 5, 6) for i, (_, number) in enumerate(kinds)))
    result = run(folder, "trace")
    lines = result.stdout.splitlines()[1:]
    right = len(lines) == len(kinds) and all(
        line.split()[:4] == [str(10 * i), "0" if i == 0 else "10", "7", name]
        for i, ((name, _), line) in enumerate(zip(kinds, lines))
    )
    check(right, f"{len(kinds)} kinds of records", result.stdout)
    records = json.loads(run(folder, "trace", "--json").stdout)
    check([entry["kind"] for entry in records] == [name for name, _ in kinds], "as JSON", records)
    check(records[0] == {"tsc": 1000, "thread": 7, "kind": kinds[0][0], "a": 5, "b": 6}, "whole ones")
    records = json.loads(run(folder, "--json", "trace", "-n", "2").stdout)
    check([entry["kind"] for entry in records] == [name for name, _ in kinds[-2:]], "the last two")
    records = json.loads(run(folder, "trace", "--json", "-k", "fault", "-k", "SEND").stdout)
    check([entry["kind"] for entry in records] == ["SEND", "FAULT"], "of some kinds", records)
    file.write_bytes(record(1, 1, 0x2A << 32 | 0x5, 0x1003) + record(2, 4, 0xDEAD000, 0x401000) + record(3, 77, 1, 2))
    output = run(folder, "trace").stdout
    check("message 42 to 0x1003, tag 0x5" in output, "a message's words", output)
    check("address 0xdead000, ip 0x401000" in output, "a fault's", output)
    check("77" in output and "0x1 0x2" in output, "an unknown kind's", output)
    file.write_bytes(b"")
    check(run(folder, "trace").stdout.count("\n") == 1, "an empty ring says so")
    check(json.loads(run(folder, "trace", "--json").stdout) == [], "and is empty JSON")
    file.write_bytes(bytes(33))
    check(run(folder, "trace").returncode == 1, "half a record")
    enable = folder / "trace_enable"
    enable.touch()
    for word, written in (("on", "1"), ("off", "0")):
        check(run(folder, "trace", word).returncode == 0 and enable.read_text().strip() == written, f"switched {word}")


def errors(folder):
    """One clear line, and a status."""
    for arguments in ((), ("fly",), ("--fast", "stats"), ("stats", "x"), ("stats", "-i"), ("stats", "-i", "-1"),
                      ("trace", "-n", "0"), ("trace", "-k", "none"), ("trace", "up"), ("trace", "-n"),
                      ("run",), ("run", "--on"), ("run", "--on", "1"), ("run", "true"), ("run", "--on", "1,", "true"),
                      ("run", "--on", "x", "true"), ("run", "--in", "1", "true"), ("shared",), ("shared", "-v", "true"),
                      ("agentd", "x"), ("dsm",), ("dsm", "fly"), ("dsm", "ls", "-a"), ("dsm", "ls", "x"),
                      ("dsm", "stat", "-n"), ("dsm", "stat", "-n", "0"), ("dsm", "stat", "-n", "65"),
                      ("dsm", "stat", "-a", "-n", "1"), ("dsm", "trace", "x", "y")):
        result = run(folder, *arguments)
        right = result.returncode == 2 and "usage:" in result.stderr and not result.stdout
        check(right, f"wrong arguments: {' '.join(arguments)}", result)
    for arguments in (("stats",), ("trace",), ("trace", "on")):
        result = run(folder / "none", *arguments)
        right = result.returncode == 1 and result.stderr.count("\n") == 1 and "Corvus node" in result.stderr
        check(right, f"{' '.join(arguments)} elsewhere", result)
    check(run(folder, "help").returncode == 0, "help")
    for status, arguments in ((125, ("run", "--on", "1", "true")), (127, ("run", "--on", "1", "nowhere")),
                              (126, ("run", "--on", "1", "/")), (125, ("shared", "true")), (1, ("dsm", "ls")),
                              (1, ("dsm", "stat", "-n", "node2")), (1, ("dsm", "trace"))):
        result = run(folder, *arguments)
        right = result.returncode == status and result.stderr.count("\n") == 1 and not result.stdout
        check(right, f"{' '.join(arguments)} where there is no Corvus", result)
    (folder / "counters").write_text("x 1\n")
    with open("/dev/full", "w") as full:
        result = subprocess.run([CORVUS, "--from", folder, "stats"], stdout=full, stderr=subprocess.PIPE)
    check(result.returncode == 1 and b"standard output" in result.stderr, "output that is lost is an error", result)


def main():
    with tempfile.TemporaryDirectory(prefix="corvus-command-") as name:
        folder = pathlib.Path(name)
        for part in (stats, trace, errors):
            part(folder)
    end()


if __name__ == "__main__":
    main()
