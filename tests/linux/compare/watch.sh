#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# gdb's watchpoints and breakpoints in the processor's debug registers. Addresses and process numbers are
# left out.
export LC_ALL=C

clean() {
    grep -v -e '^\[' -e '^warning:' -e debuginfod -e libthread_db -e '^$' -e '^Reading' -e 'syscall' \
        -e 'no longer in the thread list' |
        sed -e 's/0x[0-9a-f]*/ADDRESS/g' -e 's/LWP [0-9]*/LWP N/g' -e 's/process [0-9]*/process N/g' \
            -e 's/Thread [0-9]*/Thread N/g' -e "s@$PWD/@@g" -e 's/pid [0-9]*/pid N/g' \
            -e 's/ \{2,\}/ /g'
}

debug() {
    gdb -nx -q -batch -iex 'set debuginfod enabled off' -iex 'set pagination off' "$@" 2>&1 </dev/null | clean
}

cat >program.c <<'END'
#include <pthread.h>
#include <stdio.h>

volatile int counter, wanted = 3, other;

int work(int number)
{
    counter += number;
    return counter;
}

static void *run(void *argument)
{
    work((int)(long)argument);
    return NULL;
}

int main(int count, char **arguments)
{
    int sum = 0;
    if (count > 1) {
        pthread_t thread;
        pthread_create(&thread, NULL, run, (void *)100l);
        pthread_join(thread, NULL);
    }
    for (int i = 1; i <= wanted; i++)
        sum += work(i);
    other = sum;
    printf("sum %d\n", sum);
    return counter;
}
END
gcc -g -O0 -static -pthread -o program program.c

echo "== written"
debug program -ex 'watch counter' -ex run -ex continue -ex continue -ex continue -ex continue
echo "== read and accessed"
debug program -ex 'tbreak main' -ex run -ex 'rwatch wanted' -ex 'awatch other' -ex 'info watchpoints' \
    -ex continue -ex 'delete 2' -ex continue -ex continue
echo "== executed"
debug program -ex 'tbreak main' -ex run -ex 'hbreak work' -ex continue -ex 'print number' -ex continue \
    -ex 'print number' -ex kill
echo "== by one thread"
debug -ex 'break work' -ex run -ex 'watch counter thread 2' -ex 'delete 1' -ex continue -ex continue --args program t
