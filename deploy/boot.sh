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
  --boot direct|grub|uefi   QEMU's own loader, or the ISO under BIOS or UEFI (default: direct)
  --kernel FILE             for direct (default: build/kernel/corvus.elf)
  --modules FILE            module list, for direct (default: build/node.modules)
  --append TEXT             kernel command line, for direct
  --iso FILE                for grub and uefi (default: build/corvus.iso)
  --memory MIB              (default: 256)
  --cpu MODEL               (default: max)
  --icount                  the clock counts instructions; never with KVM
  --serial FILE|stdio       where the serial line goes (default: stdio)
  --console PATH            a socket for typing on the serial line; --serial names the log then
  --agent PATH              a socket that is the channel to the agent in the node's Linux
  --disk FILE               a raw image as a virtio disk; what is written to it is lost at the end
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
    grub | uefi)
        [ -r "$iso" ] || fail "image $iso is not there; build it with make iso"
        qemu+=(-cdrom "$iso" -boot d)
        ;;
    *) wrong_arguments "no boot path '$boot'" ;;
    esac
    if [ "$boot" = uefi ]; then
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
        qemu+=(-device virtio-serial-pci
            -chardev "socket,id=agent,path=$agent,server=on,wait=off"
            -device "virtserialport,chardev=agent,name=corvus.agent")
    fi
    if [ -n "$disk" ]; then
        [ -r "$disk" ] || fail "disk $disk cannot be read"
        qemu+=(-drive "if=none,id=disk,format=raw,snapshot=on,file=$disk"
            -device "virtio-blk-pci,drive=disk")
    fi
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
cpu=max
icount=no
serial=stdio
console=
agent=
disk=
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
        --agent | --disk | --qmp | --pid-file | --timeout)
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
refuse_commas "$serial" "$console" "$agent" "$disk"
serial_options
linux_options
if [ -n "$qmp" ]; then
    qemu+=(-qmp "unix:$qmp,server=on,wait=off")
fi
qemu+=("$@")
if [ -n "$timeout" ]; then
    qemu=(timeout --foreground "$timeout" "${qemu[@]}")
fi
if [ -n "$pid_file" ]; then
    echo "$$ $(start_time $$)" >"$pid_file"
fi
exec "${qemu[@]}"
