# SPDX-License-Identifier: BSD-2-Clause
"""The arithmetic of bench.py: from what was measured in turns to rows, quotients and aims. No input, no output.

A turn: {"moves": {MiB: MOVE}, "faults": {"rpc", "fault"}}, of some also "wholes": {"stream": bytes a second, "moves":
{MiB: MOVE}} and "touched": {way: {"came", "of"}}. A MOVE: {"rpc", "freezing", "frozen", "committed", "away", "total"};
times in nanoseconds. The steps of a move are times after the command; the process stands still from `freezing` to
a little before `away`; `total` is the command's own time, in wholes until all its memory was there, too.
"""
import csv
import statistics

WAYS = ("scattered", "inorder")
MIB = 1 << 20
FREEZE_GROWTH, FREEZE, FIRST, FAULT, DRAIN, PULLED = 1.3, 20, 25, 1.5, 0.7, 0.25
STEPS = (
    ("state written down", "freezing", "frozen"),
    ("sent and built", "frozen", "committed"),
    ("told to run and heard of it", "committed", "away"),
)


def middle(values):
    return statistics.median(values)


def freeze(move):
    return move["away"] - move["freezing"]


def sizes_of(turns):
    return sorted(turns[0]["moves"])


def with_wholes(turns):
    return [turn["wholes"] for turn in turns if "wholes" in turn]


def of_moves(turns, size, value):
    """That of each turn's move of the size, in its null RPCs."""
    return [value(turn["moves"][size]) / turn["moves"][size]["rpc"] for turn in turns]


def growths(turns):
    """Freeze of the largest beside the smallest, within a turn."""
    sizes = sizes_of(turns)
    return [big / small for big, small in zip(of_moves(turns, sizes[-1], freeze), of_moves(turns, sizes[0], freeze))]


def drain_rate(size, move):
    """Bytes a second, while the process runs on the other node already."""
    return size * MIB * 1e9 / (move["total"] - move["away"])


def drains(turns):
    """Beside the TCP stream of the same turn, of the largest process."""
    size = sizes_of(turns)[-1]
    return [drain_rate(size, whole["moves"][size]) / whole["stream"] for whole in with_wholes(turns)]


def total(move):
    return move["total"]


def faults(turns):
    return [turn["faults"]["fault"] / turn["faults"]["rpc"] for turn in turns]


def shares(turns, way):
    return [turn["touched"][way]["came"] / turn["touched"][way]["of"] for turn in turns if "touched" in turn]


def rpcs(turns):
    return [turn["moves"][size]["rpc"] for turn in turns for size in sizes_of(turns)]


def rows(turns):
    """(name, unit, a value of each turn)."""
    found = [("null RPC between drivers", "us", [rpc / 1000 for rpc in rpcs(turns)])]
    for size in sizes_of(turns):
        found.append((f"frozen, {size} MiB", "RPCs", of_moves(turns, size, freeze)))
        for name, begin, end in STEPS:
            found.append((f"  {name}", "RPCs",
                          of_moves(turns, size, lambda move, a=begin, b=end: move[b] - move[a])))
        found.append((f"runs after the command, {size} MiB", "RPCs", of_moves(turns, size, lambda move: move["away"])))
    for size in sizes_of(turns):
        found.append((f"all of it there, {size} MiB", "RPCs", of_moves(with_wholes(turns), size, total)))
    found.append(("page fault after the move", "RPCs", faults(turns)))
    size = sizes_of(turns)[-1]
    wholes = with_wholes(turns)
    found.append((f"drain, {size} MiB", "MB/s", [drain_rate(size, whole["moves"][size]) / 1e6 for whole in wholes]))
    found.append(("TCP stream, MTU 9000", "MB/s", [whole["stream"] / 1e6 for whole in wholes]))
    for way in WAYS:
        found.append((f"pages pulled, a tenth touched, {way}", "%", [100 * share for share in shares(turns, way)]))
    return found


def table(turns):
    lines = [f"{'row':42} {'median':>10} {'least':>10} {'most':>10}"]
    for name, unit, values in rows(turns):
        lines.append(f"{name:42} {middle(values):10.2f} {min(values):10.2f} {max(values):10.2f}  {unit}")
    return lines


def aims(turns):
    """A line for each, which begins with PASS or miss."""
    sizes = sizes_of(turns)

    def tell(value, bound, aim, text):
        good = value <= aim if bound == "at most" else value >= aim
        return f"{'PASS' if good else 'miss'}  {value:6.2f}, {bound} {aim:g}: {text}"

    slowest = max(middle(of_moves(turns, size, freeze)) for size in sizes)
    first = max(middle(of_moves(turns, size, lambda move: move["away"])) for size in sizes)
    return [
        tell(middle(growths(turns)), "at most", FREEZE_GROWTH,
             f"time frozen, {sizes[-1]} MiB beside {sizes[0]} MiB"),
        tell(slowest, "at most", FREEZE, "time frozen of any size, in null RPCs"),
        tell(first, "at most", FIRST, "from the command until it runs there, of any size, in null RPCs"),
        tell(middle(faults(turns)), "at most", FAULT, "a page fault after the move, in null RPCs"),
        tell(middle(drains(turns)), "at least", DRAIN, "rate of the drain beside a TCP stream"),
    ] + [tell(middle(shares(turns, way)), "at most", PULLED,
              f"share of pages pulled when a tenth is touched, {way}") for way in WAYS]


def curves(turns):
    """name -> [(MiB, median in null RPCs)], for the picture."""
    return {
        name: [(size, middle(of_moves(some, size, value))) for size in sizes_of(turns)]
        for name, some, value in (("frozen", turns, freeze), ("all of it there", with_wholes(turns), total))
    }


def move_rows(moves, prefix):
    """(row, case, value, unit) of moves."""
    for size, move in moves.items():
        for name, value in move.items():
            if name != "move":
                yield prefix + name, f"{size} MiB", round(value), "ns"


def write_rows(turns, output):
    """All that was measured."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(("turn", "row", "case", "value", "unit"))
    for number, turn in enumerate(turns, 1):
        for row in move_rows(turn["moves"], ""):
            writer.writerow((number, *row))
        for name, value in turn["faults"].items():
            writer.writerow((number, name, "faults", round(value), "ns"))
        if "wholes" in turn:
            writer.writerow((number, "stream", "", round(turn["wholes"]["stream"]), "B/s"))
            for row in move_rows(turn["wholes"]["moves"], "whole "):
                writer.writerow((number, *row))
        for way, pages in turn.get("touched", {}).items():
            for name, value in pages.items():
                writer.writerow((number, name, way, value, "pages"))
