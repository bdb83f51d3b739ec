#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""terminal.py STEP... -- COMMAND...: runs a command on a terminal of its own and does the steps, in turn:
`type:TEXT` (a line), `key:X` (Ctrl-X), `wait:SECONDS`, `see:TEXT`. It ends with 0 when all was seen, each within 60 s; if
not, with what was there instead."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time

LIMIT = 60


def see(master, seen, text):
    """What comes before and behind the text; the second is None if it does not come."""
    end = time.monotonic() + LIMIT
    while text not in seen and time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 65536)
    before, found, behind = seen.partition(text)
    return before, behind if found else None


def do(master, steps):
    """Whether all was seen."""
    seen = b""
    for step in steps:
        kind, _, text = step.partition(":")
        if kind == "type":
            os.write(master, text.encode() + b"\r")
        elif kind == "key":
            os.write(master, bytes([ord(text) & 31]))
        elif kind == "wait":
            time.sleep(float(text))
        else:
            before, seen = see(master, seen, text.encode())
            if seen is None:
                print(f"no '{text}' in {before!r}")
                return False
    return True


def main():
    """Status 0: all seen."""
    between = sys.argv.index("--")
    master, slave = pty.openpty()
    command = subprocess.Popen(
        sys.argv[between + 1 :],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        return 0 if do(master, sys.argv[1:between]) else 1
    finally:
        command.kill()
        command.wait()


sys.exit(main())
