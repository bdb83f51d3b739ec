#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: a stopped process moves stopped, there and back: its parent is told of each stop and each continuation
# once, and whoever continues it at home continues it where it is. Also a job of bash that Ctrl-Z has stopped.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=migrate-stop-$$
# shellcheck source=tests/cluster/migrate/common.sh
. tests/cluster/migrate/common.sh
build=${CORVUS_BUILD:-build}

# is_stopped N: there it is.
is_stopped() {
    node "$1" sed 's/.*) \(.\).*/\1/' "/proc/$pid/stat" && [ "$output" = T ]
}

# stands: it comes no further.
stands() {
    local before
    came 0 || return 1
    before=$round
    sleep 3
    came 0 && [ "$round" = "$before" ]
}

# told LINES…: all that its parent was told, and nothing else, soon.
told() {
    within 20 told_now "$*"
}
told_now() {
    shell 1 'cat /tmp/err >&2; tail -n +2 /tmp/told | tr "\n" " "' && [ "$output" = "$1 " ]
}

kill_at() {
    node "$1" kill "-$2" "$pid"
}

begin_told() {
    shell 1 'rm -f /tmp/out /tmp/told; /tmp/parent /tmp/told /tmp/wander 4 0 >/tmp/out 2>/tmp/err </dev/null &
        until [ -s /tmp/out ]; do sleep 0.1; done; head -n 1 /tmp/told' || return 1
    pid=${output//[^0-9]/}
    [ -n "$pid" ]
}

there_and_back() {
    must "a process goes on on node 1" begin_told
    check "it is stopped" kill_at 1 STOP
    check "as its parent is told" told "stopped 19"
    must "it moves to node 2" moves 1 node2
    check "where it is stopped" within 20 is_stopped 2
    check "as it is at home" within 20 is_stopped 1
    check "it stands" stands
    check "which its parent is told no second time" told "stopped 19"
    check "it is continued at home" kill_at 1 CONT
    check "and goes on" goes_on
    check "its parent is told" told "stopped 19 continued"
    check "stopped at home" kill_at 1 STOP
    check "it stands" within 20 is_stopped 2
    check "its parent is told" told "stopped 19 continued stopped 19"
    check "it is stopped at home, too" is_stopped 1
    must "it moves back" moves 1 node1
    check "it is stopped" within 20 is_stopped 1
    check "it stands" stands
    check "node 2 has nothing of it" within 30 gone_on 2
    check "its parent is told nothing" told "stopped 19 continued stopped 19"
    check "it is continued" kill_at 1 CONT
    check "and goes on" goes_on
    check "its parent is told" told "stopped 19 continued stopped 19 continued"
    must "it is stopped and moves once more" shell 1 "kill -STOP $pid; sleep 1; corvus migrate $pid node2"
    must "and back before it has done anything" moves 2 node1
    check "it is stopped" within 20 is_stopped 1
    check "told to end while it is stopped" kill_at 1 USR1
    check "it stands" stands
    check "it is continued" kill_at 1 CONT
    check "and ends, having missed nothing" told "stopped 19 continued stopped 19 continued stopped 19 continued exited 0"
    check "its output is that of one that was not moved" as_unmoved 4
}

killed() {
    must "another one" begin_told
    must "is stopped and moves" shell 1 "kill -STOP $pid; sleep 1; corvus migrate $pid node2"
    check "killed at home" kill_at 1 KILL
    check "its parent is told" told "stopped 19 killed 9"
    check "node 2 has nothing of it" within 30 gone_on 2
    must "a third one" begin_told
    must "is stopped and moves" shell 1 "kill -STOP $pid; sleep 1; corvus migrate $pid node2"
    check "killed where it is" kill_at 2 KILL
    check "its parent is told" told "stopped 19 killed 9"
    check "node 1 has nothing of it" within 30 gone_on 1
}

job() {
    output=$(timeout 300 tests/cluster/migrate/terminal.py 'see:bash-' \
        'type:/tmp/wander 4 0 >/tmp/out' 'wait:3' 'key:Z' 'see:Stopped' \
        'type:corvus migrate $(jobs -p) node2; echo mo""ved $?' 'see:moved 0' 'type:jobs' 'see:Stopped' \
        'type:fg' 'see:/tmp/wander' 'wait:3' 'key:Z' 'see:Stopped' \
        'type:bg; sleep 1; jobs; corvus ps' 'see:Running' 'see:away' \
        'type:kill -STOP %1; sleep 1; corvus migrate $(jobs -p) node1; echo ba""ck $?' 'see:back 0' \
        'type:jobs' 'see:Stopped' 'type:fg' 'see:/tmp/wander' 'wait:3' 'key:C' 'type:echo sta""tus $?' 'see:status 130' \
        -- ./qemu-cluster.sh --name "$name" exec -t 1 -- bash --norc -i 2>&1)
}

must "up -n 2" succeeds "node 2 is ready" up -n 2 -m 192
must "the programs are there" cluster cp "$wander" "$build/tests/cluster/parent" 1:/tmp
there_and_back
killed
check "a job of bash: Ctrl-Z, moved, fg, Ctrl-Z, bg, stopped, moved back, fg, Ctrl-C" job
check "nobody complained" healthy
finish
