#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# TAP: `corvus run` and `corvus shared` on three nodes: what comes back of output and exit status, input,
# signals, programs that the other nodes do not have; wrong arguments; processes, agents, network servers
# and nodes that die meanwhile; who may not.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=run-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
build=${CORVUS_BUILD:-build}

# runs STATUS WORDS…: `corvus run --local WORDS…` on node 1 ends so.
runs() {
    local status=0
    node 1 corvus run --local "${@:2}" || status=$?
    output="$output
(status $status)"
    [ "$status" -eq "$1" ]
}

# fails STATUS LINE WORDS…: likewise, with nothing but that line.
fails() {
    runs "$1" "${@:3}" && [ "$output" = "corvus: $2
(status $1)" ]
}

# refused TEXT WORDS…: wrong arguments of the command `corvus WORDS…`.
refused() {
    local status=0
    node 1 corvus "${@:2}" || status=$?
    [ "$status" -eq 2 ] && [ "$(wc -l <<<"$output")" -eq 2 ] && [[ $output == "corvus $2: $1
usage: corvus "* ]]
}

# shell STATUS SCRIPT: a script on node 1 ends so.
shell() {
    local status=0
    node 1 sh -c "$2" || status=$?
    output="$output
(status $status)"
    [ "$status" -eq "$1" ]
}

# nothing_runs WORD NODE…: no process whose command has the word is left there, soon.
nothing_runs() {
    local which
    for which in "${@:2}"; do
        within 15 nothing_on "$1" "$which" || return 1
    done
}

nothing_on() {
    node "$2" ps && ! grep -q " $1" <<<"$output"
}

# still_runs WORD NODE…
still_runs() {
    local which
    for which in "${@:2}"; do
        node "$which" ps && grep -q " $1" <<<"$output" || return 1
    done
}

wrong_arguments() {
    local words
    check "no arguments" refused "--on: which nodes?" run
    check "--on without a value" refused "--on: which nodes?" run --on
    check "no --on" refused "--on: which nodes?" run true
    check "--on twice" refused "--on: once only" run --on 1 --on 2 true
    check "no program" refused "which program?" run --on 1,2
    check "no program behind --" refused "which program?" run --on 1,2 --
    check "another option" refused "an option that there is not" run --on 1 --off 2 true
    for words in '' ',' '1,' '1,,2' 0 -1 nodes node 1x 1.5; do
        check "--on '$words'" refused "--on: a node is a number, or node1 ..." run --on "$words" true
    done
    words=$(printf '1,%.0s' {1..64})1
    check "65 processes" refused "--on: at most 64 processes" run --on "$words" true
    check "shared without a program" refused "which program?" shared
    check "shared with an option" refused "an option that there is not" shared -x true
    check "arguments of agentd" refused "no arguments are known" agentd now
}

not_started() {
    check "a node that the cluster does not have" fails 125 "rank 1 on node9: is not a node of this cluster" \
        --on 1,9 true
    check "a program that there is not" fails 127 "nowhere: No such file or directory" --on 1,2 nowhere
    check "a path that there is not" fails 127 "/no/where: No such file or directory" --on 1,2 /no/where
    check "a folder" fails 126 "/etc: is not a program" --on 2 /etc
    check "a file that is no program" fails 126 "/etc/passwd: is not a program" --on 2 /etc/passwd
    check "a program in no format" shell 126 'echo x >/tmp/odd; chmod +x /tmp/odd; corvus run --local --on 2 /tmp/odd'
    check "which is said" says "corvus: rank 0 on node2: the program: Exec format error"
    check "no segments at /dsm" shell 125 'umount /dsm 2>/dev/null; corvus run --on 1 true'
    check "which is said" says "corvus: rank 0 on node1: the cluster's shared memory: No such"
    check "not of corvus shared either" shell 125 'corvus shared true'
    check "which says so" says "corvus: /dsm: no segments are mounted there"
    check "more environment than there may be" shell 125 'x=$(seq 1 15000); y=$x x=$x corvus run --local --on 1 true'
    check "which is said" says "corvus: arguments and environment: are too long"
}

results() {
    check "a program on three nodes" runs 0 --on 1,node2,3 -- sh -c 'echo $CORVUS_RANK $CORVUS_NODES $CORVUS_NODE $(hostname)'
    output=$(sort <<<"$output")
    check "which know who they are" test "$output" = "(status 0)
0 3 1 node1
1 3 2 node2
2 3 3 node3"
    check "one name of the run for all" shell 0 'corvus run --local --on 1,2,3 -- sh -c "echo \$CORVUS_RUN" | sort -u | wc -l | grep -x 1'
    check "several processes of a node" shell 0 'corvus run --local --on 2,2,2,2 hostname | grep -c -x node2 | grep -x 4'
    check "sixteen" shell 0 'corvus run --local --on 1,2,3,1,2,3,1,2,3,1,2,3,1,2,3,1 echo x | wc -l | grep -x 16'
    check "options of the program are its own" shell 0 'corvus run --on 2 --local echo --json -n | grep -x -e "--json -n"'
    check "the command's folder and environment" shell 0 'cd /usr/bin; HERE=there corvus run --local --on 2 -- sh -c "pwd; echo \$HERE" | tr "\n" " " | grep -x "/usr/bin there "'
    check "a folder that is not there" shell 125 'mkdir -p /tmp/mine; cd /tmp/mine; corvus run --local --on 2 true'
    check "which is said" says "corvus: rank 0 on node2: its folder: No such file or directory"
    check "an exit status" fails 7 "rank 1 on node2: exit status 7" --on 1,2 -- sh -c 'exit $((CORVUS_RANK * 7))'
    check "the first of two" runs 3 --on 1,2 -- sh -c '[ $CORVUS_RANK = 1 ] || { sleep 2; exit 4; }; exit 3'
    check "both of which are told" says "corvus: rank 0 on node1: exit status 4"
    check "a signal's end" fails 137 "rank 2 on node3: ended by signal 9 (Killed)" --on 1,2,3 -- \
        sh -c '[ $CORVUS_RANK != 2 ] || kill -KILL $$'
}

programs() {
    check "a program is copied to node 1" cluster cp "$build/tests/dsm/experiments/nbody" 1:/tmp
    check "and runs on nodes that have it not" shell 0 'corvus run --local --on 2,3 -- /tmp/nbody -h; [ $? = 2 ]'
    check "which know its name" says "nbody: an unknown argument"
    check "nothing is left of it" nothing_runs nbody 2 3
    check "a script is, too" shell 0 'printf "#!/bin/sh\necho from \$(hostname)\n" >/tmp/script; chmod +x /tmp/script
        corvus run --local --on 2 /tmp/script | grep -x "from node2"'
    check "another file of that name there" node 2 sh -c 'printf "#!/bin/sh\necho wrong\n" >/tmp/script; chmod +x /tmp/script'
    check "is not taken for it" shell 0 'corvus run --local --on 2 /tmp/script | grep -x "from node2"'
}

output_and_input() {
    check "a megabyte of output in order" shell 0 'corvus run --local --on 2 seq 1 160000 >/tmp/got; seq 1 160000 | cmp - /tmp/got'
    check "of three nodes at once" shell 0 'corvus run --local --on 1,2,3 -- sh -c "seq 1 50000 | sed s/^/\$CORVUS_RANK:/" >/tmp/got
        for i in 0 1 2; do grep "^$i:" /tmp/got >/tmp/one; seq 1 50000 | sed "s/^/$i:/" | cmp - /tmp/one || exit 1; done'
    check "both streams are kept apart" shell 0 'corvus run --local --on 2 -- sh -c "echo out; echo err >&2" >/tmp/out 2>/tmp/err
        [ "$(cat /tmp/out)" = out ] && [ "$(cat /tmp/err)" = err ]'
    check "a megabyte of input to the first" shell 0 'seq 1 160000 >/tmp/in; corvus run --local --on 3,2 -- \
        sh -c "cat; echo end \$CORVUS_RANK >&2" </tmp/in 2>/tmp/err >/tmp/got; cmp /tmp/in /tmp/got && [ "$(sort /tmp/err | tr "\n" ,)" = "end 0,end 1," ]'
    check "input that is not read" shell 0 'corvus run --local --on 2 -- sh -c "exec <&-; sleep 1; echo done" </tmp/in | grep -x done'
    check "output that is not read" shell 0 'corvus run --local --on 2 -- sh -c "seq 1 100000; echo \$? >&2" 2>/tmp/err | head -n 1 | grep -x 1; grep -v -x 0 /tmp/err'
    check "a process that leaves one behind that writes" shell 0 'corvus run --local --on 2 -- sh -c "(sleep 20; echo late) & echo early" | grep -x early'
}

# begin_run NODES COUNT FIRST: a run in the background on node 1, of so many processes that do FIRST, say
# that they are there, and sleep.
begin_run() {
    node 1 sh -c 'rm -f /tmp/said; echo $$ >/tmp/pid
        exec corvus run --local --on "$0" -- sh -c "$1 echo ready; sleep 77 & wait \$!; exit 5" >/tmp/said 2>&1 </dev/null' \
        "$1" "$3" >/dev/null &
    background=$!
    within 20 said "$2" ready
}

# said COUNT WORDS: the run has said it so often.
said() {
    node 1 cat /tmp/said && [ "$(grep -c -x "$2" <<<"$output")" -eq "$1" ]
}

# run_ends STATUS
run_ends() {
    local status=0
    wait "$background" || status=$?
    node 1 cat /tmp/said
    output="$output
(status $status)"
    [ "$status" -eq "$1" ]
}

signal_run() {
    node 1 sh -c "kill -$1 \$(cat /tmp/pid)"
}

signals() {
    must "processes on three nodes" begin_run 1,2,3 3 'trap "exit 9" INT;'
    check "are interrupted" signal_run INT
    check "and end as they like" run_ends 9
    check "which is told of each" test "$(grep -c 'exit status 9' <<<"$output")" -eq 3
    must "once more" begin_run 1,2 2 ''
    check "SIGTERM" signal_run TERM
    check "ends them" run_ends 143
    check "as is told" says "corvus: rank 1 on node2: ended by signal 15 (Terminated)"
    check "with their children" nothing_runs 'sleep 77' 1 2
    must "once more" begin_run 1,2,3 3 'trap "" INT TERM HUP;'
    check "the command is killed" signal_run KILL
    check "and no process is left" nothing_runs 'sleep 77' 1 2 3
    run_ends 137
}

not_allowed() {
    node 1 sh -c 'chmod 755 /tmp/script'
    check "a user may not" shell 0 'su nobody -s /bin/sh -c "corvus run --on 2 /tmp/script 2>&1; [ \$? = 125 ]"'
    check "and is told so" says "corvus: /run/corvus-run: only root may start programs on nodes"
    check "nor who knows a wrong key" shell 125 'head -c 16 /dev/urandom >/tmp/key
        exec unshare -m sh -c "mount --bind /tmp/key /run/corvus-run; exec corvus run --local --on 2 /tmp/script"'
    check "and is told so" says "corvus: rank 0 on node2: does not know this node's key"
    check "the right one is not shown" shell 1 'su nobody -s /bin/sh -c "cat /run/corvus-run" 2>/dev/null'
    check "the agents go on" runs 0 --on 1,2,3 true
}

# agent_of N: the number of its process.
agent_of() {
    node "$1" sh -c 'ps | sed -n "s/^ *\([0-9]*\) root .* [^ ]*corvus agentd$/\1/p"' && [ -n "$output" ]
}

deaths() {
    local agent
    must "processes on three nodes" begin_run 1,2,3 3 ''
    check "the agent of node 2" agent_of 2
    agent=$output
    check "is killed" node 2 kill -KILL "$agent"
    check "which the command tells" within 10 said 1 "corvus: rank 1 on node2: is lost: the node or its agent has died"
    check "with its process" nothing_runs 'sh -c  *echo ready' 2
    check "init starts another agent" within 20 runs 0 --on 2 true
    check "the other processes go on" still_runs 'sleep 77' 1 3
    cluster kill 3
    check "node 3 is killed, which the command tells" within 60 said 1 "corvus: rank 2 on node3: is lost: the node or its agent has died"
    check "the last one is interrupted" signal_run TERM
    check "the command's status is of the first that was lost" run_ends 125
    check "node 3 is not there" runs 125 --on 1,3 true
    check "which is said" says "corvus: rank 1 on node3: the node "
    check "it is started again" succeeds "node 3 is ready" start 3
    check "and starts programs" within 30 runs 0 --on 1,2,3 true
    give_ports 2
    check "the network server of node 2 is ended" ports 2 end net
    check "its agent is found by the next one" within 40 runs 0 --on 1,2 true
}

must "up -n 3" succeeds "node 3 is ready" up -n 3
for one in 1 2 3; do
    must "node $one sees the others" within 30 all_see 1 2 3
done
wrong_arguments
not_started
results
programs
output_and_input
signals
not_allowed
deaths
check "nobody complained" healthy 'init: net ended'
finish
