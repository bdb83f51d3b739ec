#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds musl for native tasks: libc.a, start-up objects and headers. Its unpacked source package is
# not touched: a tree of links to it gets an architecture `corvus` beside its own, x86_64 with the
# files of this folder in place of some (README.md), and musl's own Makefile does the rest.
#
#   lib/musl/build.sh SOURCE OUTPUT COMPILER [FLAG…]
#
# OUTPUT/lib and OUTPUT/include are what comes out of it.
set -eu

fail() {
    printf 'musl: %s\n' "$*" >&2
    exit 1
}

# Links to all files of a folder, under the names that they have there.
link_files() {
    mkdir -p "$2"
    ln -sf -t "$2" "$1"/*
}

make_tree() {
    local folder
    rm -rf "$tree"
    cp -rs "$source" "$tree"
    cp -r "$tree/arch/x86_64" "$tree/arch/corvus"
    for folder in "$source"/src/*/x86_64 "$source"/crt/x86_64; do
        folder=${folder#"$source"/}
        link_files "$source/$folder" "$tree/${folder%x86_64}corvus"
    done
    # What holds system calls: some of it is ours, for the rest musl has portable versions.
    rm "$tree"/src/thread/corvus/{clone,__unmapself,syscall_cp,__set_thread_area}.s
    rm "$tree/src/process/corvus/vfork.s" "$tree/src/signal/corvus/restore.s"
    link_files "$here/thread" "$tree/src/thread/corvus"
    link_files "$here/arch" "$tree/arch/corvus"
}

# Every file of the package is linked to, so nothing can have been written to it; that nothing of it
# traps is looked at in the result.
check_no_traps() {
    local traps
    [ -s "$output/lib/libc.a" ] || fail "no libc.a came out of it"
    # shellcheck disable=SC2016 # the dollar sign is the assembler's
    traps=$(objdump -d --no-show-raw-insn "$output/lib/libc.a" "$output"/lib/crt*.o |
        grep -E '[[:space:]](syscall|sysenter|int +\$0x80)[[:space:]]*$' || true)
    [ -z "$traps" ] || fail "system calls are left in it: $traps"
}

[ $# -ge 3 ] || fail "usage: lib/musl/build.sh SOURCE OUTPUT COMPILER [FLAG…]"
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$1" && pwd)
compiler=$3
# Appears complete or not at all, also when two builds run at once.
mkdir -p "$(dirname "$2")"
output=$(mktemp -d "$(cd "$(dirname "$2")" && pwd)/musl.XXXXXX")
chmod 755 "$output"
final=$2
trap 'rm -rf "$output"' EXIT
shift 3
tree=$output/tree

make_tree
cat >"$output/config.mak" <<END
ARCH = corvus
srcdir = $tree
prefix = $output
CC = $compiler
CFLAGS = $*
CFLAGS_AUTO = -O2 -pipe -fno-stack-protector -fno-asynchronous-unwind-tables
END
crt=(lib/crt1.o lib/crti.o lib/crtn.o)
# On its own, whatever options the make has that called this.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -j"$(nproc)" -C "$output" -f "$tree/Makefile" lib/libc.a "${crt[@]}"
make -s -C "$output" -f "$tree/Makefile" install-headers
check_no_traps
rm -rf "$tree" "$output/obj" "$final"
mv -T "$output" "$final"
