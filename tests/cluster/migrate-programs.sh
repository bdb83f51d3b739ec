#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: Debian's programs, as they are, moved while they work: python3 with the output of one that was not
# moved, sort and awk at pipes of others that stayed, bash with job control at a terminal; and moves that are
# refused by name, after which the process goes on: another processor, no memory, a program's file that is gone.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=migrate-programs-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

shell() {
    node "$1" bash -c "$2"
}

# written N FILE TEXT: that file of node N has it.
written() {
    node "$1" cat "$2" && says "$3"
}

# refused TEXT WORDS…: `corvus migrate WORDS…` on node 1 says no in one line.
refused() {
    local status=0
    node 1 corvus migrate "${@:2}" || status=$?
    [ "$status" -eq 1 ] && [ "$(wc -l <<<"$output")" -eq 1 ] && says "$1"
}

# number FILE: the process number in that file of node 1 becomes `pid`.
number() {
    node 1 cat "$1"
    pid=${output//[^0-9]/}
    [ -n "$pid" ]
}

away() {
    node 1 corvus ps
    grep "^ *$pid " <<<"$output" | grep -q away
}

# --- Programs ----------------------------------------------------------------------------------

python='
import hashlib, json, os, random, sys, threading
words, lock = {}, threading.Lock()
def work(seed):
    dice = random.Random(seed)
    for i in range(int(sys.argv[1])):
        text = hashlib.sha256(str(dice.random()).encode()).hexdigest()
        with lock:
            words[text[:2]] = words.get(text[:2], 0) + int(text[2:5], 16)
        if seed == 1 and i % 500 == 0:
            print(i, text, flush=True)
        while i == 1000 and not os.path.exists("/tmp/moved.py"):
            text = hashlib.sha256(text.encode()).hexdigest()
threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2)]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps(sorted(words.items())), sum(1.0 / (n + 1) for n in range(1000)))
'

begin_python() {
    shell 1 "cat >/tmp/work.py <<'END'
$python
END
        (python3 /tmp/work.py 6000 >/tmp/python.out 2>&1 & echo \$! >/tmp/python.pid; wait \$!; echo \$? >/tmp/python.status
        ) </dev/null >/dev/null 2>&1 &
        until grep -q ^500 /tmp/python.out; do sleep 0.05; done"
}

same_as_unmoved() {
    cluster_seconds=400 shell 1 'python3 /tmp/work.py 6000 >/tmp/python.expected && cmp /tmp/python.out /tmp/python.expected'
}

pythons() {
    must "python3 computes" begin_python
    must "it has a number" number /tmp/python.pid
    must "it moves" node 1 corvus migrate "$pid" node2
    check "it is away" away
    check "half of its work is left" node 1 touch /tmp/moved.py
    check "it ends, with status 0" within 300 written 1 /tmp/python.status 0
    check "its output is that of one that was not moved" same_as_unmoved
}

# sort reads a pipe whose writer stays; awk reads what a third one that stays writes, and writes to a fourth.
begin_pipes() {
    shell 1 'mkfifo /tmp/from /tmp/to
        (sort -n </tmp/from >/tmp/sorted & echo $! >/tmp/sort.pid; wait $!; echo $? >/tmp/sort.status
        ) </dev/null >/dev/null 2>&1 &
        (awk -W interactive "{ sum += \$1 * NR; print sum; fflush() }" </tmp/to >/tmp/sums & echo $! >/tmp/awk.pid
        wait $!; echo $? >/tmp/awk.status
        ) </dev/null >/dev/null 2>&1 &
        half() { [ $1 -ne 200 ] || until [ -e /tmp/moved ]; do sleep 0.1; done; }
        (exec >/tmp/from; for i in $(seq 400 -1 1); do echo $i; half $i; done) </dev/null 2>/dev/null &
        (exec >/tmp/to; for i in $(seq 400); do echo $i; half $i; done) </dev/null 2>/dev/null &
        until [ -s /tmp/sums ]; do sleep 0.05; done'
}

