# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2016 # much here is the node's to expand
#
# What the tests share in which one process, `wander` (wander.c), goes from node to node. A test sets
# `name` first.

# shellcheck source=tests/cluster/network/common.sh
. tests/cluster/network/common.sh
# shellcheck disable=SC2034 # for who reads this
wander=${CORVUS_BUILD:-build}/tests/cluster/wander

# shell N SCRIPT: a script on node N.
shell() {
    node "$1" sh -c "$2"
}

# begin_wandering MIB [SECONDS]: on node 1, of which the others' clocks may differ by so much; `pid` becomes its process number, and its parent writes its status.
begin_wandering() {
    shell 1 "rm -f /tmp/out /tmp/err /tmp/pid /tmp/status
        (/tmp/wander $1 0 ${2-0} >/tmp/out 2>/tmp/err & echo \$! >/tmp/pid; wait \$!; echo \$? >/tmp/status
        ) </dev/null >/dev/null 2>&1 &"'
        until [ -s /tmp/out ]; do sleep 0.1; done; cat /tmp/pid' || return 1
    pid=${output//[^0-9]/}
    [ -n "$pid" ]
}

# came N: it has come to round N, as its output on node 1 says.
came() {
    node 1 tail -n 1 /tmp/out
    round=${output%% *}
    round=${round//[^0-9]/}
    [ -n "$round" ] && [ "$round" -ge "$1" ]
}

# goes_on: it comes some rounds further.
goes_on() {
    came 0 || return 1
    within 100 came $((round + 9))
}

# moves N NODE: from node N it is told to go to that one.
moves() {
    node "$1" corvus migrate "$pid" "$2"
}

# listed N TEXT: `corvus ps` there has a line of it with the text; unlisted N: it has none.
listed() {
    node "$1" corvus ps
    grep "^ *$pid " <<<"$output" | grep -q "$2"
}
unlisted() {
    node "$1" corvus ps && ! grep -q "^ *$pid " <<<"$output"
}

there_on() {
    node "$1" test -d "/proc/$pid"
}
gone_on() {
    ! there_on "$1"
}

# ends_well: told to end it does, with status 0, which its parent hears, and without a complaint; its
# output has each round once, in order: what two of it had written would be there twice.
ends_well() {
    shell 1 "kill -USR1 $pid"
    within 100 shell 1 'test -s /tmp/status' || return 1
    shell 1 'cat /tmp/err; grep -qx 0 /tmp/status' || return 1
    shell 1 'awk "\$1 != NR && \$1 != \"all\" { print; exit 1 }" /tmp/out'
}

# as_unmoved MIB: its output is that of one that was not moved.
as_unmoved() {
    cluster_seconds=600 shell 1 "n=\$(grep -c -v all /tmp/out)
        /tmp/wander $1 \$n >/tmp/expected && cmp /tmp/out /tmp/expected"
}
