#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: memory on reference (linuxserver/migration/cor.h). A process has memory of another node's, or of
# its own node's, on reference, and does with it what programs do (subjects/reference.c); the source
# gives up what has gone, keeps nothing in the end, and dies; memory gets short.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=reference-$$
# shellcheck source=tests/linux/pair.sh
. tests/linux/pair.sh

# source NODE MIB: starts one, prints its pid when all of its memory is filled. What the source before it
# has said must be gone: the shell may look before the new one has begun the file anew, and a source that is
# filling yet has not the pages that the other side looks for.
source_on() {
    node "$1" "rm -f /tmp/said; setsid /tmp/reference source $2 >/tmp/said 2>&1 </dev/null & n=0
               until grep -qs ready /tmp/said; do
                   n=\$((n + 1)); [ \$n -lt 600 ] || { echo 'the source is not ready' >&2; exit 1; }
                   sleep 0.1
               done
               echo \$!" </dev/null
}

# memory_goes NODE PID KIB: within 10 s the process has less than that.
memory_goes() {
    node "$1" "n=0; while :; do
                   has=\$(awk '/^VmRSS/ { print \$2 }' /proc/$2/status)
                   [ \$has -ge $3 ] || exit 0
                   n=\$((n + 1)); [ \$n -lt 100 ] || { echo \"it has \$has KiB yet\"; exit 1; }
                   sleep 0.1
               done" </dev/null
}

# run_case CASE FROM TO MIB DRAIN: what a process on TO does with the memory of one on FROM.
run_case() {
    local pid
    pid=$(source_on "$2" "$4") || return 1
    node "$3" "echo $5 >/sys/module/cor/parameters/drain; /tmp/reference $1 $2 $pid $4" </dev/null ||
        return 1
    # Its own pages and its binary's are a little.
    memory_goes "$2" "$pid" 2048 && node "$2" "kill -9 $pid" </dev/null
}

# The pages that have not come are lost with the node, and only they.
source_dies() {
    local pid n=0
    pid=$(source_on 1 8) || return 1
    node 2 "echo 0 >/sys/module/cor/parameters/drain; rm -f /tmp/go; mkfifo /tmp/go
            /tmp/reference dead 1 $pid 8 </tmp/go >/tmp/dead & exec 3>/tmp/go
            until grep -q gone /tmp/dead; do sleep 0.1; done; sleep 600 & echo \$! >/tmp/sleeper" \
        </dev/null >/dev/null 2>&1 &
    until node 2 "grep -q gone /tmp/dead" </dev/null; do
        n=$((n + 1))
        [ "$n" -lt 60 ] || return 1
        sleep 1
    done
    ./qemu-cluster.sh --name "$name" kill 1 >/dev/null 2>&1
    node 2 "echo >/tmp/go & n=0
            until grep -q 'dead:\|line' /tmp/dead; do n=\$((n + 1)); [ \$n -lt 120 ] || break; sleep 1; done
            cat /tmp/dead; kill \$(cat /tmp/sleeper)
            dmesg | grep 'corvus: migration'; grep -q '^dead: ' /tmp/dead" </dev/null
}

check "two nodes come up" up reference
for case in touch write fork many munmap dontneed mremap mlock willneed protect threads system exit; do
    check "$case, the drain on, of the own node" run_case "$case" 1 1 6 1
    check "$case, the drain off, of another node" run_case "$case" 1 2 6 0
done
check "dontneed when all maps are known" run_case dontneed-late 2 1 6 0
check "the drain leaves nothing" run_case drain 1 2 48 1
check "a tenth of the pages, alone, brings at most a quarter" run_case sparse 1 2 32 0
check "one after the other" run_case sequential 1 2 32 0
check "single faults" run_case latency 2 1 32 0
# 100 MiB on reference where 85 are left: the drain stops, and nobody is killed.
check "memory gets short where it goes" \
    node 2 "dd if=/dev/zero of=/tmp/hog bs=1M count=100 2>/dev/null; free -k | head -n 2" </dev/null
check "the process goes on, and the drain waits" run_case short 1 2 100 1
check "there is memory again" node 2 "rm /tmp/hog; ! dmesg | grep -i 'out of memory'" </dev/null
check "the source's node dies: SIGBUS for what had not come, and a line in the log" source_dies
check "its Linux is well" node 2 "! dmesg | grep -E 'BUG:|WARNING:|Oops|Bad rss|Call Trace'" </dev/null
finish
