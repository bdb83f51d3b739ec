#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A node with the mirror at Linux's Ethernet port, for ethernet.sh and by hand.
#
#   tests/linux/ethernet/machine.sh FOLDER up [BOOT-OPTION…]
#   tests/linux/ethernet/machine.sh FOLDER exec COMMAND…
#   tests/linux/ethernet/machine.sh FOLDER cp FILE… 1:PATH
#   tests/linux/ethernet/machine.sh FOLDER down
#
# State is kept in FOLDER; sockets there need a short path.
set -eu

cd "$(dirname "$0")/../../.."
build=${CORVUS_BUILD:-build}
state=$1
command=$2
shift 2

process_of() {
    local process
    read -r process _ 2>/dev/null <"$state/$1.pid" && kill -0 "$process" 2>/dev/null && echo "$process"
}

up() {
    local tries=900 machine
    rm -rf "$state"
    mkdir -p "$state"
    setsid deploy/boot.sh --modules "$build/tests/linux/ethernet.modules" --append node=1 \
        --serial "$state/log" --agent "$state/channel" --qmp "$state/qmp" \
        --pid-file "$state/machine.pid" "$@" \
        </dev/null >"$state/qemu" 2>&1 &
    machine=$!
    setsid deploy/agent/main.py serve "$state/channel" "$state/agent" \
        </dev/null >"$state/server" 2>&1 &
    echo $! >"$state/server.pid"
    while [ ! -e "$state/agent" ]; do
        if ! kill -0 "$machine" 2>/dev/null || [ "$tries" -eq 0 ]; then
            tail -n 20 "$state/log" "$state/qemu" >&2
            down
            exit 1
        fi
        tries=$((tries - 1))
        sleep 0.1
    done
}

down() {
    local name process
    for name in machine server; do
        process=$(process_of "$name") || continue
        kill "$process" 2>/dev/null || true
    done
}

case $command in
up) up "$@" ;;
exec) exec deploy/agent/main.py exec "$state/agent" -- "$@" ;;
cp) exec deploy/agent/main.py copy "$state/agent" "$@" ;;
down) down ;;
*) exit 2 ;;
esac
