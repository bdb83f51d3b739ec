#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Short runs of stress-ng, each of which checks its own results. One ends after STRESS_SECONDS, or earlier
# after a number of operations; having done none is a failure, too.
export LC_ALL=C
seconds=${STRESS_SECONDS:-2}

# stress NAME WORKERS OPERATIONS [OPTION…]
stress() {
    local name=$1 workers=$2 operations=$3 status
    shift 3
    rm -f metrics
    stress-ng --quiet --metrics --yaml metrics --verify --temp-path . --timeout "$seconds" \
        "--$name" "$workers" "--$name-ops" "$operations" "$@" >log 2>&1
    status=$?
    if [ "$status" -eq 0 ] && awk '$1 == "bogo-ops:" { done += $2 } END { exit done == 0 }' metrics; then
        echo "$name passed"
    else
        echo "$name: status $status"
        cat log metrics
    fi
}

# What processors and memory do.
stress cpu 2 40
stress matrix 1 100
stress vm 2 2000 --vm-bytes 4M
stress mmap 2 4 --mmap-bytes 1M
stress mremap 1 10 --mremap-bytes 1M
stress mprotect 1 2000
stress brk 1 5000
stress shm 1 2 --shm-bytes 1M --shm-objs 2
# Processes, threads and signals.
stress fork 2 100
stress vfork 2 100
stress pthread 2 100
stress signal 2 5000
stress sigsegv 2 500
stress sigfpe 1 300
stress sigq 2 2000
stress kill 1 2000
stress itimer 1 100
stress timerfd 1 100
# What they tell each other.
stress futex 2 2000
stress switch 2 2000
stress pipe 2 5000
stress sem-sysv 2 2000
stress mq 2 2000
stress msg 2 5000
stress eventfd 2 2000
stress epoll 1 50
stress poll 1 500
stress sock 2 50
stress sockpair 1 500
stress udp 2 100
# Files.
stress inotify 1 1
stress flock 2 500
stress dentry 1 100
stress hdd 1 100 --hdd-bytes 2M
stress seek 1 200 --hdd-bytes 1M
stress splice 1 200
stress sendfile 1 20
