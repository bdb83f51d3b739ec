#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# gdb: a breakpoint in another process, threads, signals, core dumps, and gdbserver.
# Addresses and process numbers are left out.
# Variables in single quotes are gdb's.
# shellcheck disable=SC2016
export LC_ALL=C

clean() {
    grep -v -e '^\[' -e '^warning:' -e debuginfod -e libthread_db -e '^$' -e '^Reading' -e 'syscall' |
        sed -e 's/0x[0-9a-f]*/ADDRESS/g' -e 's/LWP [0-9]*/LWP N/g' -e 's/process [0-9]*/process N/g' \
            -e 's/Thread [0-9]*/Thread N/g' -e "s@$PWD/@@g" -e 's/pid [0-9]*/pid N/g' \
            -e 's/ \{2,\}/ /g'
}

debug() {
    gdb -nx -q -batch -iex 'set debuginfod enabled off' -iex 'set pagination off' "$@" 2>&1 </dev/null | clean
}

cat >program.c <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct point {
    int x, y;
    double weight;
};
volatile int counter, go;
struct point place = {3, 4, 2.5};

int work(int number, const char *name)
{
    counter += number;
    return counter * 2 + name[0];
}

static void *run(void *argument)
{
    for (int i = 0; i < 3; i++)
        work((int)(long)argument, "thread");
    return NULL;
}

int main(int count, char **arguments)
{
    int sum = 0;
    if (count > 1 && arguments[1][0] == 'w')
        while (!go)
            usleep(10000);
    if (count > 1 && arguments[1][0] == 't') {
        pthread_t thread;
        pthread_create(&thread, NULL, run, (void *)100l);
        pthread_join(thread, NULL);
    }
    if (count > 1 && arguments[1][0] == 'c')
        *(volatile int *)0x10 = place.x;
    for (int i = 1; i <= 3; i++)
        sum += work(i, "main");
    printf("sum %d\n", sum);
    return counter;
}
END
gcc -g -O0 -static -pthread -o program program.c

echo "== breakpoints"
debug program -ex 'break work' -ex run -ex 'info args' -ex backtrace -ex continue -ex 'print counter' \
    -ex 'print place' -ex finish -ex 'delete' -ex continue
debug program -ex 'break work if number == 3' -ex run -ex 'print number' -ex 'print counter' -ex kill
debug program -ex 'tbreak main' -ex run -ex next -ex next -ex step -ex 'info line' -ex 'info frame' -ex kill |
    grep -v -e ADDRESS

echo "== another process"
./program w >output &
process=$!
sleep 0.5
debug -p $process program -ex 'break work' -ex 'set var go = 1' -ex continue -ex backtrace \
    -ex 'print name' -ex 'set var number = 50' -ex 'delete' -ex detach | grep -v -e nanosleep -e '^Attach'
wait $process
echo "status $?"
cat output

echo "== watchpoints without the processor's help"
debug program -ex 'set can-use-hw-watchpoints 0' -ex 'tbreak main' -ex run -ex 'watch counter if counter > 1' \
    -ex continue -ex kill

echo "== threads"
debug -ex 'break work' -ex run -ex 'print number' -ex backtrace -ex 'thread apply all -q print counter' \
    -ex 'delete' -ex continue --args program t

echo "== registers"
debug program -ex 'break work' -ex run -ex 'print $rdi == 1 || 1' -ex 'print $cs' -ex 'print/x $eflags & 2' \
    -ex 'print $fs_base != 0' -ex 'set $rax = 7' -ex 'print $rax' -ex 'print $xmm0.uint128 = 5' \
    -ex 'print $xmm0.uint128' -ex 'print $ymm0.v8_int32[7] = 9' -ex 'print $ymm0.v8_int32' \
    -ex 'print $mxcsr' -ex delete -ex 'print (int)work(1, "called")' -ex kill

echo "== signals and crashes"
debug -ex run -ex 'print $_siginfo.si_signo' -ex 'print $_siginfo._sifields._sigfault.si_addr' \
    -ex backtrace -ex kill --args program c
debug program -ex 'handle SIGUSR1 nostop print pass' -ex 'break work' -ex run -ex 'signal SIGUSR1'

echo "== core"
if grep -q '^core' /proc/sys/kernel/core_pattern; then
    (ulimit -c unlimited && ./program c) 2>/dev/null
    debug program "$(echo core*)" -ex backtrace -ex 'print place' -ex 'print counter' -ex 'info threads' |
        grep -v -e '^Core was generated'
else
    echo "core dumps go elsewhere"
fi

echo "== gdbserver"
gdbserver --once localhost:4711 ./program >server 2>&1 &
for _ in $(seq 50); do
    if grep -q Listening server; then break; fi
    sleep 0.1
done
debug program -ex 'target remote localhost:4711' -ex 'break work' -ex continue -ex 'print number' -ex 'delete' \
    -ex continue
wait
grep sum server
