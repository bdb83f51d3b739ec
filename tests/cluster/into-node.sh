#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: qemu-cluster.sh's ways into a node's Linux, as a person would use them: exec, cp, console.
# What the agent itself can do is tested on the host, in tests/agent.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=test-$$
megabytes=50
# shellcheck source=tests/cluster/common.sh
. tests/cluster/common.sh

# ends STATUS TEXT COMMAND…: with that status, saying so.
ends() {
    local wanted=$1 text=$2 status=0
    shift 2
    cluster "$@" || status=$?
    [ "$status" -eq "$wanted" ] && says "$text"
}

node() {
    cluster exec 1 -- "$@"
}

node_says() {
    local text=$1
    shift
    succeeds "$text" exec 1 -- "$@"
}

wrong_arguments() {
    check "exec without a node" ends 2 "which node" exec -- true
    check "exec without --" ends 2 "unknown argument" exec 1 -x -- true
    check "exec without a command" ends 2 "which command" exec 1 --
    check "exec in two nodes" ends 2 "one node" exec 1 2 -- true
    check "exec with a spoiled variable" ends 2 "not KEY=VALUE" exec -e x 1 -- true
    check "cp of one" ends 2 "from where to where" cp x
    check "cp without a node" ends 2 "one side" cp x y
    check "cp between nodes" ends 2 "one node at a time" cp 1:/x 2:/y
    check "cp with an option" ends 2 "unknown argument" cp -r x 1:/y
    check "console without a node" ends 2 "which node" console
    check "exec into a node that does not run" ends 125 "does not run" exec 1 -- true
    check "cp into it" ends 1 "does not run" cp "$0" 1:/tmp
    check "its console" ends 1 "does not run" console 1
}

commands() {
    check "up, until Linux answers" succeeds "node 1 is ready" up
    check "a command at once" node_says "Linux node1 " uname -a
    check "no leftover of the way there" node_says "ok" sh -c 'ls /proc/self/fd | wc -l | grep -q "^4$" && echo ok'
    check "its status" ends 7 "" exec 1 -- sh -c 'exit 7'
    check "a signal's" ends 137 "" exec 1 -- sh -c 'kill -KILL $$'
    check "no such command" ends 127 "No such file" exec 1 -- /no/such/command
    check "folder and environment, long name of the node" succeeds "/tmp x y" \
        exec -C /tmp -e 'A=x y' node1 -- sh -c 'echo "$PWD $A"'
    check "options behind -- are the command's" node_says "--name" echo --name
    check "a terminal" succeeds "/dev/pts/" exec -t 1 -- tty
    check "corvus, in it" node_says "vcpu_exits" corvus stats
    # Reading makes records, too.
    check "a trace that is read while it is written" node_says " 6 " \
        sh -c 'corvus trace on && sleep 1 && corvus trace -n 5 | wc -l | sed "s/.*/ & /"'
    check "and off" node_says "ok" sh -c 'corvus trace off && echo ok'
}

# Random bytes, in and out; and several at once.
bytes() {
    head -c $((megabytes << 20)) /dev/urandom >"$work/random"
    local sum begin=$SECONDS
    sum=$(sha256sum <"$work/random")
    output=$(./qemu-cluster.sh --name "$name" exec 1 -- sha256sum <"$work/random" 2>&1)
    check "$megabytes MB through standard input" test "$output" = "$sum"
    echo "# $((SECONDS - begin)) s"
    output=$(./qemu-cluster.sh --name "$name" exec 1 -- cat <"$work/random" 2>&1 | sha256sum)
    check "and back" test "$output" = "$sum"
    check "twenty at once" twenty_at_once
}

twenty_at_once() {
    local i processes=() failed=0
    for i in $(seq 20); do
        head -c 200000 "$work/random" |
            ./qemu-cluster.sh --name "$name" exec 1 -- sh -c "cat; exit $i" >"$work/out$i" 2>&1 &
        processes+=($!)
    done
    for i in $(seq 20); do
        local status=0
        wait "${processes[i - 1]}" || status=$?
        [ "$status" -eq "$i" ] && head -c 200000 "$work/random" | cmp -s - "$work/out$i" || failed=1
    done
    return $failed
}

copies() {
    mkdir "$work/folder"
    echo content >"$work/folder/file"
    chmod 751 "$work/folder/file"
    ln -s file "$work/folder/link"
    check "cp of a folder and a file into the node" succeeds "" cp "$work/folder" "$work/random" 1:/tmp
    check "modes and links are kept" node_says "751 file" sh -c 'cd /tmp/folder && stat -c %a\ %n file && test -h link'
    check "cp back" succeeds "" cp 1:/tmp/folder node1:/tmp/random "$work/../$(basename "$work")/"
    cp -r "$work/folder" "$work/expected"
    cluster cp 1:/tmp/folder "$work/back"
    check "cp out under another name" diff -r "$work/expected" "$work/back"
    check "cp of nothing" ends 1 "No such file" cp 1:/no/file "$work"
    check "cp of a file of /proc" succeeds "" cp 1:/proc/meminfo "$work/meminfo"
    check "has what is in it" grep -q MemTotal "$work/meminfo"
}

# The console's shell, typed at through a pipe.
console() {
    {
        sleep 1
        printf 'echo "it is $((40 + 2)) on $(tty)"\n'
        sleep 3
        printf '\035'
    } | ./qemu-cluster.sh --name "$name" console 1 >"$work/console" 2>&1
    output=$(cat "$work/console")
    check "console" says "it is 42 on /dev/tty"
    check "which is in the log as well" succeeds "it is 42 on /dev/tty" log 1
}

# Each end of the way is killed.
agent_restarted() {
    check "the agent is killed" ends 125 "started again" exec 1 -- sh -c 'kill -KILL $PPID; sleep 100'
    check "and back" node_says "here" echo here
    kill -KILL "$(pgrep -f "serve build/cluster/$name/")"
    check "without its server it is not reachable, which exec says" \
        ends 125 "not reachable" exec 1 -- true
}

wrong_arguments
commands
bytes
copies
console
agent_restarted
finish
