#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2031 # completion has a name of its own
#
# TAP: what can be in the way of a cluster: no room on the disk, a package that is missing, no root, no
# KVM or one that hangs, an `up` that was killed; one clear line for each, and nothing left behind. Also
# wrong arguments of the commands, and completion. one-node.sh and many-nodes.sh have more of that.
set -u

cd "$(dirname "$0")/../.." || exit 1
name=bad-$$
# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh

# declines TEXT COMMAND…: status 1 and one line, that has the text.
declines() {
    local text=$1 status=0
    shift
    output=$("$@" 2>&1 | grep -v '^make'; exit "${PIPESTATUS[0]}") || status=$?
    [ "$status" -eq 1 ] && says "$text" && [ "$(wc -l <<<"$output")" -eq 1 ]
}

nothing_left() {
    output=$(pgrep -a -f "build/cluster/${name}[/ ]"
        find "$state" -mindepth 1 ! -name '*.log' ! -name 'node*.qemu' ! -name 'node*.server' ! -name lock 2>&1)
    [ -z "$output" ]
}

wrong_arguments() {
    local words
    while read -r text words; do
        # shellcheck disable=SC2086 # words
        check "$words" refuses "${text//_/ }" $words
    done <<'END'
no_boot_path up --boot floppy
no_boot_path up --boot pxe
needs_a_value up --lan
no_module_list up --modules /nowhere
no_module_list up --modules /tmp
is_not_a_size up --lend x
less_than_64_MiB up -m 128 --lend 100
needs_--nic_virtio up --boot pxe-uefi --nic e1000
unknown_argument list --xml
unknown_argument status --json --json
unknown_argument demo fast
unknown_argument down now
which_node exec
which_command exec 1
which_command exec 1 --
is_not_a_node exec one -- true
needs_a_value exec -C
is_not_KEY=VALUE exec -e X 1 -- true
unknown_argument exec -x 1 -- true
from_where cp
one_side_is cp /tmp /var
one_node_at_a_time cp 1:/a 2:/b
unknown_argument cp -r 1:/a /tmp
which_node console
is_not_a_node console 0
which_node thaw
unknown_argument thaw --hard
one_node_at_a_time log 1 2
unknown_argument log -x 1
wire:_SPEC wire
no_command netboot
END
    check "no name" refuses "--name needs a value" status --name
}

no_space() {
    mkdir -p "$state"
    # shellcheck disable=SC2016 # for the inner shell
    check "no room on the disk" declines "MiB are free on the disk" unshare -m bash -c \
        'mount -t tmpfs -o size=4m none "$1" && ./qemu-cluster.sh --name "$2" up' - "$state" "$name"
}

# The same name in another clone.
foreign_namespace() {
    if [ "$(id -u)" -ne 0 ] || ! ip netns add "corvus-$name" 2>/dev/null; then
        number=$((number + 1))
        echo "ok $number - a namespace of another clone # SKIP needs root and network namespaces"
        return
    fi
    check "a namespace of another clone" declines "is somebody else's: take another --name" \
        ./qemu-cluster.sh --name "$name" up --lan bridge
    check "down" succeeds "not up" down
    check "leaves it alone" test -e "/run/netns/corvus-$name"
    ip netns delete "corvus-$name"
}

