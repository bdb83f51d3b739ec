# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that reaches into a running node: exec, cp and console. They look for the
# node and become deploy/agent/main.py.

# What `exec` ends with when there was no command to give a status.
status_refused=125

# Paths of sockets must be short, so they are given from the top folder; folders of files must not
# change, so the way there is through a descriptor's name.
node_socket() {
    echo "/proc/self/fd/8/node$1.$2"
}

# Opens the state folder for node_socket, and checks that the node runs.
enter_state() {
    local node=$1
    node_process "$node" >/dev/null || { say "node $node does not run" >&2 && return 1; }
    exec 8<"$state"
}

command_exec() {
    local options=() node=""
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        case $1 in
        -t) options+=(-t) ;;
        -e | -C)
            [ $# -ge 2 ] || wrong_arguments "exec: $1 needs a value"
            [ "$1" != -e ] || [[ $2 == ?*=* ]] || wrong_arguments "exec: '$2' is not KEY=VALUE"
            options+=("$1" "$2")
            shift
            ;;
        -*) wrong_arguments "exec: unknown argument '$1'" ;;
        *)
            [ -z "$node" ] || wrong_arguments "exec: one node, then -- and the command"
            node=$(node_number "$1") || exit
            ;;
        esac
        shift
    done
    [ -n "$node" ] || wrong_arguments "exec: which node?"
    [ $# -ge 2 ] || wrong_arguments "exec: which command? It stands behind --"
    enter_state "$node" || exit "$status_refused"
    exec "$top/deploy/agent/main.py" exec ${options[@]+"${options[@]}"} \
        "$(node_socket "$node" agent)" "$@"
}

command_cp() {
    local path node=""
    [ $# -ge 2 ] || wrong_arguments "cp: from where to where?"
    for path in "$@"; do
        case $path in
        -*) wrong_arguments "cp: unknown argument '$path'" ;;
        esac
        if [[ $path =~ ^(node)?([1-9][0-9]*): ]]; then
            [ -z "$node" ] || [ "$node" = "${BASH_REMATCH[2]}" ] ||
                wrong_arguments "cp: one node at a time"
            node=${BASH_REMATCH[2]}
        fi
    done
    [ -n "$node" ] || wrong_arguments "cp: one side is NODE:PATH"
    enter_state "$node" || exit
    exec "$top/deploy/agent/main.py" copy "$(node_socket '{}' agent)" "$@"
}

command_console() {
    local node
    [ $# -eq 1 ] || wrong_arguments "console: which node?"
    node=$(node_number "$1") || exit
    enter_state "$node" || exit
    exec "$top/deploy/agent/main.py" console "$(node_socket "$node" console)" \
        "$(node_socket "$node" console-lock)"
}