pipes() {
    must "sort and awk read pipes" begin_pipes
    must "awk" number /tmp/awk.pid
    check "moves" node 1 corvus migrate "$pid" node2
    must "sort" number /tmp/sort.pid
    check "moves" node 1 corvus migrate "$pid" node2
    check "sort is away" away
    check "who writes goes on" node 1 touch /tmp/moved
    check "sort ends, with status 0" within 100 written 1 /tmp/sort.status 0
    check "all lines are there, in order" shell 1 'seq 400 | cmp - /tmp/sorted'
    check "awk ends, with status 0" within 100 written 1 /tmp/awk.status 0
    check "with the right sums" shell 1 'seq 400 | awk "{ sum += \$1 * NR; print sum }" | cmp - /tmp/sums'
}

# A shell at a terminal of python's; what is typed comes by a pipe.
begin_terminal() {
    shell 1 'mkfifo /tmp/keys
        (exec 7<>/tmp/keys; python3 -c "import pty; pty.spawn([\"bash\", \"--norc\", \"-i\"])" <&7) >/tmp/typescript 2>&1 &
        sleep 1; printf "PS1=; echo \$\$ >/tmp/bash.pid\n" >/tmp/keys
        until [ -s /tmp/bash.pid ]; do sleep 0.05; done'
}

types() {
    shell 1 "printf '%b' '$1' >/tmp/keys"
}

terminal() {
    must "bash runs at a terminal" begin_terminal
    must "it has a number" number /tmp/bash.pid
    must "it moves" node 1 corvus migrate "$pid" node2
    check "it is away" away
    check "a command is typed" types 'echo $((6 * 7)) >/tmp/answer\n'
    check "and is executed" within 60 written 1 /tmp/answer 42
    check "a job in the background" types 'sleep 1000 & jobs >/tmp/jobs\n'
    check "is listed" within 60 written 1 /tmp/jobs "Running"
    check "brought to the front, and stopped" types 'fg\n'
    check "by Control-Z" shell 1 "sleep 3; printf '\\032' >/tmp/keys; sleep 2"
    check "it is told so" types 'jobs >/tmp/jobs; kill %1; wait %1; echo $? >/tmp/killed\n'
    check "as stopped" within 60 written 1 /tmp/jobs "Stopped"
    check "and ended" within 60 shell 1 'test -s /tmp/killed'
    check "Control-C ends what is in front" shell 1 "printf 'sleep 1000\\n' >/tmp/keys; sleep 3; printf '\\003' >/tmp/keys"
    check "and the shell goes on" types 'echo $? >/tmp/interrupted\n'
    check "with its status" within 60 written 1 /tmp/interrupted 130
    check "bash ends" types 'exit 3\n'
    check "on both nodes" within 60 ended
}

ended() {
    ! node 1 test -d "/proc/$pid" && ! node 2 test -d "/proc/$pid"
}

# --- Refusals ----------------------------------------------------------------------------------

