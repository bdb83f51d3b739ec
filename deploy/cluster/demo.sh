# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that shows what there is, from a bare machine to a cluster at work: demo. A
# step is a function demo_X and a line in `demo_steps`; what it prints is seen and kept in its log, and it
# is false when what it shows is not so. A figure goes into a CSV file, which the summary shows.

demo_steps=(
    "packages|packages that are missing"
    "build|building all of it"
    "netboot|three nodes boot from the LAN by iPXE"
    "nodes|each node sees the others"
    "ping|their Linuxes reach each other by name"
    "message|a program on node 1 calls a port of a program on node 2"
    "share|a program on all three nodes shares memory and checks its result"
    "migrate|a program of Debian goes to node 2 while it computes"
    "kill|node 3 loses its power; the others notice"
    "down|the end: nothing is left running"
)
demo_nodes=3

# The demo's cluster is driven as a person would.
demo_cluster() {
    "$top/qemu-cluster.sh" --name "$cluster" "$@"
}

# figure NAME VALUE UNIT
figure() {
    echo "$1,$2,$3" >>"$demo_folder/figures.csv"
}

# Seconds, with a decimal, since a value of EPOCHREALTIME.
seconds_since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    printf '%d.%d' $(((now - then) / 1000000)) $(((now - then) / 100000 % 10))
}

demo_packages() {
    "$top/deploy/dependencies.sh"
}

demo_build() {
    mkdir -p "$top/build"
    flock "$top/build" make -C "$top" --no-print-directory -j "$(nproc)" all cluster-ports experiments
}

demo_netboot() {
    demo_cluster up -n "$demo_nodes" --boot ipxe
}

demo_nodes() {
    local node tries
    for node in $(seq "$demo_nodes"); do
        tries=60
        until demo_cluster exec "$node" -- corvus nodes | grep -q "^$demo_nodes of $demo_nodes are there"; do
            tries=$((tries - 1))
            [ "$tries" -gt 0 ] || { echo "node $node does not see all nodes" && return 1; }
            sleep 0.5
        done
    done
    demo_cluster exec 1 -- corvus nodes
}

demo_ping() {
    local node output
    for node in $(seq 2 "$demo_nodes"); do
        output=$(demo_cluster exec 1 -- ping -c 10 -i 0.2 -W 10 "node$node") || { echo "$output" && return 1; }
        tail -n 2 <<<"$output"
        output=${output##*= }
        figure "ping node1 to node$node (least)" "${output%%/*}" ms
    done
}

# The programs are of the tests (tests/cluster/network/ports): a server that adds one, checked in by a
# name, and a client that looks it up and calls for five seconds.
demo_message() {
    local node output tries=60
    for node in 1 2; do
        demo_cluster cp "$top/build/tests/cluster/ports" "$node:/tmp" || return 1
    done
    # shellcheck disable=SC2016 # for the shell in the node
    demo_cluster exec 2 -- sh -c '/tmp/ports serve adder >/tmp/adder.log 2>&1 </dev/null &' || return 1
    until demo_cluster exec 2 -- grep -q 'checked in' /tmp/adder.log; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "the server did not check in" && return 1; }
        sleep 0.5
    done
    demo_cluster exec 1 -- corvus names 2 || return 1
    output=$(demo_cluster exec 1 -- /tmp/ports call adder 2 5) || { echo "$output" && return 1; }
    echo "$output"
    [[ $output =~ ([0-9]+)\ calls\ answered ]] || return 1
    figure "calls from node 1 to node 2 (encrypted)" "$((BASH_REMATCH[1] / 5))" "a second"
}

# An experiment of tests/dsm: an ordinary program, a process on each node, its memory that of the cluster. What it
# cost is the difference of the nodes' counters; the picture shows who had which page when.
demo_share() {
    local node output seconds
    local -a nodes
    demo_cluster exec 1 -- corvus --json dsm stat -a >"$demo_folder/shared-before.json" || return 1
    demo_cluster cp "$top/build/tests/dsm/experiments/sor" 1:/tmp || return 1
    mapfile -t nodes < <(seq "$demo_nodes")
    output=$(demo_cluster exec 1 -- corvus run --on "$(IFS=, && echo "${nodes[*]}")" -- /tmp/sor -n 254 -r 10) ||
        { echo "$output" && return 1; }
    echo "$output"
    [[ $output == *" result=right"* && $output =~ \ nanoseconds=([0-9]+) ]] || return 1
    seconds=$(printf '%d.%03d' $((BASH_REMATCH[1] / 1000000000)) $((BASH_REMATCH[1] / 1000000 % 1000)))
    demo_cluster exec 1 -- corvus --json dsm stat -a >"$demo_folder/shared-after.json" || return 1
    output=$("$top/tests/dsm/added.py" "over the wire" "$demo_folder"/shared-{before,after}.json) || return 1
    echo "$output"
    demo_cluster exec 1 -- corvus --json dsm trace -a | "$top/tests/dsm/owners.py" >"$demo_folder/owners.svg" || return 1
    figure "relaxation of a 254 x 254 grid on $demo_nodes nodes" "$seconds" s
    [[ $output =~ \ data_sent=([0-9]+) ]] || return 1
    figure "pages that moved between nodes for it" "${BASH_REMATCH[1]}" pages
}

