#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tcc and gcc build programs in the node, which then run there.
export LC_ALL=C

cat >hello.c <<'END'
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    printf("hello, %s, from %s\n", count > 1 ? arguments[1] : "world", strrchr(arguments[0], '/') + 1);
    return count;
}
END
cat >threads.c <<'END'
#include <math.h>
#include <pthread.h>
#include <stdio.h>

static double results[4];

static void *compute(void *argument)
{
    long number = (long)argument;
    for (int i = 1; i < 200000; i++)
        results[number] += sin(i * 0.001) / i * (number + 1);
    return NULL;
}

int main(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, compute, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        printf("%.9f\n", results[i]);
    return 0;
}
END
# One function each in 40 files, called by a main of its own.
{
    for i in $(seq 40); do echo "int f$i(int);"; done
    echo '#include <stdio.h>'
    echo 'int main(void) { int x = 1;'
    for i in $(seq 40); do
        echo "int f$i(int x) { return (x * $i + 17) % 10007; }" >"part$i.c"
        echo "x = f$i(x);"
    done
    printf '%s\n' 'printf("%d\n", x); return 0; }'
} >parts.c

echo "== tcc"
tcc -o hello-tcc hello.c && ./hello-tcc tcc
echo "status $?"
echo 'int main(void) { return 42; }' | tcc -run -
echo "status $?"
tcc -run hello.c run | sed 's/from .*/from memory/'
tcc -c part*.c parts.c && tcc -o parts-tcc part*.o && ./parts-tcc
echo 'int main(void) { return undeclared; }' | tcc - 2>&1 | head -n 1

echo "== gcc"
gcc -O2 -Wall -o hello-gcc hello.c && ./hello-gcc gcc
echo "status $?"
gcc -static -o hello-static hello.c && ./hello-static static
gcc -O2 -pthread -o threads threads.c -lm && ./threads
rm -f part*.o
cat >Makefile <<'END'
objects = $(patsubst %.c,%.o,$(wildcard part*.c))
parts-gcc: $(objects)
	@gcc -o $@ $^
%.o: %.c
	@gcc -O1 -c -o $@ $<
END
make -s -j 4 && ./parts-gcc
gcc -g -shared -fPIC -o libpart.so part1.c && nm -D libpart.so | grep ' T ' | cut -d ' ' -f 2-
gcc -S -O1 -o - part1.c | grep -c ret
echo 'int main(void) { return undeclared; }' | gcc -x c - 2>&1 | grep -c 'undeclared'
ar rc library.a part2.o part3.o && ar t library.a
size hello-gcc | tail -n 1 | awk '{ print $1 > 1000 }'
objdump -d part4.o | grep -c 'ret'
gcc -O2 -c -o first.o hello.c && gcc -O2 -c -o second.o hello.c && cmp first.o second.o && echo "the same each time"
