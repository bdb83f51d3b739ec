#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Hands out the files of a netboot folder by HTTP, to boot loaders on a boot LAN.

    deploy/netboot/web.py FOLDER                 one connection, on standard input and output
    deploy/netboot/web.py FOLDER ADDRESS PORT    a server, until it is ended

The first is for QEMU's guestfwd, which starts it for each connection: no port of the host is open then,
so nobody but the cluster's LAN can ask. Only plain files of the folder itself are handed out.
"""

import functools
import http.server
import os
import shutil
import sys

# A loader that says nothing for so long has gone.
SECONDS = 60


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a loader: GET and HEAD, one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = SECONDS

    def __init__(self, folder, *arguments):
        self.folder = folder
        super().__init__(*arguments)

    def answer(self, with_body):
        name = self.path.removeprefix("/")
        path = os.path.join(self.folder, name)
        if "/" in name or name.startswith(".") or not os.path.isfile(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if with_body:
                shutil.copyfileobj(file, self.wfile)

    def do_GET(self):  # the name is http.server's
        self.answer(True)

    def do_HEAD(self):  # the name is http.server's
        self.answer(False)

    def log_message(self, format, *arguments):  # the names are http.server's
        print("http:", self.client_address[0], format % arguments, file=sys.stderr, flush=True)


class InheritedHandler(Handler):
    """The connection is this process's standard input and output, and its standard error, too."""

    def setup(self):
        self.rfile = sys.stdin.buffer
        self.wfile = sys.stdout.buffer

    def finish(self):
        self.wfile.flush()

    def log_message(self, format, *arguments):  # the names are http.server's
        pass


def main():
    if len(sys.argv) == 2:
        InheritedHandler(sys.argv[1], None, ("loader", 0), None)
        return 0
    if len(sys.argv) != 4 or not sys.argv[3].isdigit():
        print("usage: web.py FOLDER [ADDRESS PORT]", file=sys.stderr)
        return 2
    try:
        place = (sys.argv[2], int(sys.argv[3]))
        server = http.server.ThreadingHTTPServer(place, functools.partial(Handler, sys.argv[1]))
    except (OSError, OverflowError) as error:
        print(f"http: {sys.argv[2]} port {sys.argv[3]}: {error}", file=sys.stderr)
        return 1
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
