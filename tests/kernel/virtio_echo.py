#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The host's end of a virtio console port: sends back what it gets.

usage: virtio_echo.py SOCKET

Waits for QEMU's socket and connects. After a line "be slow" it does not read
for a while. After "go away" it closes the connection, comes again a little
later, and says so. Ends with QEMU.
"""

import socket
import sys
import time

GO_AWAY = b"go away\n"
BE_SLOW = b"be slow\n"
COME_AGAIN = b"here again\n"
SECONDS_FOR_QEMU = 60
SECONDS_AWAY = 0.5
SECONDS_SLOW = 1


def connect(path, seconds):
    """Returns a connection, or None when there is nobody for so long."""
    deadline = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            return connection
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            if time.monotonic() > deadline:
                return None
            time.sleep(0.1)


def echo(connection):
    """Until the guest asks to go (true) or QEMU ends (false)."""
    last = b""
    while True:
        try:
            data = connection.recv(65536)
            if not data:
                return False
            connection.sendall(data)
        except ConnectionError:
            return False
        last = (last + data)[-len(GO_AWAY):]
        if last == BE_SLOW:
            time.sleep(SECONDS_SLOW)
        if last == GO_AWAY:
            return True


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    connection = connect(sys.argv[1], SECONDS_FOR_QEMU)
    if connection is None:
        sys.exit(f"virtio_echo: nobody at {sys.argv[1]}")
    while echo(connection):
        connection.close()
        time.sleep(SECONDS_AWAY)
        connection = connect(sys.argv[1], SECONDS_FOR_QEMU)
        if connection is None:
            sys.exit(f"virtio_echo: nobody at {sys.argv[1]} any more")
        connection.sendall(COME_AGAIN)


main()
