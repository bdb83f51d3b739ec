#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A command to a machine's QEMU by its control socket (QMP): stop, cont, query-status.

    deploy/cluster/qmp.py COMMAND SOCKET

query-status prints the state: running, paused, … Ends with 1 and a line when it was not done.
"""

import json
import socket
import sys

COMMANDS = ("stop", "cont", "query-status")
# A loaded machine answers late; one that was stopped by a signal never.
SECONDS = 20


def messages(stream):
    """Answers, without the events between them."""
    for line in stream:
        message = json.loads(line)
        if "event" not in message:
            yield message


def execute(path, command):
    """Runs one command; what it returns."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        with connection.makefile("r", encoding="utf-8") as stream:
            answers = messages(stream)
            next(answers)  # the greeting
            for name in ("qmp_capabilities", command):
                connection.sendall(json.dumps({"execute": name}).encode() + b"\n")
                answer = next(answers)
                if "return" not in answer:
                    raise OSError(answer["error"]["desc"])
            return answer["return"]


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        print(f"usage: qmp.py {'|'.join(COMMANDS)} SOCKET", file=sys.stderr)
        return 2
    try:
        result = execute(sys.argv[2], sys.argv[1])
    except StopIteration:
        print("qmp: QEMU has ended", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"qmp: {error}", file=sys.stderr)
        return 1
    if "status" in result:
        print(result["status"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
