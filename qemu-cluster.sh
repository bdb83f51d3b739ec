#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The command a person uses: brings up a cluster of Corvus nodes in QEMU, shows it, ends it. Each
# sub-command is a function command_X below or in deploy/cluster/, with its line in the usage.
# deploy/boot.sh starts the machines.
#
# State of cluster NAME, under build/cluster/NAME/:
#   nodeN.pid    process id and start time of the machine; both, so that no other process that got
#                the same id later is ever taken for it
#   nodeN.log    the serial line; stays when the node ends
#   nodeN.qemu   what QEMU itself said
#   nodeN.qmp    QEMU's control socket
#   nodeN.console, .console-lock   its socket to the serial line; who types there
#   nodeN.channel  its socket to the agent in the node's Linux; only nodes with Linux have it
#   nodeN.agent    where clients of that agent connect; there once the agent has answered
#   nodeN.server   what the process between these two said (deploy/agent)
#   lock         held while `up` or `down` works
set -eu

top=$(cd "$(dirname "$0")" && pwd)
ready_line='init: node ready'

usage() {
    cat <<'END'
usage: ./qemu-cluster.sh [--name NAME] COMMAND …
  up [-n 1] [-m MIB] [--boot direct|grub|uefi] [--disk small|full|FILE] [--icount]
                     build what is missing, start the node, wait until its Linux answers;
                     --disk: its Linux has its files there, full: Debian's tools
  exec [-t] [-e KEY=VALUE]… [-C FOLDER] NODE -- COMMAND…
                     run a command in a node's Linux, with this terminal's input and output and
                     the command's status; -t gives it a terminal, -C a folder to run in
  cp FILE… NODE:PATH | NODE:PATH… DIR
                     copy files and folders into a node, or out of it
  console NODE       type on a node's serial line; Ctrl-] leaves
  log [-f] NODE      show a node's serial line; -f follows it
  status [--json]    show which nodes run
  down               end all nodes
  help               show this
NODE is a number, or node1 …; --name NAME may also come after COMMAND (default: default)
END
}

say() {
    printf '%s: %s\n' "$cluster" "$*"
}

fail() {
    printf '%s: %s\n' "$cluster" "$*" >&2
    exit 1
}

