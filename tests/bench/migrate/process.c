// SPDX-License-Identifier: BSD-2-Clause
// The Linux half of tests/bench/migrate, a static program for both nodes.
//
//   process resident MIB          the process that moves: fills so much memory, writes `ready`,
//   then does what
//                                 lines on its standard input want:
//     faults COUNT                touches so many pages far from each other: the nanoseconds of
//     each touch scattered|inorder COUNT     touches so many pages end
//   process move PID NODE eager|lazy  moves it, and says when what happened (move.c)
//   process echo NODE COUNT           null RPCs with that node's migration driver, in nanoseconds
//   process pages NODE MOVE           what has come of the memory of that move, on its target
//
// It prints lines of a name and numbers; at an error one line on standard error, and ends with 1.
#include "tests/bench/migrate/process.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE        4096ul
#define PAGES_A_MIB 256ul
// Pages from one fault to the next: above what is read ahead, and of another page table each.
#define FAR 521ul

// A page's first word, which tells it from all others and from one that is empty.
#define MARK(page) ((page)*0x9e3779b97f4a7c15ul + 1)

struct memory {
    uint64_t *words;
    unsigned long pages;
};

_Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "process: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

unsigned long number_of(const char *text, unsigned long most)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || number == 0 || number > most) {
        errno = EINVAL;
        give_up(text);
    }
    return number;
}

// --- Memory --------------------------------------------------------------------------------------

static struct memory filled(unsigned long mebibytes)
{
    struct memory memory = {.pages = mebibytes * PAGES_A_MIB};
    void *address =
        mmap(NULL, memory.pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (address == MAP_FAILED)
        give_up("memory");
    memory.words = address;
    for (unsigned long page = 0; page < memory.pages; page++)
        memory.words[page * PAGE / sizeof(uint64_t)] = MARK(page);
    return memory;
}

// Nanoseconds that it took to read a page.
static uint64_t touch(const struct memory *memory, unsigned long page)
{
    uint64_t begin = now();
    uint64_t word = ((volatile uint64_t *)memory->words)[page * PAGE / sizeof(uint64_t)];

    if (word != MARK(page)) {
        errno = EIO;
        give_up("a page is not what it was");
    }
    return now() - begin;
}

// The times are told when all have been taken, since telling is a message, too.
static void faults(const struct memory *memory, unsigned long count)
{
    uint64_t *times = calloc(count, sizeof *times);

    if (times == NULL)
        give_up("memory");
    for (unsigned long i = 0; i < count; i++)
        times[i] = touch(memory, (i + 1) * FAR % memory->pages);
    for (unsigned long i = 0; i < count; i++)
        printf("fault %llu\n", (unsigned long long)times[i]);
    free(times);
}

// Scattered: the first of a shuffling of all pages, by a generator whose seed is fixed.
static void touch_scattered(const struct memory *memory, unsigned long count)
{
    unsigned long *order = calloc(memory->pages, sizeof *order);
    uint64_t random = 1;

    if (order == NULL)
        give_up("memory");
    for (unsigned long i = 0; i < memory->pages; i++)
        order[i] = i;
    for (unsigned long i = 0; i < count; i++) {
        random = random * 6364136223846793005ul + 1442695040888963407ul;
        unsigned long other = i + (unsigned long)(random >> 33) % (memory->pages - i);
        unsigned long page = order[other];
        order[other] = order[i];
        (void)touch(memory, page);
    }
    free(order);
}

static void touch_in_order(const struct memory *memory, unsigned long count)
{
    for (unsigned long page = 0; page < count; page++)
        (void)touch(memory, page);
}

static void resident(unsigned long mebibytes)
{
    struct memory memory = filled(mebibytes);
    char line[64], word[32];
    unsigned long count = 0;

    printf("ready %d\n", (int)getpid());
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
        if (sscanf(line, "faults %lu", &count) == 1 && count >= 1 && count <= memory.pages) {
            faults(&memory, count);
        } else if (sscanf(line, "touch %31s %lu", word, &count) == 2 && count <= memory.pages) {
            (strcmp(word, "scattered") == 0 ? touch_scattered : touch_in_order)(&memory, count);
        } else {
            errno = EINVAL;
            give_up(line);
        }
        printf("done\n");
    }
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 3 && strcmp(words[1], "resident") == 0)
        resident(number_of(words[2], 65536));
    else if (count == 5 && strcmp(words[1], "move") == 0)
        ask_move((int)number_of(words[2], 1ul << 22), (unsigned)number_of(words[3], 254),
                 strcmp(words[4], "eager") == 0);
    else if (count == 4 && strcmp(words[1], "echo") == 0)
        ask_echo((unsigned)number_of(words[2], 254), (unsigned)number_of(words[3], 1000000));
    else if (count == 4 && strcmp(words[1], "pages") == 0)
        ask_pages((unsigned)number_of(words[2], 254), number_of(words[3], -1ul));
    else {
        (void)fputs("usage: process resident MIB | move PID NODE eager|lazy | echo NODE COUNT | "
                    "pages NODE MOVE\n",
                    stderr);
        return 2;
    }
    return EXIT_SUCCESS;
}
