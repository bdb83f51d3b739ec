#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetches Debian binary packages and unpacks them into a folder, for what runs inside a node. Needs
# no root and installs nothing: packages are chosen by apt against the machine's own package lists, as
# if nothing were installed yet. No maintainer script runs.
#
#   deploy/packages.sh LIST TREE
#
# A line of LIST is one of
#   PACKAGE               the whole package, and all that it depends on
#   PACKAGE PATTERN…      these files of it only (shell patterns, from the top), and nothing else
#   without PATTERN…      files to be left out of all whole packages
# Documentation, translations and manual pages are left out. TREE appears complete or not at all.
#
# Packages are kept outside the clone, with the choice that was made for a LIST, so that the next
# clone needs no network and gets the same versions. To choose anew, remove the cache.
set -eu

usage="usage: deploy/packages.sh LIST TREE"
top=$(cd "$(dirname "$0")/.." && pwd)
apt=$top/build/apt
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/corvus/packages

# What no program in a node reads.
left_out=(./usr/share/doc/'*' ./usr/share/man/'*' ./usr/share/info/'*' ./usr/share/locale/'*'
    ./usr/share/lintian/'*' ./usr/share/bug/'*' ./usr/share/doc-base/'*')

say() {
    printf 'packages %s: %s\n' "$name" "$*"
}

fail() {
    printf 'packages %s: %s\n' "$name" "$*" >&2
    exit 1
}

# --- Reading the list -------------------------------------------------------------------------

read_list() {
    local package patterns pattern
    while read -r package patterns; do
        case $package in
        '' | '#'*) ;;
        without)
            set -f
            for pattern in $patterns; do
                left_out+=(".$pattern")
            done
            set +f
            ;;
        *[!a-z0-9.+-]*) fail "'$package' is not the name of a package" ;;
        *)
            if [ -n "$patterns" ]; then
                picked[$package]+=" $patterns"
            else
                whole+=("$package")
            fi
            ;;
        esac
    done <"$list"
}

# --- Choosing and downloading -----------------------------------------------------------------

# apt-get with an empty list of installed packages. The package lists are the machine's, or our own
# when those do not serve. The sandbox user is switched off because it could not read a clone in a
# private home.
private_apt() {
    apt-get -qq -o Dir::State::status="$apt/binary/status" -o Dir::Cache="$apt/binary/cache" \
        -o Dir::Cache::archives="$work/download" -o Debug::NoLocking=true \
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        -o Acquire::Languages=none -o Acquire::Retries=3 "${own_lists[@]}" "$@"
}

download() {
    rm -rf "$work/download"
    mkdir -p "$work/download/partial"
    if [ ${#whole[@]} -gt 0 ]; then
        private_apt install --yes --download-only "${whole[@]}" >"$work/log" 2>&1 || return 1
    fi
    if [ ${#picked[@]} -gt 0 ]; then
        (cd "$work/download" && private_apt download "${!picked[@]}") >>"$work/log" 2>&1 || return 1
    fi
    rm -rf "$work/download/partial"
}

# Machines without lists and lists older than the mirror both show as a failed download.
download_with_retry() {
    mkdir -p "$apt/binary/cache/archives/partial"
    : >"$apt/binary/status"
    own_lists=()
    say "downloading"
    if download; then
        return
    fi
    say "the machine's package lists do not serve, fetching our own"
    own_lists=(-o "Dir::State::Lists=$apt/binary/lists")
    mkdir -p "$apt/binary/lists/partial"
    private_apt update || fail "the package lists could not be fetched"
    if ! download; then
        cat "$work/log" >&2
        fail "a package could not be had; apt's messages are above"
    fi
}

# --- The cache --------------------------------------------------------------------------------

# A choice is known by what was asked for: the file CHOICE has a line "SHA256  FILE" a package.
choice_name() {
    { printf '%s\n' "${whole[@]}" | sort && echo -- && printf '%s\n' "${!picked[@]}" | sort; } |
        sha256sum | cut -c 1-16
}

# Links or copies what the cache has for this list; false when it is incomplete or spoiled.
from_cache() {
    local file
    [ -r "$cache/$choice.choice" ] || return 1
    rm -rf "$work/download"
    mkdir "$work/download"
    while read -r _ file; do
        ln "$cache/$file" "$work/download/" 2>/dev/null ||
            cp "$cache/$file" "$work/download/" 2>/dev/null || return 1
    done <"$cache/$choice.choice"
    (cd "$work/download" && sha256sum --quiet --check "$cache/$choice.choice" >/dev/null 2>&1)
}

# A cache that cannot be written costs only the next download, so it is not an error.
store_in_cache() {
    local file
    if ! mkdir -p "$cache" 2>/dev/null || [ ! -w "$cache" ]; then
        say "not kept: $cache cannot be written"
        return
    fi
    (
        cd "$work/download"
        for file in *.deb; do
            cp "$file" "$cache/.$file.$$" && mv "$cache/.$file.$$" "$cache/$file"
        done
        sha256sum -- *.deb >"$cache/.$choice.$$" && mv "$cache/.$choice.$$" "$cache/$choice.choice"
    ) || say "not kept: writing to $cache failed"
}

# --- Unpacking --------------------------------------------------------------------------------

# Debian 12 systems have these as links, while packages still name both places.
merge_usr() {
    local folder
    for folder in bin lib lib64 sbin; do
        mkdir -p "$1/usr/$folder"
        ln -s "usr/$folder" "$1/$folder"
    done
}

unpack_package() {
    local file=$1 package patterns=() pattern options=()
    package=$(basename "$file")
    package=${package%%_*}
    if [[ -v picked[$package] ]]; then
        set -f
        for pattern in ${picked[$package]}; do
            patterns+=(".$pattern")
        done
        set +f
    fi
    for pattern in "${left_out[@]}"; do
        options+=("--exclude=$pattern")
    done
    # A pattern that matches nothing makes tar fail, as it should.
    dpkg-deb --fsys-tarfile "$file" | tar -x -C "$tree.part" --no-same-owner --same-permissions \
        --keep-directory-symlink --wildcards "${options[@]}" ${patterns[@]+"${patterns[@]}"} ||
        fail "$(basename "$file") could not be unpacked"
}

main() {
    local file
    umask 022
    mkdir -p "$apt"
    exec 9>"$apt/lock"
    flock 9
    work=$(mktemp -d "$apt/work.XXXXXX")
    trap 'rm -rf "$work" "$tree.part"' EXIT

    read_list
    choice=$(choice_name)
    if ! from_cache; then
        download_with_retry
        store_in_cache
    fi
    rm -rf "$tree.part"
    mkdir -p "$tree.part"
    merge_usr "$tree.part"
    for file in "$work"/download/*.deb; do
        unpack_package "$file"
    done
    rm -rf "$tree"
    mv -T "$tree.part" "$tree"
}

if [ $# -ne 2 ] || [ ! -r "$1" ] || [ -z "$2" ]; then
    echo "$usage" >&2
    exit 2
fi
list=$1
tree=$2
name=$(basename "$list" .packages)
whole=()
declare -A picked=()
own_lists=()
main