begin_counting() {
    shell 1 "rm -f /tmp/counted
        (exec python3 -c 'import time
room = bytearray($1 << 20)
for i in range(0, len(room), 4096): room[i] = 1
n = 0
while True:
    n += sum(room[::4096]) // max(1, len(room) // 4096)
    print(n, flush=True); time.sleep(0.05)' >/tmp/counted) </dev/null 2>/dev/null & echo \$! >/tmp/counter.pid
        until [ -s /tmp/counted ]; do sleep 0.1; done" && number /tmp/counter.pid
}

# Likewise, what it counts is in a segment.
begin_sharing() {
    shell 1 "rm -f /tmp/counted
        (exec python3 -c 'import mmap, os, time
file = os.open(\"/dsm/counted\", os.O_CREAT | os.O_RDWR)
os.ftruncate(file, 4096)
room = mmap.mmap(file, 4096)
while True:
    n = int.from_bytes(room[:8], \"little\") + 1
    room[:8] = n.to_bytes(8, \"little\")
    print(n, flush=True); time.sleep(0.05)' >/tmp/counted) </dev/null 2>/dev/null & echo \$! >/tmp/counter.pid
        until [ -s /tmp/counted ]; do sleep 0.1; done" && number /tmp/counter.pid
}

counted_beyond() {
    node 1 tail -n 1 /tmp/counted
    [ "${output//[^0-9]/}" -gt "$1" ]
}

goes_on() {
    node 1 tail -n 1 /tmp/counted
    within 60 counted_beyond "${output//[^0-9]/}" && shell 1 "awk '\$1 != NR { exit 1 }' /tmp/counted"
}

# Another file system of node 2 takes all the memory that is not needed.
fill_memory() {
    shell 2 'mkdir -p /tmp/full && mount -t tmpfs -o size=95% none /tmp/full &&
        head -c "$(($(sed -n "s/^MemAvailable: *\([0-9]*\).*/\1/p" /proc/meminfo) - 24000))K" /dev/zero >/tmp/full/file'
}

unlisted() {
    node 1 corvus ps && ! grep -q "^ *$pid " <<<"$output"
}

# Of all files only segments are looked for where a process goes; the others stay at home.
missing_file() {
    must "a process counts in a segment" begin_sharing
    check "node 2 has no segments" shell 2 'umount /dsm'
    check "the move is refused" refused "its shared memory /dsm/counted is not there" "$pid" node2
    check "and the process goes on" goes_on
    check "with segments again" shell 2 'mount -t memobj -o server=dsm,nosuid,nodev dsm /dsm'
    must "it moves" node 1 corvus migrate "$pid" node2
    check "it goes on" goes_on
    check "as node 2's segment says, too" shell 2 'test "$(od -A n -t d4 -N 4 /dsm/counted)" -gt 0'
    must "and back" node 1 corvus migrate "$pid" node1
    check "the segment's name becomes another one's" node 2 sh -c 'rm /dsm/counted; head -c 4096 /dev/zero >/dsm/counted'
    check "the move is refused" refused "its shared memory /dsm/counted is not there" "$pid" node2
    check "and the process goes on" goes_on
    check "it ends" node 1 sh -c "kill $pid; rm /dsm/counted"
}

other_processor() {
    check "nothing of it is on node 2 any more" within 60 unlisted
    check "node 2 is ended" cluster kill 2
    CORVUS_CPU=Nehalem check "and started with an older processor" cluster start 2
    check "they see each other" within 60 pings 1 node2
    check "a process that may use more is refused" refused "it may use what the processor here does not have" "$pid" node2
    check "and goes on" goes_on
    check "it ends" node 1 kill "$pid"
}

refusals() {
    must "a process of 40 MiB" begin_counting 40
    check "node 2 is short of memory" fill_memory
    check "the move is refused" refused "there is no memory for its " "$pid" node2
    check "and the process goes on" goes_on
    check "with memory again" shell 2 'umount /tmp/full'
    must "it moves" node 1 corvus migrate "$pid" node2
    check "it goes on" goes_on
    must "and back" node 1 corvus migrate "$pid" node1
    check "its program's file is gone" shell 1 'cp /usr/bin/sleep /tmp/sleeper
        /tmp/sleeper 1000 </dev/null >/dev/null 2>&1 & echo $! >/tmp/sleeper.pid; sleep 1; rm /tmp/sleeper'
    check "a process whose file is gone moves all the same: its pages come from where it was" \
        shell 1 'corvus migrate $(cat /tmp/sleeper.pid) node2'
    check "and ends when it is told to" shell 1 'kill $(cat /tmp/sleeper.pid)'
    check "a disk that is full at home says so to who has moved" full_disk
    missing_file
    must "a process of 1 MiB" begin_counting 1
    must "moves" node 1 corvus migrate "$pid" node2
    must "and back" node 1 corvus migrate "$pid" node1
    other_processor
}

# Its writes are made at home, and so is what they find there.
full_disk() {
    shell 1 'mkdir -p /tmp/small && mount -t tmpfs -o size=64k none /tmp/small && mkfifo /tmp/start || exit
        (exec bash -c "read line </tmp/start; head -c 200000 /dev/zero >/tmp/small/file; echo \$? >/tmp/disk.status" \
            2>/tmp/disk.errors) </dev/null >/dev/null &
        echo $! >/tmp/disk.pid; sleep 1
        corvus migrate $(cat /tmp/disk.pid) node2 && echo go >/tmp/start &&
            until [ -s /tmp/disk.status ]; do sleep 0.1; done; cat /tmp/disk.status /tmp/disk.errors' &&
        says "No space left on device"
}

must "up -n 2, with Debian's tools" succeeds "node 2 is ready" up -n 2 --disk full --patience 8
pythons
pipes
terminal
refusals
check "nobody complained" healthy
finish
