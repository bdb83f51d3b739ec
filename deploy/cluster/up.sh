# shellcheck shell=bash
# shellcheck disable=SC2034 # settings are used by name
# shellcheck disable=SC2154 # top, state, cluster and the functions are qemu-cluster.sh's
# SPDX-License-Identifier: BSD-2-Clause
#
# The part of qemu-cluster.sh that brings a cluster up and takes it down: up, down.

nodes_max=8

parse_up() {
    nodes=1
    boot=direct
    memory=256
    icount=no
    disk=
    nic=virtio
    modules=build/node.modules
    lan=wire
    wire_spec=none
    secure=encrypt
    patience=
    lend=
    words=${CORVUS_WORDS-}
    while [ $# -gt 0 ]; do
        case $1 in
        -n | -m | --boot | --disk | --nic | --modules | --lan | --wire | --secure | --lend | --patience)
            [ $# -ge 2 ] || wrong_arguments "up: $1 needs a value"
            case $1 in
            -n) nodes=$2 ;;
            -m) memory=$2 ;;
            --boot) boot=$2 ;;
            --disk) disk=$2 ;;
            --nic) nic=$2 ;;
            --modules) modules=$2 ;;
            --lan) lan=$2 ;;
            --wire) wire_spec=$2 ;;
            --secure) secure=$2 ;;
            --lend)
                lend=$2
                [ -n "$lend" ] || wrong_arguments "up: '' is not a size in MiB to lend"
                ;;
            --patience)
                patience=$2
                [ -n "$patience" ] || wrong_arguments "up: '' is not a patience, 1 to 100"
                ;;
            esac
            shift
            ;;
        --icount) icount=yes ;;
        *) wrong_arguments "up: unknown argument '$1'" ;;
        esac
        shift
    done
    [[ $nodes =~ ^[1-9][0-9]{0,3}$ ]] || wrong_arguments "up: '$nodes' is not a number of nodes"
    [ "$nodes" -le $nodes_max ] || wrong_arguments "up: at most $nodes_max nodes, not $nodes"
    [[ $memory =~ ^[1-9][0-9]{1,6}$ ]] || wrong_arguments "up: '$memory' is not a size in MiB"
    # Their names before there were other ways than GRUB's image.
    case $boot in
    grub) boot=iso ;;
    uefi) boot=iso-uefi ;;
    esac
    [[ $boot =~ ^(direct|(iso|usb)(-uefi)?|ipxe(-http)?|pxe-uefi)$ ]] ||
        wrong_arguments "up: no boot path '$boot'"
    [[ $secure =~ ^(encrypt|authenticate)$ ]] || wrong_arguments "up: --secure is encrypt or authenticate"
    [[ $lend =~ ^(0|[1-9][0-9]{0,5}|)$ ]] || wrong_arguments "up: '$lend' is not a size in MiB to lend"
    [ -z "$lend" ] || [ "$lend" -le $((memory - 64)) ] ||
        wrong_arguments "up: --lend $lend leaves less than 64 MiB of $memory"
    [[ $patience =~ ^([1-9][0-9]?|100|)$ ]] || wrong_arguments "up: '$patience' is not a patience, 1 to 100"
    [[ $nic =~ ^(virtio|e1000|none)$ ]] || wrong_arguments "up: no network card '$nic'"
    if boots_from_lan && [ "$nic" != virtio ]; then
        wrong_arguments "up: --boot $boot needs --nic virtio"
    fi
    # boot.sh starts from the top folder, as the paths in the list do.
    if [ "$modules" != build/node.modules ]; then
        if [ ! -r "$modules" ] || [ -d "$modules" ]; then
            wrong_arguments "up: no module list '$modules'"
        fi
        modules=$(realpath "$modules")
    fi
    [[ $lan =~ ^(wire|bridge)$ ]] || wrong_arguments "up: --lan is wire or bridge, not '$lan'"
    if [ "$lan" = bridge ]; then
        check_bridge
    fi
}

