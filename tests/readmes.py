#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints what READMEs leave out, or name and is not there; true when that is nothing. `make lint` calls it.

A source file, or a folder with sources, is named by the README of its folder, or of the nearest folder above that
has one; by itself, by a pattern (`cor_*.c`, `frame.[ch]`), or as header or source of one that is. Headers may
do it in the README's place: there a file's first comment lists the parts.
"""

import fnmatch
import functools
import pathlib
import re
import subprocess
import sys

# What builds make, and places to be filled in: "test_X.c", "NAME.def".
MADE = re.compile(r"(stubs|dispatch|services|symbols-all)\.[ch]$|\b[A-Z]{2,}\b|[A-Z]+_|_X\b")
SOURCES = (".c", ".h", ".S", ".sh", ".py", ".def")
WORD = re.compile(r"[\w.*?{},/\[\]-]+")


def tracked():
    """What git tracks or would track, and is there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in map(pathlib.PurePath, names) if pathlib.Path(path).exists()]


def head(path):
    """A header's comments before its first line of code."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines[:40] if line.startswith("//"))


def braces(word):
    """a{b,c} as ab and ac."""
    found = re.fullmatch(r"([^{]*)\{([^}]*)\}(.*)", word)
    return [f"{found[1]}{part}{found[3]}" for part in found[2].split(",")] if found else [word]


@functools.cache
def words(text):
    """The last parts, and the first, of all that could be the name of a file or folder."""
    found = set()
    for long in WORD.findall(text):
        for word in (part for each in braces(long) for part in each.split(",")):
            parts = word.strip("./").split("/")
            found |= {parts[0], parts[-1]}
            # `_file.c` behind `memobj_fault.c` is memobj_file.c.
            if parts[-1].startswith("_"):
                found.add("*" + parts[-1])
    return found


def is_named(name, text):
    """Whether a text names a file or folder."""
    stem = name.rsplit(".", 1)[0]
    alike = {name, *(stem + end for end in SOURCES if name.endswith((".c", ".h")))}
    # `*.c` names nothing.
    return any(fnmatch.fnmatch(each, word) for word in words(text) if "*" not in word or len(word) > 5
               for each in alike)


def unnamed(files):
    """Sources and their folders that no README names."""
    readmes = {path.parent: pathlib.Path(path).read_text(encoding="utf-8")
               for path in files if path.name == "README.md"}
    headers = {}
    for path in (each for each in files if each.suffix == ".h"):
        headers[path.parent] = headers.get(path.parent, "") + head(path)
    for path in (each for each in files if each.suffix in SOURCES):
        above = next(folder for folder in path.parents if folder in readmes)
        parts = path.relative_to(above).parts
        text = readmes[above] + (headers.get(above, "") if len(parts) == 1 else "")
        if not is_named(parts[0], text):
            yield f"{above / 'README.md'}: does not name {parts[0]}"


def missing(files):
    """Sources in the READMEs that there are not; the last part of the name counts."""
    there = {path.name for path in files}
    for path in (each for each in files if each.name == "README.md" or each.parts[0] == "docs"):
        if path.suffix != ".md":
            continue
        for name in re.findall(r"[\w/-]+\.(?:c|h|S|def)\b", pathlib.Path(path).read_text(encoding="utf-8")):
            last = name.rsplit("/", 1)[-1]
            if MADE.search(last):
                continue
            if last not in there and not any(each.endswith(last) for each in there if last.startswith("_")):
                yield f"{path}: {name} is not there"


def strange(files, document="docs/ARCHITECTURE.md"):
    """What the map calls by a name that no source has: functions, types, constants."""
    sources = {word for path in files if path.suffix in (".c", ".h", ".S", ".def")
               for word in re.findall(r"\w+", pathlib.Path(path).read_text(encoding="utf-8"))}
    for span in re.findall(r"`([^`]+)`", pathlib.Path(document).read_text(encoding="utf-8")):
        for word in re.findall(r"(?<![\w./-])[A-Za-z]\w*_\w+(?![\w./-])", span):
            if word not in sources:
                yield f"{document}: no source has {word}"


def main():
    files = tracked()
    found = sorted({*unnamed(files), *missing(files), *strange(files)})
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))


main()
