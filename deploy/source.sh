#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fetches a Debian source package and unpacks it, unmodified, into a folder. Needs neither root nor
# a deb-src line on the machine: the machine's own source list is copied under build/apt with its
# binary entries turned into source entries, so that the mirror and the keys stay the machine's.
# Downloads are kept outside the clone, so that the next clone needs no network.
#
#   deploy/source.sh PACKAGE VERSION-PREFIX DESTINATION     e.g. musl 1.2.3 build/musl/source
#
# DESTINATION appears complete or not at all; if it is there already, nothing is done.
set -eu

usage="usage: deploy/source.sh PACKAGE VERSION-PREFIX DESTINATION"
top=$(cd "$(dirname "$0")/.." && pwd)
apt=$top/build/apt

say() {
    printf 'source %s: %s\n' "$package" "$*"
}

fail() {
    printf 'source %s: %s\n' "$package" "$*" >&2
    exit 1
}

# apt-get or apt-cache ($1) on the private copy. Package lists, indexes and downloads all stay under
# build/apt. The sandbox user is switched off because it could not read a clone in a private home.
private_apt() {
    local command=$1
    shift
    "$command" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/sources" \
        -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Turns the entries of one list file, of either format, from binary packages to sources.
sources_of() {
    case $1 in
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$1" ;;
    *) sed -n 's/^deb\(-src\)\{0,1\}[[:space:]]/deb-src /p' "$1" | sort -u ;;
    esac
}

# The suffix decides the format for apt, so names are kept.
write_source_lists() {
    local file
    rm -rf "$apt/sources"
    mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        /etc/apt/sources.list.d/*.sources; do
        if [ -s "$file" ]; then
            sources_of "$file" >"$apt/sources/$(basename "$file")"
        fi
    done
}

# The newest version that begins with the prefix and does not merely share its digits: 1.2.3 must
# not find 1.2.30. An epoch before it does not count.
find_version() {
    private_apt apt-cache showsrc --only-source "$package" 2>/dev/null |
        sed -n 's/^Version: *//p' | sort -Vr | while read -r version; do
        case ${version#*:} in
        "$prefix" | "$prefix"[!0-9]*)
            echo "$version"
            break
            ;;
        esac
    done
}

# A folder of the cache that matches, or nothing. It is there only when complete.
find_cached() {
    local folder
    for folder in "$cache/$package"/"$prefix" "$cache/$package"/"$prefix"[!0-9]*; do
        if compgen -G "$folder/*.dsc" >/dev/null; then
            echo "$folder"
        fi
    done | sort -V | tail -n 1
}

update_lists() {
    say "fetching the list of source packages"
    write_source_lists
    private_apt apt-get update || fail "the list of source packages could not be fetched"
}

# Downloads the wanted version into the scratch folder. False when the lists do not know it or the
# mirror no longer holds it.
download() {
    version=$(find_version)
    [ -n "$version" ] || return 1
    say "downloading version $version"
    (cd "$1" && private_apt apt-get source --only-source --download-only "$package=$version")
}

# A cache that cannot be written costs only the next download, so it is not an error.
store_in_cache() {
    local scratch=$1 folder=$cache/$package/${2#*:}
    if mkdir -p "$cache/$package" 2>/dev/null && cp -r "$scratch" "$folder.$$" 2>/dev/null &&
        mv -T "$folder.$$" "$folder" 2>/dev/null; then
        say "kept in $folder"
    else
        rm -rf "$folder.$$" 2>/dev/null || true
        say "not kept: $cache cannot be written"
    fi
}

# dpkg-source checks the archives against the checksums in the .dsc, which apt-get has checked
# against the signed list; an archive spoiled in the cache is so found here.
unpack() {
    local folder=$1
    rm -rf "$work/tree"
    dpkg-source --extract "$folder"/*.dsc "$work/tree" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        return 1
    }
    mkdir -p "$(dirname "$destination")"
    mv -T "$work/tree" "$destination"
}

main() {
    local folder
    if [ -d "$destination" ]; then
        return
    fi
    # One fetch at a time: two of them would share build/apt.
    mkdir -p "$apt"
    exec 9>"$apt/lock"
    flock 9

    work=$(mktemp -d "$apt/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    folder=$(find_cached)
    if [ -n "$folder" ]; then
        if unpack "$folder"; then
            say "version $(basename "$folder") from the cache"
            return
        fi
        say "the cached copy is spoiled, downloading again"
        rm -rf "$folder"
    fi
    mkdir "$work/download"
    if ! download "$work/download"; then
        # No lists yet, or lists older than the mirror.
        update_lists
        download "$work/download" || fail "no source package of version $prefix could be had"
    fi
    unpack "$work/download" || fail "version $version could not be unpacked"
    store_in_cache "$work/download" "$version"
}

if [ $# -ne 3 ] || [ -z "$1" ] || [ -z "$2" ] || [ -z "$3" ]; then
    echo "$usage" >&2
    exit 2
fi
package=$1
prefix=$2
destination=$3
version=
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/corvus/sources
main
