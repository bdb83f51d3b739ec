#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What was added between two outputs of `corvus --json dsm stat`, in a line of name=value pairs.

usage: added.py WHAT BEFORE AFTER"""

import json
import sys

# These are no sums: shown as they are.
LEVELS = ("stored", "memory")


def main():
    """Arguments and line."""
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    what, *paths = sys.argv[1:]
    try:
        before, after = (json.load(open(path, encoding="utf-8")) for path in paths)
    except (OSError, ValueError) as error:
        raise SystemExit(f"added: {error}") from error
    pairs = [(name, value if name in LEVELS else value - before.get(name, 0)) for name, value in after.items()]
    print(f"{what}:", *(f"{name}={value}" for name, value in pairs if value != 0))


if __name__ == "__main__":
    main()
