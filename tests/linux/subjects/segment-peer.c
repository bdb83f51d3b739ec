// SPDX-License-Identifier: BSD-2-Clause
// One of two programs on two nodes that share a segment, an ordinary POSIX program.
//
//   segment-peer fill FILE PAGES NUMBER    page n holds NUMBER + n everywhere
//   segment-peer check FILE PAGES NUMBER   says how many pages do not
//   segment-peer add FILE COUNT            adds one to the first word, COUNT times, from when it is
//   not 0 segment-peer steps FILE COUNT FIRST    takes turns with another one: writes every second
//   number segment-peer hold FILE                 keeps it mapped, and says every second what it
//   reads
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_WORDS (4096 / sizeof(uint64_t))

static sigjmp_buf after_fault;

static void fail(const char *what)
{
    fprintf(stderr, "segment-peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static volatile uint64_t *map_file(const char *path, size_t pages, int make)
{
    int file = open(path, O_RDWR | (make ? O_CREAT : 0), 0600);
    volatile uint64_t *map;

    if (file < 0 || (make && ftruncate(file, (off_t)pages * 4096) != 0))
        fail(path);
    map = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        fail("mmap");
    return map;
}

static void fill(volatile uint64_t *map, size_t pages, uint64_t number)
{
    for (size_t page = 0; page < pages; page++)
        for (size_t i = 0; i < PAGE_WORDS; i++)
            map[page * PAGE_WORDS + i] = number + page;
    printf("filled\n");
}

static void check(volatile uint64_t *map, size_t pages, uint64_t number)
{
    size_t wrong = 0;

    for (size_t page = 0; page < pages; page++) {
        size_t i = 0;

        while (i < PAGE_WORDS && map[page * PAGE_WORDS + i] == number + page)
            i++;
        wrong += i != PAGE_WORDS;
    }
    printf("%zu of %zu pages are wrong\n", wrong, pages);
}

static void add(volatile uint64_t *map, uint64_t count)
{
    while (map[PAGE_WORDS] == 0)
        usleep(1000);
    for (uint64_t i = 0; i < count; i++)
        __atomic_fetch_add(map, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(map + 2 * PAGE_WORDS, 1, __ATOMIC_SEQ_CST);
    while (map[2 * PAGE_WORDS] != 2)
        usleep(10000);
    printf("%llu\n", (unsigned long long)map[0]);
}

static void steps(volatile uint64_t *map, uint64_t count, uint64_t first)
{
    for (uint64_t i = first; i < count; i += 2) {
        while (map[0] != i)
            ;
        map[0] = i + 1;
    }
    printf("done\n");
}

static void faulted(int signal)
{
    siglongjmp(after_fault, signal);
}

static void hold(volatile uint64_t *map)
{
    signal(SIGBUS, faulted);
    for (;;) {
        if (sigsetjmp(after_fault, 1) != 0)
            printf("SIGBUS\n");
        else
            printf("%llu\n", (unsigned long long)map[0]);
        fflush(stdout);
        sleep(1);
    }
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";
    uint64_t first = count > 3 ? strtoull(words[3], NULL, 10) : 0;
    uint64_t second = count > 4 ? strtoull(words[4], NULL, 10) : 0;

    if (strcmp(what, "fill") == 0)
        fill(map_file(words[2], first, 1), first, second);
    else if (strcmp(what, "check") == 0)
        check(map_file(words[2], first, 0), first, second);
    else if (strcmp(what, "add") == 0)
        add(map_file(words[2], 3, 1), first);
    else if (strcmp(what, "steps") == 0)
        steps(map_file(words[2], 1, 1), first, second);
    else if (strcmp(what, "hold") == 0)
        hold(map_file(words[2], 1, 1));
    else
        return 2;
    return 0;
}
