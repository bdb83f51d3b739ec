#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: ordinary programs on two nodes share memory by a file of /dsm (subjects/segment-peer.c): what the
# one writes the other reads, in both directions and at once; names, sizes and modes; the end of the
# server that keeps it, and of the other node.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=memobj-$$
# shellcheck source=tests/linux/pair.sh
. tests/linux/pair.sh

# says NODE COMMAND PATTERN: the whole of its output.
says() {
    local said
    said=$(node "$1" "$2" 2>&1 </dev/null)
    echo "$said"
    [[ $said =~ ^($3)$ ]]
}

# both COMMAND-1 COMMAND-2 PATTERN: at once, one on each node; both say that.
both() {
    says 1 "$1" "$3" >"$scratch/one" 2>&1 &
    local one=$! ended=0
    says 2 "$2" "$3" || ended=1
    wait "$one" || ended=1
    sed 's/^/node 1: /' "$scratch/one"
    return "$ended"
}

peer=/tmp/segment-peer
check "two nodes come up" up segment-peer
check "node 1 fills a file" says 1 "$peer fill /dsm/big 64 1000" filled
check "node 2 reads the same" says 2 "$peer check /dsm/big 64 1000" "0 of 64 pages are wrong"
check "node 2 writes something else" says 2 "$peer fill /dsm/big 64 2000" filled
check "and node 1 reads that" says 1 "$peer check /dsm/big 64 2000" "0 of 64 pages are wrong"
check "read and write, too" says 1 "printf hello >/dsm/text; wc -c </dsm/text" 5
check "from the other side" says 2 "cat /dsm/text; chmod 600 /dsm/text; echo more >>/dsm/text" hello
check "owner, mode and size are the same" says 1 "stat -c '%a %u %s' /dsm/text" "600 0 10"
check "a name is there once" says 2 "set -C; (: >/dsm/text) 2>/dev/null && echo made || echo is there" "is there"
check "renamed there, known here" says 2 "mv /dsm/text /dsm/name; rm /dsm/big; ls /dsm" name
check "and only so" says 1 "ls /dsm; cat /dsm/text 2>&1" $'name\ncat: can.t open .*: No such file or directory'
check "both add to one word at once" both \
    "$peer fill /dsm/sum 1 0 >/dev/null; truncate -s 12288 /dsm/sum; (sleep 3; printf 1 | dd of=/dsm/sum bs=1 seek=4096 conv=notrunc 2>/dev/null) & $peer add /dsm/sum 200" \
    "while [ ! -e /dsm/sum ]; do sleep 0.1; done; sleep 1; $peer add /dsm/sum 200" 400
check "both wait for each other, 200 times" both "$peer steps /dsm/steps 200 0" "$peer steps /dsm/steps 200 1" "done"
node 2 "$peer hold /dsm/held >/tmp/held 2>&1 </dev/null &"
check "node 1 writes last" says 1 "sleep 2; $peer fill /dsm/held 1 77; sleep 3" filled
check "and node 2 has seen it" says 2 "tail -n 1 /tmp/held" 77
./qemu-cluster.sh --name "$name" kill 1 >/dev/null 2>&1
# Of two nodes the second is no majority: it gets errors, and nothing that may be old.
check "node 1 dies: node 2 gets SIGBUS" says 2 \
    "n=0; until tail -n 1 /tmp/held | grep -q SIGBUS; do n=\$((n + 1)); [ \$n -lt 60 ] || break; sleep 1; done; tail -n 1 /tmp/held" SIGBUS
check "and errors" says 2 "cat /dsm/held 2>&1" ".*Input/output error"
check "its Linux is well" node 2 "! dmesg | grep -E 'BUG:|WARNING:|Oops'"
finish
