# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that shows: status, list, log.

command_log() {
    local follow=no node="" process
    while [ $# -gt 0 ]; do
        case $1 in
        -f) follow=yes ;;
        -*) wrong_arguments "log: unknown argument '$1'" ;;
        *)
            [ -z "$node" ] || wrong_arguments "log: one node at a time"
            node=$(node_number "$1") || exit
            ;;
        esac
        shift
    done
    [ -n "$node" ] || wrong_arguments "log: which node?"
    [ -e "$state/node$node.log" ] || fail "there is no node $node"
    if [ "$follow" = yes ] && process=$(node_process "$node"); then
        # Ends with the machine.
        exec tail -n +1 -f --pid="$process" "$state/node$node.log"
    fi
    exec cat "$state/node$node.log"
}

node_condition() {
    local process
    if ! process=$(node_process "$1"); then
        echo stopped
    elif process_is_stopped "$process" ||
        [ "$(qmp query-status "build/cluster/$cluster/node$1.qmp" 2>/dev/null)" = paused ]; then
        echo frozen
    elif node_is_ready "$1"; then
        echo ready
    else
        echo starting
    fi
}

# The wire's own lines, but for those of single links, which `wire stats` shows.
status_of_wire() {
    local process
    load_settings && [ "$lan" = bridge ] && say "bridge  in the network namespace $(bridge_namespace)" && return
    if ! process=$(wire_process); then
        [ ! -e "$state/settings" ] || say "wire  stopped"
        return 0
    fi
    say "wire    running  process $process"
    wire tell "build/cluster/$cluster" stats | sed -e '/^[0-9]*>/d' -e 's/^/    /'
}

status_text() {
    local node process
    if [ -z "$(known_nodes)" ]; then
        say "no nodes"
    fi
    for node in $(known_nodes); do
        process=$(node_process "$node") || process=-
        printf '%s: node %d  %s  process %s  log build/cluster/%s/node%d.log\n' \
            "$cluster" "$node" "$(node_condition "$node")" "$process" "$cluster" "$node"
    done
    status_of_wire
    if process=$(boot_server_process); then
        say "boot server  running  process $process  log build/cluster/$cluster/boot.log"
    fi
}

# Nothing in it needs quoting: names are letters, digits, - and _.
status_json() {
    local node process separator="" counters=null server=null
    printf '{"cluster": "%s", "nodes": [' "$cluster"
    for node in $(known_nodes); do
        process=$(node_process "$node") || process=null
        printf '%s{"node": %d, "state": "%s", "process": %s, "log": "build/cluster/%s/node%d.log"}' \
            "$separator" "$node" "$(node_condition "$node")" "$process" "$cluster" "$node"
        separator=", "
    done
    if wire_process >/dev/null; then
        counters=$(wire tell "build/cluster/$cluster" stats json) || counters=null
    fi
    server=$(boot_server_process) || server=null
    printf '], "boot_server": %s, "wire": %s}\n' "$server" "$counters"
}

command_status() {
    case $* in
    '') status_text ;;
    --json) status_json ;;
    *) wrong_arguments "status: unknown argument in '$*'" ;;
    esac
}

# Prints `NODES RUNNING BOOT LAN` of the cluster whose state folder is $state; false when it is not up.
summary_of_cluster() {
    local nodes boot lan node running=0
    load_settings || return 1
    for node in $(seq "$nodes"); do
        if node_process "$node" >/dev/null; then
            running=$((running + 1))
        fi
    done
    echo "$nodes $running $boot $lan"
}

# All clusters that are up. Names need no quoting.
command_list() {
    local file line separator="" format=text
    case $* in
    '') ;;
    --json) format=json ;;
    *) wrong_arguments "list: unknown argument in '$*'" ;;
    esac
    [ "$format" = text ] || printf '['
    for file in "$top"/build/cluster/*/settings; do
        state=${file%/settings}
        line=$(summary_of_cluster) || continue
        # shellcheck disable=SC2086 # words
        set -- ${state##*/} $line
        if [ "$format" = json ]; then
            printf '%s{"cluster": "%s", "nodes": %d, "running": %d, "boot": "%s", "lan": "%s"}' \
                "$separator" "$@"
            separator=", "
        else
            printf '%s: %d of %d nodes run  boot %s  lan %s\n' "$1" "$3" "$2" "$4" "$5"
        fi
    done
    [ "$format" = text ] || printf ']\n'
}
