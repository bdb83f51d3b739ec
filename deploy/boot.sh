#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The one place that knows how a node is started in QEMU; qemu-cluster.sh and all tests come here.
# Becomes the QEMU process (exec), so the caller's child is the machine itself. Its exit status is
# QEMU's: an odd one is what the guest wrote to the debug exit port (value << 1 | 1); 124 says that
# --timeout ended it.
#
# A module list has one module a line: its path, then its arguments, of which the first is name=NAME.
set -eu

usage() {
    cat <<'END'
usage: deploy/boot.sh [option…] [-- QEMU-OPTION…]
  --boot direct             by QEMU's own loader (default)
         iso|iso-uefi       by GRUB from the image as a disc, under BIOS or UEFI
         usb|usb-uefi       the same image as a USB stick
         ipxe               from the LAN, by iPXE in the network card's ROM (BIOS)
         pxe-uefi           from the LAN, by UEFI firmware
  --kernel FILE             for direct (default: build/kernel/corvus.elf)
  --modules FILE            module list, for direct (default: build/node.modules)
  --append TEXT             kernel command line, for direct
  --iso FILE                for iso and usb (default: build/corvus.iso)
  --memory MIB              (default: 256)
  --cpu MODEL               (default: max without ARCH_CAPABILITIES)
  --icount                  the clock counts instructions; never with KVM
  --serial FILE|stdio       where the serial line goes (default: stdio)
  --console PATH            a socket for typing on the serial line; --serial names the log then
  --agent PATH              a socket that is the channel to the agent in the node's Linux
  --disk FILE               a raw image as a virtio disk; what is written to it is lost at the end
  --nic virtio|e1000        a network card, with --mac ADDRESS, on the virtual LAN of deploy/wire:
  --nic-socket PATH         the card's socket
  --wire PATH               the LAN's socket for it; or on a bridge, for which root is needed:
  --tap NAME                a tap device that is there already
  --namespace NAME          the network namespace that it is in
  --qmp PATH                control socket
  --pid-file FILE           gets the process id and its start time
  --timeout SECONDS         end the machine after that time
END
}

fail() {
    printf 'boot: %s\n' "$1" >&2
    exit "${2:-1}"
}

wrong_arguments() {
    printf 'boot: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# Prints QEMU's -initrd value for a module list. QEMU splits it at commas and takes what follows the
# first space of each part as the module's arguments.
modules_for_qemu() {
    local path arguments joined=""
    while read -r path arguments; do
        [ -n "$path" ] || continue
        [ -r "$path" ] || fail "module $path cannot be read"
        case "$path$arguments" in
        *,*) fail "module '$path $arguments': QEMU allows no comma in it" ;;
        esac
        joined+=${joined:+,}$path${arguments:+ $arguments}
    done <"$1"
    echo "$joined"
}

need_image() {
    [ -r "$iso" ] || fail "image $iso is not there; build it with make iso"
}

firmware_options() {
    local initrd
    case $boot in
    direct)
        [ -r "$kernel" ] || fail "kernel $kernel is not there; build it with make"
        [ -r "$modules" ] || fail "module list $modules is not there; build it with make"
        initrd=$(modules_for_qemu "$modules") || exit 1
        qemu+=(-kernel "$kernel" -append "$append")
        if [ -n "$initrd" ]; then
            qemu+=(-initrd "$initrd")
        fi
        ;;
    iso | iso-uefi)
        need_image
        qemu+=(-cdrom "$iso" -boot d)
        ;;
    usb | usb-uefi)
        need_image
        qemu+=(-drive "if=none,id=stick,format=raw,snapshot=on,file=$iso" -device qemu-xhci
            -device "usb-storage,drive=stick,bootindex=0")
        ;;
    ipxe | pxe-uefi)
        [ "$nic" != "" ] || wrong_arguments "--boot $boot needs a network card"
        ;;
    *) wrong_arguments "no boot path '$boot'" ;;
    esac
    if [[ $boot = *-uefi ]]; then
        [ -r "$ovmf" ] || fail "$ovmf is not there; deploy/dependencies.sh machine installs it"
        qemu+=(-bios "$ovmf")
    fi
}

# The serial line: a log, and with --console also a socket for one terminal at a time.
serial_options() {
    if [ -n "$console" ]; then
        [ "$serial" != stdio ] || wrong_arguments "--console needs --serial FILE"
        qemu+=(-chardev "socket,id=console,path=$console,server=on,wait=off,logfile=$serial"
            -serial chardev:console)
    elif [ "$serial" = stdio ]; then
        qemu+=(-serial stdio)
    else
        qemu+=(-serial "file:$serial")
    fi
}