# Emulated nodes that share few processors are silent for a while now and then: the time after which
# others take them for dead is so many times longer.
choose_patience() {
    [ -z "$patience" ] || return 0
    patience=1
    if [ "$icount" = yes ] || [ "$("$top/deploy/accelerator.sh")" = tcg ]; then
        patience=$((2 + nodes / 2))
    fi
}

# What is known of shared memory takes a node a fourteenth of it, whoever has the pages; and messages about
# it need room meanwhile. One node alone shares nothing.
choose_lend() {
    if [ -z "$lend" ] && [ "$nodes" -gt 1 ]; then
        lend=$((memory / 32))
    fi
    if [ "$lend" = 0 ]; then
        lend=
    fi
}

# One after the other, when several clusters come up at once.
build() {
    local target=$1
    if ! command -v make >/dev/null; then
        "$top/deploy/dependencies.sh" build
    fi
    mkdir -p "$top/build"
    flock "$top/build" make -C "$top" --no-print-directory "$target" >&2 || fail "the build failed"
}

# Refuses, in one line, what would fail halfway. Each node has a log, and an image when it boots from one;
# what it loads from the LAN is there once.
check_machine() {
    local free need
    command -v qemu-system-x86_64 >/dev/null ||
        fail "qemu-system-x86_64 is not installed; deploy/dependencies.sh machine installs it"
    need=$((32 + 24 * nodes))
    free=$(df --block-size=1M --output=avail "$state" | tail -n 1)
    [ "$free" -ge "$need" ] ||
        fail "only ${free// /} MiB are free on the disk of build/cluster/$cluster; $need are needed"
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

# Whether the image has Linux in it. The node is ready when that answers.
image_has_linux() {
    (cd "$top" && grep -q ' name=linux\>' "$modules")
}

# What nodes that ended left behind, logs and all: the cluster of before may have had more of them.
forget_nodes() {
    local node
    for node in $(known_nodes); do
        remove_running_files "$node"
        rm -f "$state/node$node".{log,qemu,server,iso}
    done
}

abandon_up() {
    abandon_nodes
    end_lan
    rm -f "$state/settings" "$state"/node*.iso
}

up_interrupted() {
    trap '' INT TERM HUP
    abandon_up
    fail "up was interrupted; the nodes have been ended"
}

command_up() {
    local node
    parse_up "$@"
    take_lock
    ! any_node_runs || fail "already up; see status, or end it with down"
    check_machine
    build "$wire_program"
    check_wire_command "$(wire_ports)" wire "$wire_spec"
    build all
    build_disk
    choose_patience
    choose_lend
    linux=no
    if image_has_linux; then
        linux=yes
    fi
    # 32 bytes that the nodes of this cluster share, and nobody else.
    key=$(od -A n -t x1 -N 32 /dev/urandom | tr -d ' \n')
    trap up_interrupted INT TERM HUP
    # Both of a cluster whose nodes were all killed.
    forget_nodes
    end_lan
    save_settings
    if ! start_lan; then
        abandon_up
        fail "the LAN did not start"
    fi
    say "starting $nodes node$([ "$nodes" -eq 1 ] || echo s) ($boot, $memory MiB)"
    for node in $(seq "$nodes"); do
        if ! start_node "$node"; then
            abandon_up
            exit 1
        fi
    done
    # shellcheck disable=SC2046 # numbers are words
    if ! wait_for_nodes $(seq "$nodes"); then
        abandon_up
        exit 1
    fi
    trap - INT TERM HUP
}

command_down() {
    local node ended=0
    [ $# -eq 0 ] || wrong_arguments "down: unknown argument '$1'"
    if [ ! -d "$state" ]; then
        say "not up"
        return
    fi
    take_lock
    if [ -e "$state/settings" ]; then
        ended=1
    fi
    for node in $(known_nodes); do
        if node_process "$node" >/dev/null; then
            ended=$((ended + 1))
        fi
        end_node "$node"
    done
    end_lan
    rm -f "$state/settings" "$state"/node*.iso
    if [ "$ended" -eq 0 ]; then
        say "not up"
    else
        say "down; the logs stay in build/cluster/$cluster"
    fi
}
