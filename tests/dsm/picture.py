#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: owners.py and added.py, on traces and counters that were made up."""

import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).parent
SVG = "{http://www.w3.org/2000/svg}"
number = 0
failures = 0


def check(good, text, seen=""):
    """One result."""
    global number, failures
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {text}")
    if not good:
        failures += 1
        print("\n".join(f"# {line}" for line in str(seen).splitlines()))


def run(program, *arguments, text=""):
    """Runs one of the programs."""
    command = [sys.executable, HERE / program, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def record(time, page, node, event, segment=1):
    """One of a trace, as `corvus --json dsm trace` prints it."""
    return {"time": time, "segment": segment, "page": page, "node": node, "event": event, "other": 0}


def rectangles(result):
    """(class, x, y, width) of the stretches in a picture; colours of the legend are left out."""
    tree = xml.etree.ElementTree.fromstring(result.stdout)
    found = [item for item in tree.iter(f"{SVG}rect") if item.get("y") != "30"]
    return [(item.get("class"), *(float(item.get(name)) for name in ("x", "y", "width"))) for item in found]


def pictures():
    """Who had what."""
    trace = [
        record(0, 5, 1, "unheard"),
        record(0, 5, 1, "OWN"),
        record(500, 5, 1, "SEND"),
        record(500, 5, 2, "READ"),
        record(750, 5, 2, "DROP"),
        record(750, 5, 1, "OWN"),
        record(1000, 5, 1, "DROP"),
        record(1000, 5, 2, "OWN"),
        record(1000, 6, 2, "LOST"),
    ]
    result = run("owners.py", text=json.dumps(trace))
    seen = sorted((kind, x, width) for kind, x, _, width in rectangles(result) if width > 1)
    expected = [("r1", 590.0, 250.0), ("r2", 590.0, 250.0), ("w1", 90.0, 500.0), ("w1", 840.0, 250.0)]
    check(seen == expected, "who could write and read when", seen)
    check([kind for kind, *_ in rectangles(result)].count("lost") == 1, "a page that was lost", result.stdout)
    shuffled = run("owners.py", text=json.dumps(trace[::-1]))
    check(len(rectangles(shuffled)) == len(rectangles(result)), "in whatever order records come", shuffled)
    many = [record(i, i % 100, 1, "OWN") for i in range(300)] + [record(400, 7, 1, "DROP")]
    result = run("owners.py", "--rows", 10, text=json.dumps(many))
    check("the 10 busiest of 100 pages" in result.stdout, "more pages than rows", result.stdout[:500])
    two = [record(1, 1, 1, "OWN", segment) for segment in (1, 2)]
    result = run("owners.py", "--segment", 2, text=json.dumps(two))
    check(len(rectangles(result)) == 1 and ">2: 1<" in result.stdout, "one segment of two", result.stdout)


def wrong():
    """What is no trace."""
    for text in ("", "{", "[]", "7", '[{"time": 1}]', '[{"time": "x", "segment": 1, "page": 1, "node": 1, "event": ""}]'):
        result = run("owners.py", text=text)
        good = result.returncode == 1 and result.stderr.startswith("owners: ") and result.stderr.count("\n") == 1
        check(good, f"not a trace: {text[:12]!r}", result)
    result = run("owners.py", "/nowhere/trace")
    check(result.returncode == 1 and "No such file" in result.stderr, "a file that is not there", result)


def additions(folder):
    """Counters before and after."""
    before, after = folder / "before", folder / "after"
    before.write_text('{"a": 5, "b": 7, "stored": 9}')
    after.write_text('{"a": 8, "b": 7, "new": 2, "stored": 4}')
    result = run("added.py", "it", before, after)
    check(result.stdout == "it: a=3 new=2 stored=4\n", "what was added", result)
    after.write_text("nonsense")
    result = run("added.py", "it", before, after)
    check(result.returncode == 1 and result.stderr.startswith("added: "), "no counters", result)


pictures()
wrong()
with tempfile.TemporaryDirectory() as made:
    additions(pathlib.Path(made))
print(f"1..{number}")
sys.exit(failures != 0)
