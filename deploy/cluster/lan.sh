# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh for the LAN: the virtual one (deploy/wire) with its hub, and wire, cut and
# heal; which of the two kinds a cluster has.

wire_program=build/deploy/wire

# Short paths, for those of sockets have 107 bytes.
wire() {
    (cd "$top" && "$wire_program" "$@")
}

# Refuses what no wire of so many nodes understands.
check_wire_command() {
    local complaint
    complaint=$(wire check "$@" 2>&1) || wrong_arguments "$complaint"
}

wire_process() {
    process_of "$state/wire.pid"
}

# How many are joined: the nodes, and their boot server.
wire_ports() {
    if boots_from_lan; then
        echo $((nodes + 1))
    else
        echo "$nodes"
    fi
}

# For commands about the wire.
need_wire() {
    load_settings || fail "not up"
    [ "$lan" = wire ] || fail "the LAN of this cluster is a bridge, not the wire"
}

start_lan() {
    if [ "$lan" = bridge ]; then
        start_bridge || return 1
    else
        start_wire || return 1
    fi
    if boots_from_lan; then
        start_boot_server
    fi
}

end_lan() {
    end_boot_server
    end_wire
    end_bridge
}

# Starts the hub of a cluster and waits until it answers.
start_wire() {
    local tries=100 hub
    ! wire_process >/dev/null || fail "the wire runs already"
    (
        cd "$top" || exit
        exec setsid "$wire_program" serve "build/cluster/$cluster" "$(wire_ports)" "$wire_spec"
    ) </dev/null >"$state/wire.log" 2>&1 9>&- &
    hub=$!
    echo "$hub $(start_time "$hub")" >"$state/wire.pid"
    while ! wire tell "build/cluster/$cluster" stats >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ] || ! kill -0 "$hub" 2>/dev/null; then
            cat "$state/wire.log" >&2
            return 1
        fi
        sleep 0.05
    done
}

end_wire() {
    end_process "$state/wire.pid"
    # The boot server's socket bears the name of a node that there is not.
    rm -f "$state"/wire[1-9]* "$state"/wire.control "$state"/node[1-9]*.nic
}

kill_wire() {
    local process
    process=$(wire_process) || fail "the wire does not run"
    kill -KILL "$process"
    while wire_process >/dev/null; do
        sleep 0.05
    done
    say "the wire is killed"
}

# Hands a command to the hub. Mistakes in it are those of whoever typed it.
tell_wire() {
    need_wire
    check_wire_command "$(wire_ports)" "$@"
    wire_process >/dev/null || fail "the wire does not run"
    wire tell "build/cluster/$cluster" "$@"
}

command_wire() {
    local file
    case ${1-} in
    '') wrong_arguments "wire: SPEC, stats or pcap" ;;
    stats) tell_wire "$@" ;;
    pcap)
        file=${*: -1}
        if [ $# -gt 1 ] && [[ ! $file =~ ^(off|rotate=.*|keep=.*)$ ]]; then
            # The hub is in another folder than this person.
            file=$(realpath -m -- "$file")
        fi
        tell_wire "${@:1:$#-1}" "$file"
        ;;
    *) tell_wire wire "$@" ;;
    esac
}

command_cut() {
    [ $# -eq 1 ] || wrong_arguments "cut: NODE[,NODE…] or FROM>TO"
    tell_wire cut "${1//node/}"
}

command_heal() {
    tell_wire heal "$@"
}