wrong_arguments() {
    printf 'qemu-cluster: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# --- Nodes ------------------------------------------------------------------------------------

# Number 22 of /proc/PID/stat; the name before it may hold spaces and brackets.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # shellcheck disable=SC2086 # the fields are to be split
    set -- ${stat##*)}
    # A zombie has ended, though its entry is still there.
    [ "$1" != Z ] || return 1
    echo "${20}"
}

# Prints the process id of a running node; false when it does not run.
node_process() {
    local process started
    read -r process started 2>/dev/null <"$state/node$1.pid" || return 1
    [ "$(start_time "$process")" = "$started" ] || return 1
    echo "$process"
}

# The numbers of all nodes that ever ran here.
known_nodes() {
    local file
    for file in "$state"/node*.log; do
        if [ -e "$file" ]; then
            file=${file##*/node}
            echo "${file%.log}"
        fi
    done | sort -n
}

any_node_runs() {
    local node
    for node in $(known_nodes); do
        if node_process "$node" >/dev/null; then
            return 0
        fi
    done
    return 1
}

# Ends a node's machine: asked first, then forced. Leaves its log.
end_node() {
    local node=$1 process tries=50
    while process=$(node_process "$node"); do
        if [ "$tries" -eq 50 ]; then
            kill "$process" 2>/dev/null || true
        elif [ "$tries" -eq 0 ]; then
            kill -KILL "$process" 2>/dev/null || true
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
    rm -f "$state/node$node".{pid,qmp,console,console-lock,channel,agent}
}

# Whether the image has Linux in it. The node is ready when that answers.
image_has_linux() {
    grep -q ' name=linux\>' "$top/build/node.modules"
}

# True when a running node can be used.
node_is_ready() {
    if [ -S "$state/node$1.channel" ]; then
        [ -S "$state/node$1.agent" ]
    else
        grep -a -q "$ready_line" "$state/node$1.log"
    fi
}

# Takes NODE as people write it and prints its number.
node_number() {
    local number=${1#node}
    case $number in
    '' | 0* | *[!0-9]*) wrong_arguments "'$1' is not a node" ;;
    esac
    echo "$number"
}

# One `up` or `down` of a cluster at a time. The lock is the open file, so it ends with this process
# however that ends; the machines are started without it.
take_lock() {
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock --nonblock 9 || fail "another up or down of this cluster is at work"
}

# --- up ---------------------------------------------------------------------------------------

build() {
    local target=$1
    if ! command -v make >/dev/null; then
        "$top/deploy/dependencies.sh" build
    fi
    make -C "$top" --no-print-directory "$target" >&2 || fail "the build failed"
}

# Starts a node's machine in a session of its own, so that Ctrl-C at this terminal does not reach it.
start_node() {
    local node=$1 folder=build/cluster/$cluster options=()
    if [ "$icount" = yes ]; then
        options+=(--icount)
    fi
    if [ "$linux" = yes ]; then
        options+=(--agent "$folder/node$node.channel")
    fi
    if [ -n "$disk" ]; then
        options+=(--disk "$disk")
    fi
    # A socket here belongs to a machine that was killed: a running one was looked for before.
    rm -f "$state/node$node".{pid,qmp,console,console-lock,channel,agent}
    : >"$state/node$node.log"
    setsid "$top/deploy/boot.sh" --boot "$boot" --memory "$memory" \
        --append "node=$node cluster=$cluster${disk:+ root=/dev/vda}" \
        --serial "$folder/node$node.log" --console "$folder/node$node.console" \
        --qmp "$folder/node$node.qmp" --pid-file "$folder/node$node.pid" ${options[@]+"${options[@]}"} \
        </dev/null >"$state/node$node.qemu" 2>&1 9>&- &
    child=$!
    if [ "$linux" = yes ]; then
        start_agent_server "$node"
    fi
}

# The process between the agent in the node and its clients here. It ends with the machine, and gives
# up when that does not begin.
start_agent_server() {
    (
        cd "$top"
        exec setsid deploy/agent/main.py serve "build/cluster/$cluster/node$1.channel" \
            "build/cluster/$cluster/node$1.agent"
    ) </dev/null >"$state/node$1.server" 2>&1 9>&- &
    server=$!
}

# True when the node says it is ready; sets $reason otherwise. $child is its process even before
# there is a pid file.
wait_for_node() {
    local node=$1 log=$state/node$1.log end=$((SECONDS + ready_seconds))
    while ! node_is_ready "$node"; do
        if grep -a -q -E 'PANIC|cannot boot:' "$log"; then
            reason="its kernel stopped"
            return 1
        elif grep -a -q -E 'init: linux (ended.*given up|cannot start)' "$log"; then
            reason="its Linux stopped"
            return 1
        elif [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null && kill -0 "$child" 2>/dev/null; then
            reason="the agent's server ended"
            return 1
        elif ! kill -0 "$child" 2>/dev/null; then
            reason="its machine ended"
            return 1
        elif [ "$SECONDS" -ge "$end" ]; then
            reason="it was not ready within $ready_seconds seconds"
            return 1
        fi
        sleep 0.1
    done
}

# What an unfinished `up` leaves: nothing. The child may not have written its pid file yet.
abandon_up() {
    if [ -n "$child" ]; then
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    end_node 1
}

interrupted() {
    trap '' INT TERM HUP
    abandon_up
    fail "up was interrupted; the node has been ended"
}

parse_up() {
    boot=direct
    memory=256
    icount=no
    disk=
    local count=1
    while [ $# -gt 0 ]; do
        case $1 in
        -n | -m | --boot | --disk)
            [ $# -ge 2 ] || wrong_arguments "up: $1 needs a value"
            case $1 in
            -n) count=$2 ;;
            -m) memory=$2 ;;
            --boot) boot=$2 ;;
            --disk) disk=$2 ;;
            esac
            shift
            ;;
        --icount) icount=yes ;;
        *) wrong_arguments "up: unknown argument '$1'" ;;
        esac
        shift
    done
    [[ $count =~ ^[1-9][0-9]{0,3}$ ]] || wrong_arguments "up: '$count' is not a number of nodes"
    [ "$count" -eq 1 ] || wrong_arguments "up: one node for now, not $count"
    [[ $memory =~ ^[1-9][0-9]{1,6}$ ]] || wrong_arguments "up: '$memory' is not a size in MiB"
    [[ $boot =~ ^(direct|grub|uefi)$ ]] || wrong_arguments "up: no boot path '$boot'"
}

