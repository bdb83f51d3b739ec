#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Installs the Debian packages that building, booting and testing need: by name, and only those that
# are missing. It is the one list of dependencies; `make` runs it before anything else and does not
# run it again until this file changes.
#
#   deploy/dependencies.sh [--check] [GROUP…]      groups: build boot machine test (default: all)
set -eu

declare -A packages=(
    # Recommended packages are not installed, so what a compiler only recommends is named here.
    [build]="gcc make binutils libc6-dev libssl-dev dpkg-dev xz-utils linux-source-6.1
            bc flex bison ccache musl-tools python3 e2fsprogs fakeroot zstd"
    [boot]="grub-pc-bin grub-efi-amd64-bin grub-common xorriso mtools ipxe"
    [machine]="qemu-system-x86 ovmf ipxe-qemu dnsmasq-base iproute2"
    [test]="perl python3 git gdb clang clang-format clang-tidy libclang-rt-14-dev lld cppcheck
            shellcheck sparse procps spin"
)

usage() {
    echo "usage: deploy/dependencies.sh [--check] [build|boot|machine|test]…"
}

say() {
    printf 'dependencies: %s\n' "$*"
}

fail() {
    printf 'dependencies: %s\n' "$*" >&2
    exit 1
}

# Prints, one a line, the packages among its arguments that are not fully installed.
missing_packages() {
    local package status
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=absent
        if [ "$status" != installed ]; then
            echo "$package"
        fi
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "root is needed to install packages, and there is no sudo: as root run deploy/dependencies.sh"
    fi
}

update_lists() {
    say "updating the package lists ($1)"
    as_root apt-get update || fail "the package lists could not be updated; is the network there?"
}

# Lists are only fetched when they lack a package: a machine with current lists starts at once.
update_lists_if_lacking() {
    local package candidate
    for package in "$@"; do
        candidate=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: *//p')
        if [ -z "$candidate" ] || [ "$candidate" = "(none)" ]; then
            update_lists "$package is not in them"
            return
        fi
    done
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@"
}

# Old lists name versions that the mirror no longer holds: that shows only as a failed download, so
# one failure earns one update and a second try.
install_with_retry() {
    say "installing $# packages: $*"
    if ! install_packages "$@"; then
        update_lists "installing failed, they may be stale"
        install_packages "$@" || fail "installing failed; apt's messages are above"
    fi
    say "installed"
}

check_only=no
groups=()
for argument in "$@"; do
    case $argument in
    --check) check_only=yes ;;
    -h | --help | help)
        usage
        exit 0
        ;;
    build | boot | machine | test) groups+=("$argument") ;;
    *)
        echo "dependencies: '$argument' is neither an option nor a group" >&2
        usage >&2
        exit 2
        ;;
    esac
done
if [ ${#groups[@]} -eq 0 ]; then
    groups=(build boot machine test)
fi

wanted=()
for group in "${groups[@]}"; do
    read -r -d '' -a names <<<"${packages[$group]}" || true
    wanted+=("${names[@]}")
done

command -v dpkg-query >/dev/null ||
    fail "this is no Debian system; install these, then build with DEPENDENCIES=no: ${wanted[*]}"

mapfile -t missing < <(missing_packages "${wanted[@]}")
if [ ${#missing[@]} -eq 0 ]; then
    say "all ${#wanted[@]} packages are installed"
elif [ "$check_only" = yes ]; then
    fail "missing: ${missing[*]}"
else
    update_lists_if_lacking "${missing[@]}"
    install_with_retry "${missing[@]}"
fi
