#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# strace: system calls with their arguments and results, of children and threads, signals, and what it
# attaches to. Process numbers and addresses are left out.
# A variable in single quotes is that of the traced shell.
# shellcheck disable=SC2016
export LC_ALL=C

clean() {
    sed -e 's/^[0-9]* *//' -e 's/si_pid=[0-9]*/si_pid=N/g' -e 's/0x[0-9a-f]*/ADDRESS/g' \
        -e 's/, \([a-z_]*time\|NULL\)=[^,]*//g' -e 's/ \{2,\}/ /g'
}

echo "== a program"
echo "some contents" >file
strace -o log -e trace=openat,read,write,close cat file
grep -A 5 '"file"' log | clean
strace -o log -e trace=write,exit_group sh -c 'echo one; echo two; exit 4'
echo "status $?"
clean <log
strace -o log -e trace=execve /bin/echo argument >/dev/null
clean <log | sed 's/ADDRESS.*vars/ENVIRONMENT/; s/ADDRESS/ENVIRONMENT/; s/, ENVIRONMENT.*/)/'

echo "== errors and signals"
strace -o log -e trace=openat,rmdir sh -c 'rmdir /nonexistent; cat </nonexistent' 2>/dev/null
grep nonexistent log | clean
strace -o log -e trace=none -e signal=all sh -c 'trap : USR1; kill -USR1 $$; kill -TERM $$'
clean <log | sed 's/si_uid=[0-9]*/si_uid=N/'
strace -o log -e trace=none sh -c 'kill -SEGV $$'
clean <log | tail -n 1

echo "== children"
strace -f -o log -e trace=execve,exit_group sh -c '/bin/true; /bin/false; (exit 5) | /bin/cat'
# Lines of several processes may be split.
grep -o 'execve("[^"]*"' log | sort
grep -o 'exit_group([0-9]*' log | sort
strace -f -c -o log -e trace=clone,fork,vfork,wait4 sh -c 'for i in 1 2 3; do /bin/true; done'
awk '$NF == "wait4" { print "wait4", ($4 >= 3) }' log

echo "== threads"
cat >threads.py <<'END'
import os, threading
threads = [threading.Thread(target=lambda n=n: os.write(1, b"thread %d\n" % n)) for n in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
END
strace -f -o log -e trace=write python3 threads.py >/dev/null
grep -o 'write(1, "thread [0-9]\\n", 9' log | sort
awk '{ print $1 }' log | sort -u | wc -l

echo "== attached"
sh -c 'while [ ! -e stop ]; do sleep 0.1; done; echo "it goes on"; exit 6' &
process=$!
sleep 0.3
timeout 2 strace -f -o log -p $process -e trace=execve >/dev/null 2>&1
grep -c 'execve("[a-z/]*sleep"' log | awk '{ print "saw it sleep", ($1 >= 3) }'
touch stop
wait $process
echo "status $?"
strace -o log -e inject=getppid:retval=4711 sh -c 'echo $PPID' | head -n 1
strace -e inject=write:error=ENOSPC:when=1 sh -c 'echo lost' 2>/dev/null
echo "status $?"