# Its program is awk, which knows nothing of Corvus: a table of squares, added up again and again. Each line of its
# output, in a file of node 1, is a number and the sum, so it is seen when one is missing, twice or wrong.
demo_squares=20000
# shellcheck disable=SC2016 # for the shell and the awk in the node
demo_begin='rm -f /tmp/sums /tmp/status
    (awk -v n="$1" "BEGIN { for (i = 1; i <= n; i++) square[i] = i * i
        while (1) { for (i = 1; i <= n; i++) sum += square[i]; print ++round, sum; fflush(); sum = 0 } }" >/tmp/sums &
    echo $! >/tmp/pid; wait $!; echo $? >/tmp/status) </dev/null >/dev/null 2>&1 &
    until [ -s /tmp/sums ]; do sleep 0.2; done; cat /tmp/pid'
# shellcheck disable=SC2016
demo_judge='awk -v n="$1" "
    \$1 != NR || \$2 != n * (n + 1) / 2 * (2 * n + 1) / 3 { print \"line\", NR, \"is\", \$0; exit 1 }
    END { print NR, \"sums, each right and in its order\" }" /tmp/sums'

# demo_computes_on PID: three sums more.
demo_computes_on() {
    local tries=240 begin now
    begin=$(demo_cluster exec 1 -- wc -l /tmp/sums) || return 1
    while tries=$((tries - 1)) && [ "$tries" -gt 0 ]; do
        now=$(demo_cluster exec 1 -- wc -l /tmp/sums) || return 1
        [ "${now%% *}" -lt $((${begin%% *} + 3)) ] || return 0
        sleep 0.5
    done
    echo "process $1 does not compute on"
    return 1
}

# demo_member NAME PID: of what `corvus --json ps` printed, which is `output`.
demo_member() {
    sed -n "s/.*\"pid\": $2, [^}]*\"$1\": \([0-9a-z]*\)[,}].*/\1/p" <<<"$output"
}

demo_milliseconds() {
    printf '%d.%d' $(($1 / 1000000)) $(($1 / 100000 % 10))
}

# demo_follows PID: all of its memory is on node 2.
demo_follows() {
    local output tries=240
    while tries=$((tries - 1)) && [ "$tries" -gt 0 ]; do
        output=$(demo_cluster exec 2 -- corvus --json ps) || return 1
        [ "$(demo_member at_risk "$1")" != false ] || return 0
        sleep 0.5
    done
    echo "the memory of process $1 does not follow"
    return 1
}

# demo_ends PID: a signal on node 1, where its parent waits for it.
demo_ends() {
    local output tries=120
    demo_cluster exec 1 -- kill "$1" || return 1
    while tries=$((tries - 1)) && [ "$tries" -gt 0 ]; do
        output=$(demo_cluster exec 1 -- cat /tmp/status) && [ -n "$output" ] && break
        sleep 0.5
    done
    echo "its parent on node 1 heard of its end with status $output"
    [ "$output" = 143 ]
}

demo_migrate() {
    local pid output freezing away pages begin
    pid=$(demo_cluster exec 1 -- sh -c "$demo_begin" - "$demo_squares") || return 1
    demo_computes_on "$pid" || return 1
    demo_cluster exec 1 -- tail -n 2 /tmp/sums
    echo "corvus migrate $pid node2"
    begin=$EPOCHREALTIME
    # shellcheck disable=SC2016
    output=$(demo_cluster exec 1 -- sh -c 'corvus migrate "$1" node2 && corvus --json ps' - "$pid") ||
        { echo "$output" && return 1; }
    freezing=$(demo_member freezing_ns "$pid") away=$(demo_member away_ns "$pid") pages=$(demo_member pages "$pid")
    [[ $freezing =~ ^[1-9] && $away =~ ^[1-9] && $pages =~ ^[0-9] ]] || { echo "$output" && return 1; }
    demo_cluster exec 1 -- corvus ps || return 1
    demo_follows "$pid" || return 1
    figure "memory of the process had followed after" "$(seconds_since "$begin")" s
    demo_cluster exec 2 -- corvus ps || return 1
    demo_computes_on "$pid" || return 1
    demo_cluster exec 1 -- tail -n 2 /tmp/sums
    demo_ends "$pid" || return 1
    demo_cluster exec 1 -- sh -c "$demo_judge" - "$demo_squares" || return 1
    figure "process frozen on its way to node 2" "$(demo_milliseconds $((away - freezing)))" ms
    figure "node 2 ran it after the command by" "$(demo_milliseconds "$away")" ms
    figure "pages that it left to follow" "$pages" pages
}

# The others notice by silence: after the patience that `up` chose.
demo_kill() {
    local begin=$EPOCHREALTIME tries=240
    demo_cluster kill 3 || return 1
    until demo_cluster exec 1 -- corvus nodes | grep -q '^2 of 3 are there, which is the majority'; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "node 1 did not notice" && return 1; }
        sleep 0.5
    done
    figure "node 3 killed: node 1 notices after" "$(seconds_since "$begin")" s
    demo_cluster exec 1 -- corvus nodes
}

demo_down() {
    demo_cluster down
}

# demo_step NUMBER NAME TEXT: runs one, and says how it went. Texts and names of figures have no comma.
demo_step() {
    local begin=$EPOCHREALTIME log=$demo_folder/$1-$2.log status=0 result='done'
    printf '\n[%d/%d] %s\n' "$1" "${#demo_steps[@]}" "$3"
    # A process group of its own, so that this shell hears signals meanwhile, and can pass them on.
    set -m
    (
        set -o pipefail
        "demo_$2" 2>&1 </dev/null | tee "$log" | sed -u 's/^/      /'
    ) &
    demo_job=$!
    set +m
    wait "$demo_job" || status=$?
    demo_job=
    [ "$status" -eq 0 ] || result=FAILED
    printf '      %s in %s s\n' "$result" "$(seconds_since "$begin")"
    echo "$1,$3,$result,$(seconds_since "$begin")" >>"$demo_folder/steps.csv"
    [ "$status" -eq 0 ]
}

demo_summary() {
    local number text result seconds value unit
    printf '\n%s\n' "$1"
    while IFS=, read -r number text result seconds; do
        printf '  %s%2d %-63s %8s s\n' "$([ "$result" = "done" ] && echo " " || echo "!")" "$number" "$text" "$seconds"
    done <"$demo_folder/steps.csv"
    while IFS=, read -r text value unit; do
        printf '    %-64s %8s %s\n' "$text" "$value" "$unit"
    done <"$demo_folder/figures.csv"
    echo "logs, steps.csv, figures.csv and owners.svg (who had which page when): ${demo_folder#"$top/"}; of the nodes: build/cluster/$cluster"
}

demo_interrupted() {
    local tries=100
    trap '' INT TERM HUP
    if [ -n "$demo_job" ]; then
        kill -TERM -- "-$demo_job" 2>/dev/null || true
    fi
    # An `up` takes a moment to end what it has begun.
    until demo_cluster down >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "the demo was interrupted; down does not work: see status"
        sleep 0.2
    done
    fail "the demo was interrupted; the nodes have been ended"
}

command_demo() {
    local number=0 name text demo_job=""
    [ $# -eq 0 ] || wrong_arguments "demo: unknown argument '$1'"
    # Not in the way of a cluster that somebody uses.
    [ "$cluster" != default ] || cluster=demo
    state=$top/build/cluster/$cluster
    ! any_node_runs || fail "the cluster '$cluster' is up; end it with down, or name another one"
    demo_folder=$top/build/demo/$cluster
    rm -rf "$demo_folder"
    mkdir -p "$demo_folder"
    : >"$demo_folder/figures.csv"
    trap demo_interrupted INT TERM HUP
    for step in "${demo_steps[@]}"; do
        IFS='|' read -r name text <<<"$step"
        number=$((number + 1))
        if ! demo_step "$number" "$name" "$text"; then
            demo_cluster down >/dev/null 2>&1 || true
            demo_summary "The demo failed at step $number: $text"
            exit 1
        fi
    done
    demo_summary "The demo's summary"
}
