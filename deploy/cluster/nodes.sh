# shellcheck shell=bash
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that all others use: which nodes there are, whether they run, how one is
# started and ended. A cluster's settings are variables of these names, kept in the file `settings`
# while it is up, so that a node can be started again as it was.

ready_line='init: node ready'
settings=(nodes boot memory icount disk nic modules lan wire_spec linux key secure patience lend words)

# What a running node has in the state folder; its log and QEMU's own words stay.
running_files=(pid qmp console console-lock channel agent nic)

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

# Prints the process id in a pid file, when that very process still runs.
process_of() {
    local process started
    read -r process started 2>/dev/null <"$1" || return 1
    # Who was interrupted while it wrote this knows of the process in another way.
    [ -n "$started" ] || return 1
    [ "$(start_time "$process")" = "$started" ] || return 1
    echo "$process"
}

# Ends the process in a pid file: it is asked first.
end_process() {
    local process tries=50
    while process=$(process_of "$1"); do
        if [ "$tries" -eq 50 ]; then
            kill "$process" 2>/dev/null || true
        elif [ "$tries" -eq 0 ]; then
            kill -KILL "$process" 2>/dev/null || true
        fi
        tries=$((tries - 1))
        sleep 0.05
    done
    rm -f "$1"
}

# Prints the process id of a running node; false when it does not run.
node_process() {
    process_of "$state/node$1.pid"
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

# Takes NODE as people write it and prints its number.
node_number() {
    local number=${1#node}
    case $number in
    '' | 0* | *[!0-9]*) wrong_arguments "'$1' is not a node" ;;
    esac
    echo "$number"
}

# One command that starts or ends machines at a time. The lock is the open file, so it ends with this
# process however that ends; the machines are started without it. The folder holds the cluster's key.
take_lock() {
    mkdir -p "$state"
    chmod 700 "$state"
    exec 9>"$state/lock"
    # Who was killed may have left a child that still has it for a moment, such as a sleep.
    flock --timeout 2 9 || fail "another up, down, start or kill of this cluster is at work"
}

save_settings() {
    local name
    for name in "${settings[@]}"; do
        echo "$name=${!name}"
    done >"$state/settings"
}

# False when the cluster is not up.
load_settings() {
    local name value
    [ -e "$state/settings" ] || return 1
    while IFS='=' read -r name value; do
        printf -v "$name" %s "$value"
    done <"$state/settings"
}

# True when a running node can be used.
node_is_ready() {
    if [ -S "$state/node$1.channel" ]; then
        [ -S "$state/node$1.agent" ]
    else
        grep -a -q "$ready_line" "$state/node$1.log"
    fi
}

remove_running_files() {
    local kind
    for kind in "${running_files[@]}"; do
        rm -f "$state/node$1.$kind"
    done
}

# Ends a node's machine: asked first, then forced. Leaves its log.
end_node() {
    local node=$1 process tries=50
    while process=$(node_process "$node"); do
        if [ "$tries" -eq 50 ]; then
            # One that was stopped by a signal hears of it only when it goes on.
            kill "$process" 2>/dev/null || true
            kill -CONT "$process" 2>/dev/null || true
        elif [ "$tries" -eq 0 ]; then
            kill -KILL "$process" 2>/dev/null || true
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
    # It ends with the machine, but waits for one that was ended before it had begun.
    end_process "$state/node$node.server-pid"
    remove_running_files "$node"
}

# --- Starting one -----------------------------------------------------------------------------

# What the kernel of a node is told; `words` is for tests (CORVUS_WORDS of `up`).
command_line_of() {
    echo "node=$1 nodes=$nodes cluster=$cluster key=$key secure=$secure patience=$patience${lend:+ lend=$lend}${words:+ $words}${disk:+ root=/dev/vda}"
}

# Starts a node's machine in a session of its own, so that Ctrl-C at this terminal does not reach it.
# machine[NODE] is its process even before there is a pid file.
start_node() {
    local node=$1 folder=build/cluster/$cluster command_line options=()
    local base=$folder/node$node
    command_line=$(command_line_of "$node")
    if [ "$icount" = yes ]; then
        options+=(--icount)
    fi
    if [ "$linux" = yes ]; then
        options+=(--agent "$base.channel")
    fi
    if [ -n "$disk" ]; then
        options+=(--disk "$disk")
    fi
    # For tests: a node with another processor than the others (`start`).
    if [ -n "${CORVUS_CPU-}" ]; then
        options+=(--cpu "$CORVUS_CPU")
    fi
    if [ "$nic" != none ]; then
        options+=(--nic "$nic" --mac "$(node_mac "$node")")
        if [ "$lan" = bridge ]; then
            options+=(--tap "node$node" --namespace "$(bridge_namespace)")
        else
            options+=(--nic-socket "$base.nic" --wire "$folder/wire$node")
        fi
    fi
    if [ "$boot" = direct ]; then
        options+=(--modules "$modules" --append "$command_line")
    fi
    if [[ $boot =~ ^(iso|usb) ]]; then
        # A loader gets the command line from the image, so each node has its own.
        (cd "$top" && deploy/iso.sh "$base.iso" build/kernel/corvus.elf "$modules" \
            "$command_line") || { say "node $node: its image could not be made" >&2 && return 1; }
        options+=(--iso "$base.iso")
    fi
    # A socket here belongs to a machine that was killed: a running one was looked for before.
    remove_running_files "$node"
    if [ -s "$state/node$node.log" ]; then
        mv "$state/node$node.log" "$state/before-node$node.log"
    fi
    : >"$state/node$node.log"
    machine[node]= # there will be something to end
    setsid "$top/deploy/boot.sh" --boot "$(machine_boot)" --memory "$memory" \
        --serial "$base.log" --console "$base.console" --qmp "$base.qmp" --pid-file "$base.pid" \
        ${options[@]+"${options[@]}"} </dev/null >"$state/node$node.qemu" 2>&1 9>&- &
    machine[node]=$!
    if [ "$linux" = yes ]; then
        start_agent_server "$node"
    fi
}

# The process between the agent in the node and its clients here. It ends with the machine, and gives
# up when that does not begin.
start_agent_server() {
    (
        cd "$top" || exit
        exec setsid deploy/agent/main.py serve "build/cluster/$cluster/node$1.channel" \
            "build/cluster/$cluster/node$1.agent"
    ) </dev/null >"$state/node$1.server" 2>&1 9>&- &
    server[$1]=$!
    echo "$! $(start_time $!)" >"$state/node$1.server-pid"
}

# Says in $reason why a node that was started will never be ready; false while it still may.
node_has_failed() {
    local node=$1 log=$state/node$1.log
    if grep -a -q -E 'PANIC|cannot boot:' "$log"; then
        reason="its kernel stopped"
    elif grep -a -q -E 'init: linux (ended.*given up|cannot start)' "$log"; then
        reason="its Linux stopped"
    elif boots_from_lan && grep -a -q -E 'No bootable device|Corvus: no node has|UEFI Interactive Shell|grub( rescue)?>' "$log"; then
        reason="it could not boot from the LAN"
    elif [ -n "${server[node]-}" ] && ! kill -0 "${server[node]}" 2>/dev/null &&
        kill -0 "${machine[node]}" 2>/dev/null; then
        reason="the agent's server ended"
    elif ! kill -0 "${machine[node]}" 2>/dev/null; then
        reason="its machine ended"
    else
        return 1
    fi
}

# Says why a node did not come up and shows the end of what it said. The second file is why QEMU
# ended, if it did not like something.
report_failed_node() {
    local kind
    for kind in log qemu server; do
        tail -n 20 "$state/node$1.$kind" 2>/dev/null | tr -d '\r'
    done >&2
    say "node $1 did not come up: $2" >&2
}

# Waits until all nodes given are ready, and says so of each. False, with the failed ones reported, as
# soon as one cannot be any more, or when time is up.
wait_for_nodes() {
    local node left failed=0 end=$((SECONDS + ready_seconds)) waiting=("$@") reason
    while [ ${#waiting[@]} -gt 0 ] && [ "$failed" -eq 0 ]; do
        left=()
        for node in "${waiting[@]}"; do
            if node_is_ready "$node"; then
                say "node $node is ready after $SECONDS seconds"
            elif node_has_failed "$node" || [ "$SECONDS" -ge "$end" ]; then
                report_failed_node "$node" "${reason:-it was not ready within $ready_seconds seconds}"
                failed=$((failed + 1))
            else
                left+=("$node")
            fi
        done
        waiting=(${left[@]+"${left[@]}"})
        sleep 0.1
    done
    [ "$failed" -eq 0 ]
}

# Ends children of this shell. One is told until it is gone, and not once: between its fork and its exec it
# has this shell's traps, so that a signal may pass it by.
end_children() {
    local process tries=100 left=("$@")
    while [ ${#left[@]} -gt 0 ]; do
        for process in "${left[@]}"; do
            kill "-$([ "$tries" -gt 0 ] && echo TERM || echo KILL)" "$process" 2>/dev/null || true
        done
        sleep 0.05
        tries=$((tries - 1))
        left=()
        for process in "$@"; do
            if kill -0 "$process" 2>/dev/null; then
                left+=("$process")
            fi
        done
    done
}

# What an unfinished start leaves: nothing. A machine may not have written its pid file yet, and this shell
# may have been interrupted before it noted its number.
abandon_nodes() {
    local node
    # shellcheck disable=SC2046 # numbers are words
    end_children $(jobs -p)
    for node in "${!machine[@]}"; do
        end_node "$node"
    done
}