# Makes one of our own disks, or finds the person's; boot.sh starts from the top folder.
build_disk() {
    case $disk in
    '') ;;
    small | full)
        build "build/linux/disk-$disk.img"
        disk=build/linux/disk-$disk.img
        ;;
    *)
        [ -r "$disk" ] || fail "disk $disk cannot be read"
        disk=$(realpath "$disk")
        ;;
    esac
}

command_up() {
    parse_up "$@"
    take_lock
    ! any_node_runs || fail "already up; see status, or end it with down"
    if [ "$boot" = direct ]; then
        build all
    else
        build iso
    fi

    build_disk
    linux=no
    if image_has_linux; then
        linux=yes
    fi
    child=
    server=
    reason=
    trap interrupted INT TERM HUP
    say "starting node 1 ($boot, $memory MiB)"
    start_node 1
    if ! wait_for_node 1; then
        abandon_up
        # The second is why QEMU ended, if it did not like something.
        tail -n 20 "$state/node1".{log,qemu,server} 2>/dev/null | tr -d '\r' >&2
        fail "node 1 did not come up: $reason"
    fi
    trap - INT TERM HUP
    say "node 1 is ready after $SECONDS seconds"
}

# --- Other commands ---------------------------------------------------------------------------

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
    if ! node_process "$1" >/dev/null; then
        echo stopped
    elif node_is_ready "$1"; then
        echo ready
    else
        echo starting
    fi
}

status_text() {
    local node condition process
    if [ -z "$(known_nodes)" ]; then
        say "no nodes"
    fi
    for node in $(known_nodes); do
        condition=$(node_condition "$node")
        process=$(node_process "$node") || process=-
        printf '%s: node %d  %s  process %s  log build/cluster/%s/node%d.log\n' \
            "$cluster" "$node" "$condition" "$process" "$cluster" "$node"
    done
}

# Nothing in it needs quoting: names are letters, digits, - and _.
status_json() {
    local node process separator=""
    printf '{"cluster": "%s", "nodes": [' "$cluster"
    for node in $(known_nodes); do
        process=$(node_process "$node") || process=null
        printf '%s{"node": %d, "state": "%s", "process": %s, "log": "build/cluster/%s/node%d.log"}' \
            "$separator" "$node" "$(node_condition "$node")" "$process" "$cluster" "$node"
        separator=", "
    done
    echo ']}'
}

command_status() {
    case $* in
    '') status_text ;;
    --json) status_json ;;
    *) wrong_arguments "status: unknown argument in '$*'" ;;
    esac
}

command_down() {
    local node ended=0
    [ $# -eq 0 ] || wrong_arguments "down: unknown argument '$1'"
    if [ ! -d "$state" ]; then
        say "not up"
        return
    fi
    take_lock
    for node in $(known_nodes); do
        if node_process "$node" >/dev/null; then
            ended=$((ended + 1))
        fi
        end_node "$node"
    done
    if [ "$ended" -eq 0 ]; then
        say "not up"
    else
        say "down; the logs stay in build/cluster/$cluster"
    fi
}

# --- Start ------------------------------------------------------------------------------------

# shellcheck source=deploy/cluster/into-node.sh
. "$top/deploy/cluster/into-node.sh"

cluster=default
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --name)
        [ $# -ge 2 ] || wrong_arguments "--name needs a value"
        cluster=$2
        shift
        ;;
    --)
        # What follows is not ours to read.
        arguments+=("$@")
        break
        ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
[[ $cluster =~ ^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$ ]] ||
    wrong_arguments "'$cluster' is not a name: letters, digits, - and _, at most 32"
state=$top/build/cluster/$cluster

# UEFI firmware alone needs some 10 s here, and a loaded machine several times that.
ready_seconds=${CORVUS_READY_SECONDS:-300}

[ ${#arguments[@]} -gt 0 ] || wrong_arguments "which command?"
command=${arguments[0]}
case $command in
up | exec | cp | console | log | status | down) "command_$command" "${arguments[@]:1}" ;;
help | -h | --help) usage ;;
*) wrong_arguments "no command '$command'" ;;
esac
