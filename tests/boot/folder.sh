#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: what a boot server hands out (deploy/netboot), without machines: lists of nodes, the folder, who
# may read it, dnsmasq's configuration as dnsmasq reads it, the HTTP server; and wrong input of each.
set -u

cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
# shellcheck source=tests/tap.sh
. tests/tap.sh

# prints TEXT COMMAND…: it succeeds, and that is in its output.
prints() {
    local text=$1
    shift
    output=$("$@" 2>&1) && [[ $output == *"$text"* ]]
}

# refuses TEXT COMMAND…: it fails with one line, perhaps with its usage behind, that has the text.
refuses() {
    local text=$1
    shift
    ! output=$("$@" 2>&1) && [[ $(head -n 1 <<<"$output") == *"$text"* ]] &&
        [ "$(grep -c -v '^usage:' <<<"$output")" -eq 1 ]
}

lists() {
    local key
    printf '# lab\n52-54-00-AA-BB-01 patience=3\n\n52:54:00:aa:bb:02 # two\n' >"$work/cards"
    check "a list of nodes" prints "52:54:00:aa:bb:02 node=2 nodes=2 cluster=lab key=" \
        deploy/netboot/nodes.sh "$work/cards" lab "$work/key"
    check "words of one node" grep -q '^52:54:00:aa:bb:01 node=1 .* patience=3$' <<<"$output"
    key=$(cat "$work/key")
    check "the key is its owner's" test "$(stat -c %a "$work/key")" = 600
    check "the key stays" prints "key=$key" deploy/netboot/nodes.sh - lab "$work/key"
    check "eight nodes by themselves" test "$(wc -l <<<"$output")" = 8
    check "no such list" refuses "cannot be read" deploy/netboot/nodes.sh "$work/none" lab "$work/key"
    check "a name that is none" refuses "is not a name" deploy/netboot/nodes.sh - a/b "$work/key"
    echo 12 >"$work/short"
    check "a key that is none" refuses "is not a key" deploy/netboot/nodes.sh - lab "$work/short"
    seq -f '52:54:00:00:%03g:01' 255 >"$work/many"
    check "too many" refuses "at most 254" deploy/netboot/nodes.sh "$work/many" lab "$work/key"
}

# folder LIST: made from two small files.
folder() {
    deploy/netboot/directory.sh "$work/folder" "$work/kernel" "$work/modules" "$1"
}

folders() {
    echo kernel >"$work/kernel"
    printf '%s name=one words here\n%s name=two\n' "$work/kernel" "$work/key" >"$work/modules"
    deploy/netboot/nodes.sh "$work/cards" lab "$work/key" >"$work/list"
    check "a folder" prints "" folder "$work/list"
    check "is its owner's" test "$(stat -c %a "$work/folder")" = 700
    check "iPXE's script" grep -q -x 'module module0 name=one words here' "$work/folder/52-54-00-aa-bb-01.ipxe"
    check "with the command line" grep -q '^kernel corvus.elf node=2 ' "$work/folder/52-54-00-aa-bb-02.ipxe"
    check "GRUB's" grep -q -x 'module2 /module1 name=two' "$work/folder/52:54:00:aa:bb:02.cfg"
    check "the module" cmp "$work/key" "$work/folder/module1"
    head -n 1 "$work/list" >"$work/less"
    check "anew, for one" prints "" folder "$work/less"
    check "the other is gone" test ! -e "$work/folder/52-54-00-aa-bb-02.ipxe"
    cat "$work/less" "$work/less" >"$work/twice"
    check "a card twice" refuses "is twice" folder "$work/twice"
    echo "52:54 node=1" >"$work/wrong"
    check "a card that is none" refuses "is not a card's address" folder "$work/wrong"
    : >"$work/empty"
    check "no card" refuses "names no machine" folder "$work/empty"
    check "no list" refuses "cannot be read" folder "$work/none"
    check "the old one is whole after all that" test -e "$work/folder/52-54-00-aa-bb-01.ipxe"
    check "and nothing beside it" test -z "$(compgen -G "$work/folder.*")"
}

configuration() {
    local way
    for way in '' http; do
        # shellcheck disable=SC2086 # a word, or none
        check "dnsmasq's configuration $way" prints "dhcp-boot=tag:uefi,grub.efi" \
            deploy/netboot/dnsmasq.sh lan0 10.1.2.1 "$work/folder" $way
        printf '%s\n' "$output" >"$work/conf"
        check "which it understands" prints "syntax check OK" \
            /usr/sbin/dnsmasq --test --conf-file="$work/conf"
    done
    check "iPXE is sent to HTTP" grep -q -x 'dhcp-boot=tag:!uefi,tag:ipxe,http:'//10.1.2.1/boot.ipxe "$work/conf"
    check "no interface" refuses "is not an interface" deploy/netboot/dnsmasq.sh 'a b' 10.1.2.1 "$work/folder"
    check "no address" refuses "is not an IPv4" deploy/netboot/dnsmasq.sh lan0 here "$work/folder"
    check "no folder" refuses "no netboot folder" deploy/netboot/dnsmasq.sh lan0 10.1.2.1 "$work/none"
    check "not http" refuses "is not http" deploy/netboot/dnsmasq.sh lan0 10.1.2.1 "$work/folder" ftp
}

# asks REQUEST…: lines of a request to the HTTP server, on its standard input.
asks() {
    printf '%s\r\n' "$@" '' | deploy/netboot/web.py "$work/folder" >"$work/answer" 2>&1
    output=$(tr -d '\0\r' <"$work/answer")
}

answers() {
    local text=$1
    shift
    asks "$@" && [[ $output == "HTTP/1.1 $text"* ]]
}

# The port is another server's.
busy_port() {
    local server port=$((20000 + RANDOM % 10000)) tries=100
    deploy/netboot/web.py "$work/folder" 127.0.0.1 "$port" 2>/dev/null &
    server=$!
    until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || break
        sleep 0.1
    done
    check "a server at a port" test "$tries" -gt 0
    check "a busy port" refuses "port $port: [Errno 98] Address already in use" \
        deploy/netboot/web.py "$work/folder" 127.0.0.1 "$port"
    kill "$server"
    wait "$server" 2>/dev/null
}

web() {
    check "a file by HTTP" answers "200 OK" 'GET /module1 HTTP/1.0'
    check "is that file" test "$(tail -c 64 "$work/answer")" = "$(cat "$work/key")"
    check "its head only" answers "200 OK" 'HEAD /module1 HTTP/1.0'
    check "has its length" grep -q 'Content-Length: 64' <<<"$output"
    check "two on a connection" answers "200 OK" 'GET /module0 HTTP/1.1' '' 'GET /none HTTP/1.0'
    check "the second is not there" grep -q '404 Not Found' <<<"$output"
    for path in /../key /./module1 / /%2e%2e/key "$work/key"; do
        check "not $path" answers "404" "GET $path HTTP/1.0"
    done
    check "no other method" answers "501" 'POST /module1 HTTP/1.0'
    busy_port
    check "an address that is not ours" refuses "Cannot assign" deploy/netboot/web.py "$work/folder" 192.0.2.1 8080
    check "a port that is none" refuses "port 99999" deploy/netboot/web.py "$work/folder" 127.0.0.1 99999
}

lists
folders
configuration
web
finish
