# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that does to a single node of a running cluster what happens to machines:
# kill, start, freeze, thaw. The wire's hub may be killed and started, too.

# Takes the argument NODE of a command and prints its number; it must be one of this cluster's.
node_of_cluster() {
    local number
    number=$(node_number "$1") || exit
    load_settings || fail "not up"
    [ "$number" -le "$nodes" ] || fail "there is no node $number, only 1 to $nodes"
    echo "$number"
}

# The power goes: nothing in the node or in QEMU can prepare for it.
command_kill() {
    local node process
    [ $# -eq 1 ] || wrong_arguments "kill: which node?"
    if [ "$1" = wire ]; then
        need_wire
        take_lock
        kill_wire
        return
    fi
    node=$(node_of_cluster "$1") || exit
    take_lock
    process=$(node_process "$node") || fail "node $node does not run"
    kill -KILL "$process"
    end_node "$node"
    say "node $node is killed"
}

start_interrupted() {
    trap '' INT TERM HUP
    abandon_nodes
    fail "start was interrupted; the node has been ended"
}

# As `up` started it, with the same number, key and command line.
command_start() {
    local node
    [ $# -eq 1 ] || wrong_arguments "start: which node?"
    if [ "$1" = wire ]; then
        need_wire
        take_lock
        start_wire || fail "the wire did not start"
        say "the wire is started"
        return
    fi
    node=$(node_of_cluster "$1") || exit
    take_lock
    load_settings
    ! node_process "$node" >/dev/null || fail "node $node runs already"
    trap start_interrupted INT TERM HUP
    if ! start_node "$node" || ! wait_for_nodes "$node"; then
        abandon_nodes
        exit 1
    fi
    trap - INT TERM HUP
}

qmp() {
    (cd "$top" && deploy/cluster/qmp.py "$@")
}

# The state of a machine that runs: T is one stopped by a signal.
process_is_stopped() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*) }
    [ "${stat%% *}" = T ]
}

# freeze and thaw: [--signal] NODE
hold_or_release() {
    local name=$1 command=$2 signal=$3 way=qmp node process
    shift 3
    if [ "${1-}" = --signal ]; then
        way=signal
        shift
    fi
    [ $# -eq 1 ] || wrong_arguments "$name: which node?"
    [[ $1 != -* ]] || wrong_arguments "$name: unknown argument '$1'"
    node=$(node_of_cluster "$1") || exit
    process=$(node_process "$node") || fail "node $node does not run"
    if [ "$way" = signal ]; then
        kill "-$signal" "$process"
    elif process_is_stopped "$process"; then
        # QEMU itself stands still and hears nothing.
        fail "node $node is frozen by a signal: thaw --signal $node"
    else
        qmp "$command" "build/cluster/$cluster/node$node.qmp" || fail "node $node: QEMU did not do it"
    fi
    say "node $node is $([ "$name" = freeze ] && echo frozen || echo thawed)"
}

# By QEMU its clock stands still meanwhile, too; by a signal it goes on, as if the machine had been
# too busy.
command_freeze() {
    hold_or_release freeze stop STOP "$@"
}

command_thaw() {
    hold_or_release thaw cont CONT "$@"
}