# A folder of all programs but one, for PATH.
without() {
    local folder=$work/without-$1
    mkdir -p "$folder"
    ln -sf /usr/sbin/* /usr/bin/* "$folder" 2>/dev/null
    rm -f "$folder/$1"
    echo "$folder"
}

# A clone may lie in /root, which nobody may enter but in a namespace; a chroot makes none.
without_root() {
    local nobody=(unshare --user)
    "${nobody[@]}" true 2>/dev/null || nobody=(setpriv --reuid 65534 --clear-groups)
    if "${nobody[@]}" test -r "$PWD/qemu-cluster.sh" 2>/dev/null; then
        check "nobody's bridge" declines "--lan bridge needs root" \
            "${nobody[@]}" ./qemu-cluster.sh --name "$name" up --lan bridge
    else
        check "nobody's bridge # SKIP nobody may read this clone" true
    fi
}

missing_packages() {
    check "QEMU is not there" declines "qemu-system-x86_64 is not installed; deploy/dependencies.sh machine" \
        env PATH="$(without qemu-system-x86_64)" ./qemu-cluster.sh --name "$name" up
    if [ "$(id -u)" -eq 0 ]; then
        check "dnsmasq is not there" declines "dnsmasq is not installed; deploy/dependencies.sh machine" \
            env PATH="$(without dnsmasq)" ./qemu-cluster.sh --name "$name" up --lan bridge
        without_root
    else
        check "a bridge without root" declines "--lan bridge needs root" \
            ./qemu-cluster.sh --name "$name" up --lan bridge
    fi
}

# The probe in a tree of its own, whose QEMU is the given script.
probe() {
    local folder=$work/probe-$1
    mkdir -p "$folder/deploy" "$folder/bin"
    cp deploy/accelerator.sh "$folder/deploy"
    printf '#!/bin/sh\n%s\n' "$3" >"$folder/bin/qemu-system-x86_64"
    chmod +x "$folder/bin/qemu-system-x86_64"
    output=$(CORVUS_KVM=$2 PATH=$folder/bin:$PATH "$folder/deploy/accelerator.sh" 2>"$work/said")
    status=$?
    said=$(cat "$work/said")
    [ "$status" -eq 0 ]
}

# probes FOLDER DEVICE QEMU ACCELERATOR TEXT
probes() {
    probe "$1" "$2" "$3" && [ "$output" = "$4" ] && [[ $said == *"$5"* ]]
}

accelerators() {
    : >"$work/kvm"
    check "no /dev/kvm" probes none "$work/nowhere" 'exit 33' tcg "no access to /dev/kvm; using TCG"
    check "one that runs a guest" probes works "$work/kvm" 'exit 33' kvm "trying whether KVM runs a guest"
    check "one that hangs" probes hangs "$work/kvm" 'sleep 60' tcg "opens but runs no guest; using TCG"
    check "one that is much slower than emulation" probes slow "$work/kvm" 'sleep 3; exit 33' tcg "using TCG"
    check "one on which the nodes' processor does not run" probes model "$work/kvm" \
        "case \"\$*\" in *\"-cpu $(sed -n 's/^cpu=//p' deploy/boot.sh) \"*) exit 134 ;; esac; exit 33" tcg "using TCG"
    check "one whose QEMU fails" probes fails "$work/kvm" 'exit 1' tcg "opens but runs no guest; using TCG"
    check "is asked once" probes hangs "$work/kvm" 'exit 33' tcg ""
    check "and says nothing then" test -z "$said"
}

# One that cannot clean up after itself: down can.
killed_up() {
    ./qemu-cluster.sh --name "$name" up -n 2 --boot ipxe >"$work/up" 2>&1 &
    local up=$!
    within 120 test -s "$state/node1.pid"
    kill -KILL "$up"
    wait "$up" 2>/dev/null
    check "an up that was killed is still up" declines "already up" ./qemu-cluster.sh --name "$name" up
    check "and seen" succeeds "$name: " list
    check "down ends it" succeeds "down" down
    check "all of it" within 20 nothing_left
    check "it is in no list" not_listed
}

not_listed() {
    cluster list && ! says "$name: "
}

# completes WORDS EXPECTED: the last word of a line, completed by the functions of deploy/completion.bash.
completes() {
    output=$(
        # shellcheck disable=SC1091 # not a script
        . deploy/completion.bash
        read -r -a COMP_WORDS <<<"./qemu-cluster.sh $1"
        [[ $1 != *' ' ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _corvus_cluster
        echo "${COMPREPLY[*]}"
    )
    [ "$output" = "$2" ]
}

completion() {
    check "completes a command" completes fr freeze
    check "a value" completes "up --boot ipxe-" ipxe-http
    check "nothing behind --" completes "exec 1 -- fr" ""
    mkdir -p "$state"
    echo nodes=3 >"$state/settings"
    check "a name" completes "--name $name" "$name"
    check "the nodes of that cluster" completes "--name $name console " "1 2 3"
    rm "$state/settings"
    check "all commands of the help" all_commands
}

# Whatever the help names at the begin of a line.
all_commands() {
    local command missing=""
    cluster help
    while read -r command; do
        completes "$command" "$command" || missing+=" $command"
    done < <(sed -n 's/^  \([a-z]*\) .*/\1/p' <<<"$output" | sort -u)
    output="not completed:$missing"
    [ -z "$missing" ]
}

wrong_arguments
no_space
foreign_namespace
missing_packages
accelerators
completion
check "nothing is there before anything was started" nothing_left
killed_up
finish
