#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TAP: logins by ssh over the loopback device, to the server that the system started, with a key of our
# own. Run in the machine by run.sh.

# enter OPTION… COMMAND: as root. -y -y: no host key is known yet, none need be.
enter() {
    dbclient -y -y -i ~/.ssh/key "$@" 2>~/.ssh/messages
}

number=0

# verdict NAME TEXT GOT EXPECTED
verdict() {
    number=$((number + 1))
    if [ "$3" = "$4" ]; then
        echo "ok $number - $1: $2"
    else
        sed 's/^/# /' ~/.ssh/messages
        printf '# %q is not %q\n' "$3" "$4"
        echo "not ok $number - $1: $2"
    fi
}

umask 077
mkdir -p ~/.ssh
rm -f ~/.ssh/*
echo 1..4
dropbearkey -t ed25519 -f ~/.ssh/key 2>/dev/null | grep '^ssh-' >~/.ssh/authorized_keys
verdict command "a command's input, output and status" \
    "$(echo "through the channel" | enter root@127.0.0.1 'cat; id -un; exit 7'; echo $?)" \
    $'through the channel\nroot\n7'
verdict terminal "a terminal of its own" \
    "$(python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' \
        dbclient -y -y -t -i ~/.ssh/key root@127.0.0.1 tty </dev/null 2>~/.ssh/messages |
        tr -d '\r' | grep -c '^/dev/pts/[0-9]*$')" 1
verdict volume "4 MB there and back" \
    "$(seq 1000000 | head -c 4000000 | enter root@127.0.0.1 cat | sha256sum)" \
    "$(seq 1000000 | head -c 4000000 | sha256sum)"
rm ~/.ssh/authorized_keys
verdict no_key "nobody comes in without the key" \
    "$(enter root@127.0.0.1 'echo in' </dev/null)$(grep -c 'No auth methods' ~/.ssh/messages)" 1
