#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Turns the output of `nm --numeric-sort` into the C table of function names that a panic prints from
# (struct kernel_symbol in kernel/x86/panic.h): from standard input to standard output. With no input
# it gives the empty table of the first link.
set -eu

awk '
BEGIN {
    print "/* Made by kernel/symbols.sh: the functions of the kernel by address. */"
    print "#include \"x86/panic.h\"\n"
    print "const struct kernel_symbol kernel_symbols[] = {"
}
$2 == "T" || $2 == "t" {
    printf "    {0x%s, \"%s\"},\n", $1, $3
    count++
}
END {
    # C has no empty initialiser before C23; nobody reads past the count.
    if (count == 0)
        print "    {0, 0},"
    printf "};\nconst uint32_t kernel_symbol_count = %d;\n", count
}'
