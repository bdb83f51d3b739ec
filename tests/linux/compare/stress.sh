#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Short runs of stress-ng, each with a number of operations and checking of its own results. STRESS_OPS
# multiplies that number.
export LC_ALL=C
factor=${STRESS_OPS:-1}

stress() {
    local name=$1 workers=$2 operations=$(($3 * factor))
    shift 3
    if stress-ng --quiet --verify --temp-path . --timeout 120 "--$name" "$workers" "--$name-ops" "$operations" "$@" \
        >log 2>&1; then
        echo "$name passed"
    else
        echo "$name: status $?"
        cat log
    fi
}

stress cpu 2 40
stress vm 2 2000 --vm-bytes 16M
stress fork 2 300
stress vfork 2 300
stress clone 1 200
stress pthread 2 500
stress exec 2 30
stress pipe 2 20000
stress signal 2 20000
stress sigsegv 2 2000
stress sigfpe 1 500
stress sigq 2 5000
stress sigsuspend 1 1000
stress kill 1 5000
stress futex 2 10000
stress mmap 2 100 --mmap-bytes 4M
stress mremap 1 50 --mremap-bytes 4M
stress mprotect 1 2000
stress madvise 1 50
stress brk 1 20000
stress stack 1 20
stress switch 2 20000
stress sem 2 20000
stress sem-sysv 2 5000
stress mq 2 5000
stress msg 2 10000
stress shm 1 10
stress eventfd 2 10000
stress epoll 1 200
stress poll 1 2000
stress timer 1 500
stress timerfd 1 500
stress itimer 1 200
stress sock 2 200
stress sockpair 1 5000
stress udp 2 500
stress inotify 1 5
stress flock 2 2000
stress dup 1 2000
stress dentry 1 200
stress getdent 1 50
stress hdd 1 200 --hdd-bytes 4M
stress seek 1 500 --hdd-bytes 4M
stress splice 1 500
stress sendfile 1 50
stress matrix 1 100
stress qsort 1 2
stress yield 2 20000
stress nanosleep 2 200
stress procfs 1 20
stress userfaultfd 1 20
