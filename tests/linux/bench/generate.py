#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints a C program of 5,000 lines that includes nothing, for the row compile.

    generate.py SEED

The same seed gives the same program. It is what compilers usually see in small: structures, arrays,
loops, switches, calls, constants, strings.
"""
import random
import sys

LINES = 5000
FIELDS = ("first", "second", "third", "size", "flags")
OPERATORS = ("+", "-", "*", "^", "&", "|")
HEAD = """\
struct item {
    long first;
    long second;
    int third;
    unsigned size;
    unsigned char flags;
};

static struct item items[64];
static const char *last_name;
"""


def expression(source, depth=2):
    """An expression of the names that every function has."""
    if depth == 0:
        return source.choice(
            ("a", "b", "i", str(source.randrange(1, 4096)), f"it->{source.choice(FIELDS)}")
        )
    left, right = expression(source, depth - 1), expression(source, depth - 1)
    return f"({left} {source.choice(OPERATORS)} {right})"


def statement(source, number):
    """The lines of one statement of function `number`, which may call those before it."""
    kind = source.randrange(6)
    if kind == 0:
        return [f"    a += {expression(source)};"]
    if kind == 1:
        return [
            f"    if ({expression(source)} > b) {{",
            f"        it->{source.choice(FIELDS)} = {expression(source)};",
            "    } else {",
            f"        b = {expression(source)};",
            "    }",
        ]
    if kind == 2:
        return [
            f"    for (i = 0; i < {source.randrange(2, 50)}; i++) {{",
            f"        items[i & 63].{source.choice(FIELDS)} += {expression(source)};",
            f"        a ^= items[(i + {source.randrange(64)}) & 63].third;",
            "    }",
        ]
    if kind == 3:
        cases = [
            line
            for value in range(source.randrange(3, 7))
            for line in (f"    case {value}:", f"        b = {expression(source)};", "        break;")
        ]
        return ["    switch (a & 7) {", *cases, "    default:", "        break;", "    }"]
    if kind == 4 and number > 0:
        return [f"    b -= function_{source.randrange(number)}(it, {expression(source, 1)}, i);"]
    return [f'    last_name = "name {source.randrange(10000)} of function {number}";']


def function(source, number):
    """The lines of one function."""
    lines = [
        f"static long function_{number}(struct item *it, long a, long b)",
        "{",
        "    long i = 0;",
        "",
    ]
    for _ in range(source.randrange(3, 9)):
        lines += statement(source, number)
    return [*lines, f"    return {expression(source, 1)};", "}", ""]


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: generate.py SEED")
    source = random.Random(int(sys.argv[1]))
    lines = HEAD.splitlines() + [""]
    number = 0
    while len(lines) < LINES - 40:
        lines += function(source, number)
        number += 1
    end = ["int main(void)", "{", "    long sum = 0;", ""]
    end += [f"    sum += function_{number - 1}(&items[1], sum, 2);"]
    end += ["    return (int)(sum & 1) + (last_name != 0);", "}"]
    # A comment makes the number of lines right.
    gap = LINES - len(lines) - len(end)
    lines += [f"/* {gap} lines to the end of the file. */"] + [""] * (gap - 1)
    print("\n".join(lines + end))


if __name__ == "__main__":
    main()
