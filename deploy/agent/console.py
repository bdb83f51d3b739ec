# SPDX-License-Identifier: BSD-2-Clause
"""A terminal on a node's serial line."""

import fcntl
import os
import select
import socket
import sys
import termios
import tty

from client import ClientError

LEAVE = b"\x1d"  # Ctrl-]
READ_BYTES = 65536


def send_all(connection, data):
    """Types; a machine that is frozen does not take it."""
    while data:
        data = data[connection.send(data) :]


def serve(connection):
    """Passes bytes both ways until the line or the input ends; what there was to end it."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    poller.register(0, select.POLLIN)
    while True:
        for file, _ in poller.poll():
            if file == 0:
                data = os.read(0, READ_BYTES)
                typed, left, _ = data.partition(LEAVE)
                send_all(connection, typed)
                if left:
                    return "left"
                if not data:
                    # A script's input has ended; what comes back is still of interest.
                    poller.unregister(0)
            else:
                data = connection.recv(READ_BYTES)
                if not data:
                    return "the machine has ended"
                while data:
                    data = data[os.write(1, data) :]


def console(path, lock_path):
    """Runs the terminal; one at a time, for QEMU serves one."""
    lock = os.open(lock_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ClientError("another console of this node is open") from None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError as error:
        raise ClientError(f"the serial line is not reachable: {error.strerror}") from None
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    if saved is not None:
        print("console: the serial line; leave with Ctrl-]", file=sys.stderr)
        tty.setraw(0)
    try:
        reason = serve(connection)
    except BrokenPipeError:
        reason = "the machine has ended"
    finally:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
    print(f"\nconsole: {reason}", file=sys.stderr)
    return 0
