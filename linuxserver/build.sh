#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the Linux server: Debian's kernel source, unchanged, as ARCH=um with OS=Corvus.
#
#   linuxserver/build.sh FOLDER      e.g. build/linux; leaves vmlinux (with symbols) and linux.elf there
#
# FOLDER/linux-source-6.1 is the unpacked tree, in which five links lead to linuxserver/; FOLDER/obj
# is what Linux's own build makes. Finished images are kept outside the clone under a hash of all that
# goes into them, and compilations by ccache, so that the next clone builds nothing twice; both can be
# missing.
set -eu

archive=/usr/src/linux-source-6.1.tar.xz
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/corvus
images_kept=8

if [ $# -ne 1 ]; then
    echo "usage: linuxserver/build.sh FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
source=$folder/linux-source-6.1
objects=$folder/obj

say() {
    printf 'linux: %s\n' "$*"
}

fail() {
    printf 'linux: %s\n' "$*" >&2
    exit 1
}

# -mgeneral-regs-only: the vector unit holds the state of processes. -mno-red-zone: events run on the
# stack that they interrupt. -mcmodel=small: the image lies below 2 GiB.
# What an architecture's headers can say, and those of x86 do but ARCH=um's do not: heaps are not
# executed (only mm/mmap.c asks), and core dumps have register sets (backend/regset.c).
linux_make() {
    make -C "$source" -j"$(nproc)" ARCH=um SUBARCH=x86_64 OS=Corvus CORVUS="$top" O="$objects" \
        CC="$compiler" KCFLAGS="-mgeneral-regs-only -mno-red-zone -mcmodel=small" \
        CFLAGS_mmap.o=-DVM_DATA_DEFAULT_FLAGS=VM_DATA_FLAGS_TSK_EXEC \
        CFLAGS_binfmt_elf.o=-DCORE_DUMP_USE_REGSET \
        KBUILD_BUILD_USER=corvus KBUILD_BUILD_HOST=corvus KBUILD_BUILD_TIMESTAMP="$version" "$@"
}

# What the image is made of, as one number.
hash_of_inputs() {
    {
        echo "$version"
        gcc --version | head -n 1
        ld --version | head -n 1
        cd "$top"
        find linuxserver/backend linuxserver/drivers linuxserver/migration linuxserver/config lib include build/include \
            linuxserver/build.sh -type f \( -name '*.[chS]' -o -name '*akefile*' -o -name '*.config' \
            -o -name '*.sh' -o -name '*.def' -o -name '*.lds' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c 1-32
}

unpack() {
    if [ "$(cat "$source/.unpacked" 2>/dev/null)" = "$version" ]; then
        return
    fi
    say "unpacking $archive"
    rm -rf "$source" "$source.new" "$objects"
    mkdir -p "$source.new"
    tar -x -f "$archive" -C "$source.new" --strip-components=1
    ln -s "$top/linuxserver/backend" "$source.new/arch/um/os-Corvus"
    ln -s "$top/linuxserver/backend/x86" "$source.new/arch/x86/um/os-Corvus"
    ln -s "$top/linuxserver/backend/Makefile-os-Corvus" "$source.new/arch/um/Makefile-os-Corvus"
    ln -s "$top/linuxserver/drivers" "$source.new/arch/um/corvus-drivers"
    echo "$version" >"$source.new/.unpacked"
    mv "$source.new" "$source"
}

# Not with the others: trees that were unpacked before it was there want it, too.
link_migration() {
    ln -sfn "$top/linuxserver/migration" "$source/arch/um/corvus-migration"
}

# Every file of Debian's is there and as it was; what is there besides is ours.
check_unchanged() {
    local changed
    changed=$(tar -d -f "$archive" -C "$folder" 2>&1 |
        grep -v -e 'Mod time differs' -e 'Uid differs' -e 'Gid differs' -e 'Mode differs' || true)
    [ -z "$changed" ] || fail "Debian's Linux source has been changed: ${changed%%$'\n'*}"
    say "Debian's tree is unchanged; own lines: $(cd "$top/linuxserver" &&
        cat backend/*.[chS] backend/x86/*.c | wc -l) in backend, $(cd "$top/linuxserver" &&
        cat drivers/*.[ch] 2>/dev/null | wc -l) in drivers, $(cd "$top/linuxserver" &&
        cat migration/*.[ch] | wc -l) in migration"
}

configure() {
    mkdir -p "$objects"
    if [ "$objects/.config" -nt "$top/linuxserver/config/linux.config" ]; then
        return
    fi
    say "configuring"
    linux_make -s tinyconfig >/dev/null 2>&1
    (cd "$source" && scripts/kconfig/merge_config.sh -m -O "$objects" "$objects/.config" \
        "$top/linuxserver/config/linux.config" >"$folder/merge.log" 2>&1) ||
        fail "the configuration cannot be merged: see $folder/merge.log"
    linux_make -s olddefconfig >/dev/null 2>&1
    while read -r line; do
        grep -q -x -F "$line" "$objects/.config" || {
            rm "$objects/.config"
            fail "Linux does not take $line"
        }
    done < <(grep '^CONFIG_' "$top/linuxserver/config/linux.config")
}

compile() {
    say "compiling (several minutes the first time; log in $folder/build.log)"
    linux_make vmlinux >"$folder/build.log" 2>&1 || {
        grep -E 'error|undefined|\*\*\*' "$folder/build.log" | head -n 20 >&2
        fail "the build failed: see $folder/build.log"
    }
    if objdump -d --no-show-raw-insn "$objects/vmlinux" | grep -m 1 -E '%[xyz]mm[0-9]|%mm[0-7]'; then
        fail "this instruction of the server uses the vector unit, which belongs to its processes"
    fi
}

install_image() {
    cp "$1/vmlinux" "$folder/vmlinux.new"
    objcopy -S "$folder/vmlinux.new" "$folder/linux.elf.new"
    mv "$folder/vmlinux.new" "$folder/vmlinux"
    mv "$folder/linux.elf.new" "$folder/linux.elf"
}

keep_image() {
    local kept=$cache/linux/$key
    # Somebody may have gone on editing meanwhile.
    [ "$(hash_of_inputs)" = "$key" ] || return 0
    if mkdir -p "$kept" 2>/dev/null && cp "$objects/vmlinux" "$kept/vmlinux.$$" 2>/dev/null; then
        mv "$kept/vmlinux.$$" "$kept/vmlinux"
        # shellcheck disable=SC2012 # the names are hashes
        ls -td "$cache"/linux/*/ | tail -n +$((images_kept + 1)) | xargs -r rm -rf
    else
        say "not kept: $cache cannot be written"
    fi
}

[ -r "$archive" ] || fail "$archive is missing: deploy/dependencies.sh installs it"
version=$(dpkg-query -W -f '${Version}' linux-source-6.1)
compiler=gcc
if command -v ccache >/dev/null && mkdir -p "$cache/ccache" 2>/dev/null; then
    compiler="ccache gcc"
    export CCACHE_DIR=$cache/ccache CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=2G
fi

key=$(hash_of_inputs)
if [ -r "$cache/linux/$key/vmlinux" ]; then
    say "image $key from the cache"
    touch "$cache/linux/$key"
    install_image "$cache/linux/$key"
    exit
fi
unpack
link_migration
check_unchanged
configure
compile
install_image "$objects"
keep_image
