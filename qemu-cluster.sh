#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The command a person uses: brings up a cluster of Corvus nodes in QEMU, shows it, ends it. Each
# sub-command is a function command_X in deploy/cluster/, with its line in the usage. deploy/boot.sh
# starts the machines, deploy/wire/ is the LAN between them.
#
# State of cluster NAME, under build/cluster/NAME/:
#   nodeN.pid    process id and start time of the machine; both, so that no other process that got
#                the same id later is ever taken for it
#   nodeN.log    the serial line; stays when the node ends; before-nodeN.log: of its life before
#   nodeN.qemu   what QEMU itself said
#   nodeN.qmp    QEMU's control socket
#   nodeN.console, .console-lock   its socket to the serial line; who types there
#   nodeN.channel  its socket to the agent in the node's Linux; only nodes with Linux have it
#   nodeN.agent    where clients of that agent connect; there once the agent has answered
#   nodeN.server   what the process between these two said (deploy/agent); nodeN.server-pid  is that
#   nodeN.nic      its network card's socket; wireN the wire's for that card
#   nodeN.iso      what it boots from, when that is not QEMU's own loader
#   boot.pid, boot.log  the boot server, of nodes that boot from the LAN; web.pid its HTTP server
#   boot.conf, boot.leases  dnsmasq's, when that is the boot server
#   bridge       there while the network namespace corvus-NAME is this cluster's
#   netboot/, netboot.nodes  what it hands out, with the key; made from that list
#   wire.pid, wire.log, wire.control   the wire's hub: process, what it said, its socket for commands
#   settings     how `up` was called, and the cluster's key; there while the cluster is up
#   lock         held while machines are started or ended
set -eu

top=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<'END'
usage: ./qemu-cluster.sh [--name NAME] COMMAND …
  up [-n NODES] [-m MIB] [--boot WAY] [--disk small|full|FILE] [--icount] [--lan wire|bridge]
     [--nic virtio|e1000|none] [--wire SPEC] [--secure encrypt|authenticate] [--patience N]
     [--modules FILE] [--lend MIB]
                     build what is missing, start up to 8 nodes (1), wait until each one's Linux
                     answers; --boot: direct (default), iso, iso-uefi, usb, usb-uefi, or from the
                     LAN ipxe, ipxe-http, pxe-uefi; --lan bridge: a bridge in a network namespace,
                     with root, in place of the virtual LAN; --disk: its Linux has its files there, full: Debian's tools;
                     --wire: what the LAN does to frames, see wire; --secure: whether what
                     nodes tell each other is encrypted, or only proof against changes;
                     --modules: boot modules in place of build/node.modules;
                     --patience: a node is dead after N times 2 s without a sound (chosen by
                     how slow the nodes are); --lend: so much of each node is for pages of shared
                     memory of all nodes
  exec [-t] [-e KEY=VALUE]… [-C FOLDER] NODE -- COMMAND…
                     run a command in a node's Linux, with this terminal's input and output and
                     the command's status; -t gives it a terminal, -C a folder to run in
  cp FILE… NODE:PATH | NODE:PATH… DIR
                     copy files and folders into a node, or out of it
  console NODE       type on a node's serial line; Ctrl-] leaves
  log [-f] NODE      show a node's serial line; -f follows it
  status [--json]    show nodes, LAN and boot server
  list [--json]      show all clusters that are up
  kill NODE          end a node at once, as if its power had gone
  start NODE         start it again as `up` did; kill and start take the word wire, too
  freeze [--signal] NODE, thaw [--signal] NODE
                     let a node stand still, and go on; its clock stands, too, but for --signal
  wire SPEC          the LAN's impairments: none, or loss=5%,delay=2ms,seed=7 '1>2:loss=100%' …
  wire stats [json]  its counters
  wire pcap [rotate=SIZE] [keep=N] FILE | wire pcap off
                     its frames, into a file for tcpdump and Wireshark
  cut NODE[,NODE…]   cut these nodes off the others; '1>2' cuts one direction
  heal               end all cuts
  down               end all nodes
  demo               from nothing to three nodes at work, step by step, with figures at the end
  help               show this
NODE is a number, or node1 …; --name NAME may also come after COMMAND (default: default);
deploy/wire/README.md explains SPEC
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

# --- Start ------------------------------------------------------------------------------------

# shellcheck source=deploy/cluster/nodes.sh
. "$top/deploy/cluster/nodes.sh"
# shellcheck source=deploy/cluster/lan.sh
. "$top/deploy/cluster/lan.sh"
# shellcheck source=deploy/cluster/netboot.sh
. "$top/deploy/cluster/netboot.sh"
# shellcheck source=deploy/cluster/bridge.sh
. "$top/deploy/cluster/bridge.sh"
# shellcheck source=deploy/cluster/up.sh
. "$top/deploy/cluster/up.sh"
# shellcheck source=deploy/cluster/life.sh
. "$top/deploy/cluster/life.sh"
# shellcheck source=deploy/cluster/status.sh
. "$top/deploy/cluster/status.sh"
# shellcheck source=deploy/cluster/demo.sh
. "$top/deploy/cluster/demo.sh"
# shellcheck source=deploy/cluster/into-node.sh
. "$top/deploy/cluster/into-node.sh"

# Of the nodes that this command starts: their processes, by number.
machine=()
server=()

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
up | down | kill | start | freeze | thaw | wire | cut | heal | exec | cp | console | log | status | list | demo)
    "command_$command" "${arguments[@]:1}"
    ;;
help | -h | --help) usage ;;
*) wrong_arguments "no command '$command'" ;;
esac
