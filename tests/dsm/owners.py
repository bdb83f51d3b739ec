#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A picture of who had which page when, as SVG, from what `corvus --json dsm trace -a` prints.

usage: owners.py [--segment N] [--rows N] [TRACE] > PICTURE.svg

Time goes to the right, pages downwards. Each page is a row with a stripe for each node: dark while the node
may write, light while it has a copy to read, black where the page was lost. The busiest pages are shown
when there are more than --rows (256)."""

import argparse
import collections
import html
import json
import sys

WIDTH = 1000  # of the pictures of pages
LEFT, TOP, ROW_MIN, ROWS_HEIGHT = 90, 60, 3, 900
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf")
# What each event (include/corvus/segments.h) makes of a node's access to a page.
ACCESS = {
    "READ": "read",
    "OWN": "write",
    "DROP": "",
    "SEND": "read",
    "SURRENDER": "",
    "RECOVER": "read",
    "LOST": "lost",
}


def read_trace(file):
    """The records, in the order of time. Whatever is not such a list is one line on standard error."""
    try:
        records = json.load(file)
        records = [
            (record["time"], record["segment"], record["page"], record["node"], record["event"])
            for record in records
        ]
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise SystemExit(f"owners: not a trace: {error}") from error
    if not all(isinstance(number, int) for record in records for number in record[:4]):
        raise SystemExit("owners: not a trace: a number is none")
    return sorted(records)


def stretches(records, end):
    """(segment, page) -> list of (node, access, from, to): how long each node had what access."""
    now, found = {}, collections.defaultdict(list)
    for time, segment, page, node, event in records:
        access = ACCESS.get(event)
        if access is None:
            continue
        before = now.get((segment, page, node))
        if before is not None and before[0] != access:
            if before[0]:
                found[segment, page].append((node, before[0], before[1], time))
            now[segment, page, node] = (access, time)
        elif before is None:
            now[segment, page, node] = (access, time)
    for (segment, page, node), (access, since) in now.items():
        if access:
            found[segment, page].append((node, access, since, end))
    return found


def style(nodes):
    """A class for each node and access."""
    lines = ["text{font:12px sans-serif}", ".lost{fill:#000}"]
    for place, node in enumerate(nodes):
        colour = COLOURS[place % len(COLOURS)]
        lines.append(f".w{node}{{fill:{colour}}} .r{node}{{fill:{colour};fill-opacity:.3}}")
    return "<style>" + " ".join(lines) + "</style>"


def legend(nodes, begin, end):
    """What the colours mean, and how long it took."""
    parts = [f'<text x="{LEFT}" y="20">{(end - begin) / 1e9:.3f} s; dark: may write, light: may read</text>']
    for place, node in enumerate(nodes):
        x = LEFT + place * 90
        parts.append(f'<rect class="w{node}" x="{x}" y="30" width="12" height="12"/>')
        parts.append(f'<text x="{x + 16}" y="41">node{node}</text>')
    return parts


def draw(records, rows, out):
    """Writes the picture."""
    begin, end = records[0][0], max(records[-1][0], records[0][0] + 1)
    nodes = sorted({record[3] for record in records})
    found = stretches(records, end)
    shown = sorted(sorted(found, key=lambda page: -len(found[page]))[:rows])
    height = max(ROW_MIN * len(nodes), ROWS_HEIGHT / max(len(shown), 1) if len(shown) > 40 else 20)
    total = TOP + height * len(shown) + 30
    scale = WIDTH / (end - begin)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{total:.0f}">', file=out)
    print("<!-- SPDX-License-Identifier: BSD-2-Clause -->", file=out)
    print(style(nodes), *legend(nodes, begin, end), sep="\n", file=out)
    if len(shown) < len(found):
        note = f"the {len(shown)} busiest of {len(found)} pages"
        print(f'<text x="{LEFT + 500}" y="20">{html.escape(note)}</text>', file=out)
    stripe = height / len(nodes)
    for row, (segment, page) in enumerate(shown):
        top = TOP + row * height
        if len(shown) <= 60 or row % 10 == 0:
            print(f'<text x="4" y="{top + min(height, 14):.1f}">{segment}: {page}</text>', file=out)
        for node, access, since, until in found[segment, page]:
            kind = "lost" if access == "lost" else f"{access[0]}{node}"
            print(
                f'<rect class="{kind}" x="{LEFT + (since - begin) * scale:.2f}"'
                f' y="{top + nodes.index(node) * stripe:.2f}"'
                f' width="{max((until - since) * scale, 0.3):.2f}" height="{stripe * 0.9:.2f}"/>',
                file=out,
            )
    print("</svg>", file=out)


def main():
    """Arguments, trace, picture."""
    parser = argparse.ArgumentParser(description="A picture of who had which page when.")
    parser.add_argument("--segment", type=int, help="its number; without it all")
    parser.add_argument("--rows", type=int, default=256, help="pages at most")
    parser.add_argument("trace", nargs="?", help="a file; without it standard input")
    arguments = parser.parse_args()
    if arguments.rows < 1:
        parser.error("--rows is at least 1")
    try:
        with open(arguments.trace or 0, encoding="utf-8") as file:
            records = read_trace(file)
    except OSError as error:
        raise SystemExit(f"owners: {arguments.trace}: {error.strerror}") from error
    if arguments.segment is not None:
        records = [record for record in records if record[1] == arguments.segment]
    if not records:
        raise SystemExit("owners: the trace is empty")
    draw(records, arguments.rows, sys.stdout)


if __name__ == "__main__":
    main()
