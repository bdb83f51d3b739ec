#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TAP: the arithmetic of make bench-migrate by figures that are known, and the benchmark itself, with two small
sizes and one turn: every row is measured and is in the table, the CSV and the picture. What is measured is not
judged. Two minutes on an idle machine."""
import copy
import io
import os
import subprocess
import sys
import xml.etree.ElementTree

sys.dont_write_bytecode = True
import figures  # noqa: E402
import picture  # noqa: E402

AIMS = 7
number = failures = 0


def check(good, text, why=""):
    """One test."""
    global number, failures
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {text}", flush=True)
    if not good:
        failures += 1
        print("\n".join(f"#   {line}" for line in str(why).splitlines()[-15:]))


def moved(freezing, away, total):
    """A move with null RPCs of 1,000 ns."""
    return {"rpc": 1000, "freezing": freezing, "frozen": freezing + 500, "committed": away - 500, "away": away,
            "total": total, "move": 7}


# All aims are met exactly: 10 and 13 RPCs frozen, 25 until it runs, 1.5 a fault, 0.7 of the stream, a quarter.
AWAY = 25_000
MOVES = {1: moved(AWAY - 10_000, AWAY, 60_000), 100: moved(AWAY - 13_000, AWAY, AWAY + 10 ** 9)}
MET = {
    "moves": MOVES,
    "wholes": {"stream": figures.MIB * 100 * 1e9 / (0.7 * 1e9), "moves": copy.deepcopy(MOVES)},
    "faults": {"rpc": 1000, "fault": 1500},
    "touched": {way: {"came": 25, "of": 100} for way in figures.WAYS},
}


def verdicts(turns):
    return [line.split()[0] for line in figures.aims(turns)]


def missed(change):
    """Which aims are missed, of three turns like MET, two of which are changed."""
    turns = [copy.deepcopy(MET) for _ in range(3)]
    for turn in turns[1:]:
        change(turn)
    return [place for place, verdict in enumerate(verdicts(turns)) if verdict == "miss"]


def more_frozen(turn):
    turn["moves"][100]["freezing"] -= 10


def all_more_frozen(turn):
    for move in turn["moves"].values():
        move.update(freezing=AWAY - 20_010)


def later(turn):
    for move in turn["moves"].values():
        for step in ("freezing", "frozen", "committed", "away", "total"):
            move[step] += 10


def slow_fault(turn):
    turn["faults"]["fault"] += 2


def slow_drain(turn):
    turn["wholes"]["moves"][100]["total"] += 10 ** 7


def many_scattered(turn):
    turn["touched"]["scattered"]["came"] += 1


def many_in_order(turn):
    turn["touched"]["inorder"]["came"] += 1


def one_bad_turn(turns):
    more_frozen(turns[0])
    slow_fault(turns[1])
    return turns


def arithmetic():
    lines = figures.aims([MET])
    check(verdicts([MET]) == ["PASS"] * AIMS, "all aims are met, just so", "\n".join(lines))
    for place, (change, text) in enumerate((
            (more_frozen, "the largest is frozen longer"), (all_more_frozen, "all are frozen too long"),
            (later, "it runs too late"), (slow_fault, "a fault takes longer"), (slow_drain, "the drain is slower"),
            (many_scattered, "more pages come, scattered"), (many_in_order, "more pages come, in order"))):
        found = missed(change)
        check(found == [place], f"{text}: that aim is missed, and no other", found)
    turns = one_bad_turn([copy.deepcopy(MET) for _ in range(3)])
    turns[2].pop("touched")
    turns[2].pop("wholes")
    check(verdicts(turns) == ["PASS"] * AIMS, "one turn of three does not decide", "\n".join(figures.aims(turns)))
    rows = {name: values for name, _, values in figures.rows([MET])}
    check(rows["frozen, 100 MiB"] == [13] and rows["  told to run and heard of it"] == [0.5],
          "rows are in null RPCs", rows)
    check(abs(rows["drain, 100 MiB"][0] - 104.8576) < 1e-9, "the drain begins when it runs there", rows)
    drawn = io.StringIO()
    picture.draw(figures.curves([MET]), drawn)
    curves = [each for each in xml.etree.ElementTree.fromstring(drawn.getvalue()).iter()
              if each.get("class") == "curve"]
    check([len(each.get("points").split()) for each in curves] == [2, 2], "the picture has both curves",
          drawn.getvalue())


def short_run(build):
    done = subprocess.run(["tests/bench/migrate/bench.py", "--build", build, "--rounds", "1", "--sizes", "1,8",
                           "--touched", "16", "--memory", "256"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.splitlines()
    check(done.returncode == 0, "the benchmark itself", done.stdout)
    if done.returncode != 0:
        return
    check(sum(line.startswith(("PASS", "miss")) for line in lines) == AIMS, "a line for each aim", done.stdout)
    check(sum(line.startswith(("frozen, ", "all of it there, ")) for line in lines) == 4, "rows for each size", done.stdout)
    with open(f"{build}/tests/bench/migrate/rows.csv", encoding="ascii") as file:
        rows = [line.split(",") for line in file.read().splitlines()]
    # Six figures of each move, as it was and whole; the stream; two of faults; two of each way to touch.
    check(len(rows) == 1 + 2 * 2 * 6 + 1 + 2 + 2 * 2 and all(float(row[3]) > 0 for row in rows[1:]),
          "the CSV has all rows", rows)
    with open(f"{build}/tests/bench/migrate/sizes.svg", encoding="ascii") as file:
        check(file.read().count('class="curve"') == 2, "and there is a picture")


def main():
    os.chdir(f"{os.path.dirname(os.path.abspath(__file__))}/../../..")
    arithmetic()
    short_run(os.environ.get("CORVUS_BUILD", "build"))
    print(f"1..{number}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