# Devices of the node's Linux.
linux_options() {
    if [ -n "$agent" ]; then
        qemu+=(-device "virtio-serial-pci,max_ports=2"
            -chardev "socket,id=agent,path=$agent,server=on,wait=off"
            -device "virtserialport,chardev=agent,name=corvus.agent")
    fi
    if [ -n "$disk" ]; then
        [ -r "$disk" ] || fail "disk $disk cannot be read"
        qemu+=(-drive "if=none,id=disk,format=raw,snapshot=on,file=$disk"
            -device "virtio-blk-pci,drive=disk")
    fi
}

# The network card. Its MTU is the wire's. Its ROM, iPXE, is there to boot by; UEFI has drivers of its
# own.
nic_options() {
    local device netdev
    [ -n "$nic" ] || return 0
    case $nic in
    virtio) device=virtio-net-pci,host_mtu=9000 ;;
    e1000) device=e1000 ;;
    *) wrong_arguments "no network card '$nic'" ;;
    esac
    [ -n "$mac" ] || wrong_arguments "--nic needs --mac"
    if [ -n "$tap" ]; then
        netdev=tap,id=lan,ifname=$tap,script=no,downscript=no
    elif [ -n "$nic_socket" ] && [ -n "$wire" ]; then
        netdev=dgram,id=lan,local.type=unix,local.path=$nic_socket,remote.type=unix,remote.path=$wire
    else
        wrong_arguments "--nic needs --nic-socket and --wire, or --tap"
    fi
    device+=,netdev=lan,mac=$mac
    case $boot in
    ipxe) device+=,bootindex=0 ;;
    pxe-uefi) device+=,bootindex=0,romfile= ;;
    *) device+=,romfile= ;;
    esac
    qemu+=(-netdev "$netdev" -device "$device")
}

# QEMU separates options by commas.
refuse_commas() {
    local value
    for value in "$@"; do
        case $value in
        *,*) fail "'$value': QEMU allows no comma in it" ;;
        esac
    done
}

accelerator_options() {
    if [ "$icount" = yes ]; then
        qemu+=(-accel tcg -icount "shift=0")
    else
        accelerator=$(deploy/accelerator.sh)
        qemu+=(-accel "$accelerator")
    fi
    qemu+=(-cpu "$cpu")
}

# Number 22 of /proc/PID/stat; the name before it may hold spaces and brackets. Together with the
# process id it names one process for good, which the id alone does not.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat")
    # shellcheck disable=SC2086 # the fields are to be split
    set -- ${stat##*)}
    echo "${20}"
}

boot=direct
kernel=build/kernel/corvus.elf
modules=build/node.modules
append=
iso=build/corvus.iso
memory=256
# Under KVM of recent kernels on AMD, QEMU 7.2 ends over MSR 0x10a of ARCH_CAPABILITIES; nodes need none of it.
cpu=max,arch-capabilities=off
icount=no
serial=stdio
console=
agent=
disk=
nic=
mac=
nic_socket=
wire=
tap=
namespace=
qmp=
pid_file=
timeout=
ovmf=/usr/share/ovmf/OVMF.fd

while [ $# -gt 0 ]; do
    case $1 in
    --icount)
        icount=yes
        shift
        ;;
    --boot | --kernel | --modules | --append | --iso | --memory | --cpu | --serial | --console | \
        --agent | --disk | --nic | --mac | --nic-socket | --wire | --tap | \
        --namespace | --qmp | --pid-file | --timeout)
        [ $# -ge 2 ] || wrong_arguments "$1 needs a value"
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *) wrong_arguments "unknown argument '$1'" ;;
    esac
done

# Paths are given from the top folder. Short ones matter: a socket's path has 107 bytes at most, and
# QEMU's module list no commas, whatever folder the clone lies in.
cd "$(dirname "$0")/.."

# graphics=off shows firmware and GRUB on the serial line; -no-reboot makes a triple fault end.
qemu=(qemu-system-x86_64 -machine "pc,graphics=off" -m "$memory" -nodefaults -display none
    -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=0x04")
firmware_options
accelerator_options
refuse_commas "$serial" "$console" "$agent" "$disk" "$mac" "$nic_socket" "$wire" \
    "$tap" "$iso"
serial_options
linux_options
nic_options
if [ -n "$qmp" ]; then
    qemu+=(-qmp "unix:$qmp,server=on,wait=off")
fi
qemu+=("$@")
if [ -n "$namespace" ]; then
    qemu=(ip netns exec "$namespace" "${qemu[@]}")
fi
if [ -n "$timeout" ]; then
    qemu=(timeout --foreground "$timeout" "${qemu[@]}")
fi
if [ -n "$pid_file" ]; then
    echo "$$ $(start_time $$)" >"$pid_file"
fi
exec "${qemu[@]}"
