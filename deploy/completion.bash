# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Completes the words of qemu-cluster.sh in bash: `. deploy/completion.bash`, in ~/.bashrc to have it
# always. Nodes and clusters are those that exist; commands are those of its help.

# The folder of the clone whose command is typed.
_corvus_top() {
    (cd "$(dirname -- "${COMP_WORDS[0]/#\~/$HOME}")" 2>/dev/null && pwd)
}

_corvus_clusters() {
    (cd "$1/build/cluster" 2>/dev/null && compgen -G '*/' | tr -d /)
}

# The numbers of a cluster's nodes, by what `up` was called with.
_corvus_nodes() {
    local nodes
    nodes=$(sed -n 's/^nodes=//p' "$1/build/cluster/$2/settings" 2>/dev/null) && [ -n "$nodes" ] &&
        seq "$nodes"
}

# What may follow the word before, as a value of it; false when nothing is to be chosen from.
_corvus_value() {
    case $1 in
    --name) _corvus_clusters "$2" ;;
    --boot) echo direct iso iso-uefi usb usb-uefi ipxe ipxe-http pxe-uefi ;;
    --nic) echo virtio e1000 none ;;
    --lan) echo wire bridge ;;
    --secure) echo encrypt authenticate ;;
    --disk) echo small full ;;
    *) return 1 ;;
    esac
}

_corvus_words() {
    local command=$1 nodes
    nodes=$(_corvus_nodes "$2" "$3")
    case $command in
    '') echo --name up exec cp console log status list kill start freeze thaw wire cut heal down demo help ;;
    up) echo -n -m --boot --disk --nic --modules --lan --wire --secure --patience --lend --icount ;;
    status | list) echo --json ;;
    log) echo -f "$nodes" ;;
    kill | start) echo wire "$nodes" ;;
    freeze | thaw) echo --signal "$nodes" ;;
    wire) echo none stats pcap loss= broadcast= delay= jitter= dup= reorder= biterror= rate= seed= ;;
    exec) echo -t -e -C "$nodes" ;;
    cut | console) echo "$nodes" ;;
    cp) [ -z "$nodes" ] || seq -f '%g:' "$(wc -l <<<"$nodes")" ;;
    esac
}

_corvus_cluster() {
    local top word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local name=default command="" words i
    COMPREPLY=()
    top=$(_corvus_top) || return 0
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        # Behind it is a command of the node.
        --) return 0 ;;
        --name)
            i=$((i + 1))
            name=${COMP_WORDS[i]}
            ;;
        *) command=${command:-${COMP_WORDS[i]}} ;;
        esac
    done
    words=$(_corvus_value "$before" "$top") || words=$(_corvus_words "$command" "$top" "$name")
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o default -F _corvus_cluster qemu-cluster.sh ./qemu-cluster.sh
