#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of the agent in a node; qemu-cluster.sh calls it.

    deploy/agent/main.py serve CHANNEL SOCKET                    the one server of a node
    deploy/agent/main.py exec [-t] [-e K=V]… [-C FOLDER] SOCKET -- COMMAND…
    deploy/agent/main.py copy PATTERN SOURCE… DESTINATION        NODE:PATH on one side
    deploy/agent/main.py console SOCKET LOCK                     the serial line
    deploy/agent/main.py query SOCKET                            the agent's counters

CHANNEL is QEMU's socket, SOCKET the server's for clients; in PATTERN, {} stands for the number of
a node and makes it that node's SOCKET.
"""

import argparse
import re
import sys

# No files beside the sources.
sys.dont_write_bytecode = True

import client  # noqa: E402
import wire  # noqa: E402

NODE_PATH = re.compile(r"(?:node)?([1-9][0-9]*):(.*)", re.DOTALL)


def environment_variable(text):
    """KEY=VALUE as a pair."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def parser():
    """All arguments."""
    top = argparse.ArgumentParser(prog="agent", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve")
    serve.add_argument("channel")
    serve.add_argument("socket")
    execute = commands.add_parser("exec")
    execute.add_argument("-t", dest="terminal", action="store_true")
    execute.add_argument(
        "-e", dest="environment", action="append", default=[], type=environment_variable
    )
    execute.add_argument("-C", dest="folder", default="")
    execute.add_argument("socket")
    copy = commands.add_parser("copy")
    copy.add_argument("pattern")
    copy.add_argument("paths", nargs="+")
    console = commands.add_parser("console")
    console.add_argument("socket")
    console.add_argument("lock")
    query = commands.add_parser("query")
    query.add_argument("socket")
    return top


def copy_files(pattern, paths):
    """Copies, in the direction in which the node's name stands."""
    import transfer

    matches = [NODE_PATH.fullmatch(path) for path in paths]
    remote = [match is not None for match in matches]
    if len(paths) < 2 or not (remote[-1] and not any(remote[:-1])) and not (
        not remote[-1] and all(remote[:-1])
    ):
        print("cp: FILE… NODE:PATH, or NODE:PATH… DIR", file=sys.stderr)
        return 2
    if remote[-1]:
        node, path = matches[-1].groups()
        return transfer.copy_in(pattern.replace("{}", node), paths[:-1], path)
    nodes = {match.group(1) for match in matches[:-1]}
    if len(nodes) > 1:
        print("cp: one node at a time", file=sys.stderr)
        return 2
    sources = [match.group(2) for match in matches[:-1]]
    return transfer.copy_out(pattern.replace("{}", nodes.pop()), sources, paths[-1])


def run(arguments):
    """Runs one command; its status."""
    if arguments.command == "serve":
        import server

        return server.serve(arguments.channel, arguments.socket)
    if arguments.command == "exec":
        return client.execute(
            arguments.socket,
            arguments.arguments,
            arguments.environment,
            arguments.folder,
            arguments.terminal,
        )
    if arguments.command == "copy":
        return copy_files(arguments.pattern, arguments.paths)
    if arguments.command == "console":
        import console

        return console.console(arguments.socket, arguments.lock)
    print(client.query(arguments.socket), end="")
    return 0


def main():
    # What stands behind -- is not ours to read, and argparse would take out a second one.
    words = sys.argv[1:]
    end = words.index("--") if words[:1] == ["exec"] and "--" in words else len(words)
    arguments = parser().parse_args(words[:end])
    arguments.arguments = words[end + 1 :]
    if arguments.command == "exec" and not arguments.arguments:
        parser().error("exec: a command stands behind --")
    try:
        return run(arguments)
    except (client.ClientError, wire.WireError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return client.STATUS_REFUSED if arguments.command == "exec" else 1


if __name__ == "__main__":
    sys.exit(main())
