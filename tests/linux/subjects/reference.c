// SPDX-License-Identifier: BSD-2-Clause
// Memory on reference (include/corvus/migrate.h, MIGRATE_PAGES_MAP): one process has memory with
// contents that can be computed, another gets it on reference, uses it, and checks what it sees.
//
//   reference source MIB               fills it, prints "ready", and waits
//   reference CASE NODE PID MIB        a case of `cases` below; prints figures, or what was wrong
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/corvus/migrate.h"

#define BASE   ((uint8_t *)0x200000000)
#define PAGE   4096ul
#define REGION (512 * PAGE)
#define WORDS  (PAGE / sizeof(uint64_t))

static size_t pages;
static int device;
static struct migrate_pages_map map;
static struct migrate_pages_status before; // of all, when nothing was mapped

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        printf(__VA_ARGS__);                                                                       \
        printf(" (line %d)\n", __LINE__);                                                          \
        exit(1);                                                                                   \
    } while (0)

// --- Contents -----------------------------------------------------------------------------------

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 31) * 0x9e3779b97f4a7c15;
    value = (value ^ value >> 29) * 0xbf58476d1ce4e5b9;
    return value ^ value >> 32;
}

// Some pages have never been touched, some are written with zeros.
static bool is_zero(size_t page)
{
    return page % 7 == 3 || page % 11 == 5;
}

static uint64_t word_of(size_t page, size_t word)
{
    return is_zero(page) ? 0 : mix(page * WORDS + word + 1);
}

static volatile uint64_t *at(const uint8_t *base, size_t page)
{
    return (volatile uint64_t *)(base + page * PAGE);
}

static void fill(void)
{
    for (size_t page = 0; page < pages; page++)
        for (size_t word = 0; page % 7 != 3 && word < WORDS; word++)
            at(BASE, page)[word] = word_of(page, word);
}

// One word tells the page; every so often all are looked at.
static void check_at(const uint8_t *base, size_t place, size_t page)
{
    size_t step = page % 16 == 0 ? 1 : WORDS - 1;

    for (size_t word = 0; word < WORDS; word += step)
        if (at(base, place)[word] != word_of(page, word))
            FAIL("page %zu word %zu: %llx in place of %llx", page, word,
                 (unsigned long long)at(base, place)[word],
                 (unsigned long long)word_of(page, word));
}

static void check(size_t page)
{
    check_at(BASE, page, page);
}

static void check_value(size_t page, uint64_t value)
{
    if (at(BASE, page)[0] != value)
        FAIL("page %zu: %llx in place of %llx", page, (unsigned long long)at(BASE, page)[0],
             (unsigned long long)value);
}

static void check_all(void)
{
    for (size_t page = 0; page < pages; page++)
        check(page);
}

// Each number once, in no order.
static size_t *shuffled(uint64_t seed)
{
    size_t *order = calloc(pages, sizeof *order);

    if (order == NULL)
        FAIL("no memory");
    for (size_t i = 0; i < pages; i++)
        order[i] = i;
    for (size_t i = pages - 1; i > 0; i--) {
        size_t other = mix(seed + i) % (i + 1);
        size_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    return order;
}

static void *mapping(void *place, size_t bytes)
{
    void *memory =
        mmap(place, bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (place ? MAP_FIXED : 0), -1, 0);

    if (memory == MAP_FAILED)
        FAIL("mmap: %s", strerror(errno));
    return memory;
}

static struct migrate_pages_status status(uint64_t number)
{
    struct migrate_pages_status status = {.node = map.node, .number = number};

    if (ioctl(device, (unsigned)MIGRATE_PAGES_STATUS, &status) != 0 && errno != ESRCH)
        FAIL("status: %s", strerror(errno));
    return status;
}

static void print_status(const char *what)
{
    struct migrate_pages_status s = status(map.number);

    printf(
        "# %s: pages %llu regions %llu faults %llu demanded %llu ahead %llu drained %llu came %llu "
        "zero %llu messages %llu unsent %llu lost %llu\n",
        what, (unsigned long long)s.pages, (unsigned long long)s.regions,
        (unsigned long long)s.faults, (unsigned long long)s.demanded, (unsigned long long)s.ahead,
        (unsigned long long)s.drained, (unsigned long long)s.came, (unsigned long long)s.zero,
        (unsigned long long)s.messages, (unsigned long long)s.unsent, (unsigned long long)s.lost);
    fflush(stdout);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// A source that was not filled when it was mapped is a fault of the test; it reads as lost pages
// do. The counts of a source are added when it is over and has been told so.
static void await_all_came(void)
{
    uint64_t wanted = 0, came = 0;

    for (size_t page = 0; page < pages; page++)
        wanted += page % 7 != 3;
    for (double end = now() + 10; now() < end && came != wanted; usleep(10000))
        came = status(0).came - before.came;
    if (came != wanted)
        FAIL("%llu pages came of the %llu that the source was to have", (unsigned long long)came,
             (unsigned long long)wanted);
}

static int wait_drained(void)
{
    struct migrate_pages_wait wait = {.node = map.node, .number = map.number};

    return ioctl(device, (unsigned)MIGRATE_PAGES_WAIT, &wait);
}

// Until the maps of all regions have come.
static void await_maps(void)
{
    for (double end = now() + 60; status(map.number).regions != 0; usleep(10000))
        if (now() > end)
            FAIL("the maps do not come");
}

// --- Cases ---------------------------------------------------------------------------------------

static void case_touch(void)
{
    size_t *order = shuffled(1);

    for (size_t i = 0; i < pages; i++)
        check(order[i]);
    free(order);
}

static void case_write(void)
{
    size_t *order = shuffled(2);

    for (size_t i = 0; i < pages; i++)
        if (i % 2 == 0)
            at(BASE, order[i])[0] = i;
        else
            check(order[i]);
    for (size_t i = 0; i < pages; i++)
        if (i % 2 == 0)
            check_value(order[i], i);
        else
            check(order[i]);
    for (size_t i = 0; i < pages; i += 2)
        for (size_t word = 1; word < WORDS; word++)
            if (at(BASE, order[i])[word] != word_of(order[i], word))
                FAIL("page %zu: what was not written has changed", order[i]);
    free(order);
}

static void reap(pid_t child)
{
    int ended;

    if (waitpid(child, &ended, 0) != child || ended != 0)
        FAIL("the child ended with %x", (unsigned)ended);
}

// At once, when nothing is known yet; then when all is.
static void case_fork(void)
{
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        if (child == 0) {
            size_t *order = shuffled(3);
            for (size_t i = 0; i < pages; i++) {
                if (round == 1 && order[i] % 5 == 0)
                    check_value(order[i], order[i] + 7);
                else
                    check(order[i]);
                at(BASE, order[i])[0] = i;
            }
            for (size_t i = 0; i < pages; i++)
                check_value(order[i], i);
            free(order);
            _exit(0);
        }
        for (size_t page = 0; page < pages; page += 5) {
            if (round == 0)
                check(page);
            at(BASE, page)[0] = page + 7;
        }
        reap(child);
    }
    for (size_t page = 0; page < pages; page++)
        if (page % 5 == 0)
            check_value(page, page + 7);
        else
            check(page);
}

// More users of a slot than a byte counts.
static void case_many(void)
{
    enum { CHILDREN = 80 };
    pid_t children[CHILDREN];
    int go[2];
    char byte;

    if (pipe(go) != 0)
        FAIL("pipe");
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            close(go[1]);
            if (read(go[0], &byte, 1) != 0)
                _exit(2);
            for (size_t page = (size_t)i; page < pages; page += 13)
                check(page);
            _exit(0);
        }
        if (children[i] < 0)
            FAIL("fork: %s", strerror(errno));
    }
    close(go[1]);
    for (int i = 0; i < CHILDREN; i++)
        reap(children[i]);
    check_all();
}

static void holes(bool unmap)
{
    for (size_t page = 5; page + 40 < pages; page += 100) {
        if (unmap) {
            munmap(BASE + page * PAGE, 17 * PAGE);
            mapping(BASE + page * PAGE, 17 * PAGE);
        } else if (madvise(BASE + page * PAGE, 17 * PAGE, MADV_DONTNEED) != 0) {
            FAIL("madvise: %s", strerror(errno));
        }
    }
    size_t *order = shuffled(4);
    for (size_t i = 0; i < pages; i++) {
        size_t page = order[i];
        bool hole = page >= 5 && (page - 5) % 100 < 17 && page - (page - 5) % 100 + 40 < pages;
        if (hole)
            check_value(page, 0);
        else
            check(page);
    }
    free(order);
}

static void case_munmap(void)
{
    holes(true);
}

static void case_dontneed(void)
{
    holes(false);
}

static void case_dontneed_late(void)
{
    await_maps();
    holes(false);
}

static void case_mremap(void)
{
    size_t half = pages / 2;
    uint8_t *place = mapping(NULL, (half + 600) * PAGE);
    uint8_t *moved = mremap(BASE + 3 * PAGE, half * PAGE, (half + 100) * PAGE,
                            MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE);

    if (moved != place + PAGE)
        FAIL("mremap: %s", strerror(errno));
    mapping(BASE + 3 * PAGE, half * PAGE);
    size_t *order = shuffled(5);
    for (size_t i = 0; i < pages; i++) {
        size_t page = order[i];
        if (page >= 3 && page < half + 3) {
            check_at(moved, page - 3, page);
            check_value(page, 0);
        } else {
            check(page);
        }
    }
    for (size_t page = half; page < half + 100; page++)
        if (at(moved, page)[5] != 0)
            FAIL("what the mapping has grown by is not zero");
    free(order);
}

static void case_mlock(void)
{
    unsigned char resident[512];

    if (mlock(BASE, 512 * PAGE) != 0)
        FAIL("mlock: %s", strerror(errno));
    if (mincore(BASE, 512 * PAGE, resident) != 0)
        FAIL("mincore: %s", strerror(errno));
    for (int i = 0; i < 512; i++)
        if (!(resident[i] & 1))
            FAIL("page %d is not there after mlock", i);
    check_all();
}

static void case_willneed(void)
{
    await_maps();
    if (madvise(BASE, pages * PAGE, MADV_WILLNEED) != 0)
        FAIL("madvise: %s", strerror(errno));
    for (double end = now() + 60; status(map.number).came < pages / 2; usleep(10000))
        if (now() > end)
            FAIL("what was asked for does not come");
    uint64_t faults = status(map.number).faults;
    check_all();
    printf("willneed: faults %llu before, %llu after\n", (unsigned long long)faults,
           (unsigned long long)status(map.number).faults);
}

static void case_protect(void)
{
    if (mprotect(BASE, pages / 2 * PAGE, PROT_NONE) != 0)
        FAIL("mprotect: %s", strerror(errno));
    usleep(300000);
    if (mprotect(BASE, pages / 2 * PAGE, PROT_READ | PROT_WRITE) != 0)
        FAIL("mprotect: %s", strerror(errno));
    check_all();
}

static void *toucher(void *context)
{
    size_t *order = shuffled((uintptr_t)context / 2);

    for (size_t i = 0; i < pages; i++)
        check(order[i]);
    free(order);
    return NULL;
}

static void case_threads(void)
{
    pthread_t threads[8];

    for (uintptr_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, toucher, (void *)i);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

// The kernel as who touches.
static void case_system(void)
{
    int pipes[2];
    uint64_t words[WORDS];

    if (pipe(pipes) != 0)
        FAIL("pipe");
    for (size_t page = 0; page < pages; page++) {
        if (write(pipes[1], BASE + page * PAGE, PAGE) != (ssize_t)PAGE ||
            read(pipes[0], words, PAGE) != (ssize_t)PAGE)
            FAIL("page %zu: %s", page, strerror(errno));
        for (size_t word = 0; word < WORDS; word++)
            if (words[word] != word_of(page, word))
                FAIL("page %zu through a pipe", page);
    }
}

static void case_exit(void)
{
    check(1);
}

static void case_drain(void)
{
    double begin = now();

    if (wait_drained() != 0)
        FAIL("wait: %s", strerror(errno));
    struct migrate_pages_status all = status(0);
    printf("drain: %.3f s; of all so far, %llu pages came in %llu messages\n", now() - begin,
           (unsigned long long)all.came, (unsigned long long)all.messages);
    if (status(map.number).pages != 0)
        FAIL("pages are left");
    await_all_came();
    check_all();
}

// With the drain off: a tenth of the pages, alone.
static void case_sparse(void)
{
    size_t *order = shuffled(6);

    await_maps();
    for (size_t i = 0; i < pages / 10; i++)
        check(order[i]);
    struct migrate_pages_status s = status(map.number);
    printf("sparse: touched %zu came %llu of %zu\n", pages / 10, (unsigned long long)s.came, pages);
    if (s.came * 4 > pages)
        FAIL("more than a quarter has come");
    free(order);
}

// With the drain on, and less memory than there are pages: it has to stop by itself.
static void case_short(void)
{
    size_t *order = shuffled(6);

    await_maps();
    for (size_t i = 0; i < pages / 10; i++)
        check(order[i]);
    uint64_t before = status(map.number).pages;
    sleep(5);
    uint64_t left = status(map.number).pages;
    printf("short: %llu pages left, %llu 5 s later\n", (unsigned long long)before,
           (unsigned long long)left);
    if (left == 0)
        FAIL("all has come");
    free(order);
}

static void case_sequential(void)
{
    await_maps();
    double begin = now();
    check_all();
    printf("sequential: %.3f s\n", now() - begin);
}

static void print_sorted(const char *what, double *taken, int count)
{
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && taken[j] < taken[j - 1]; j--) {
            double kept = taken[j];
            taken[j] = taken[j - 1];
            taken[j - 1] = kept;
        }
    printf("%s: p10 %.0f p50 %.0f p99 %.0f us\n", what, taken[count / 10] * 1e6,
           taken[count / 2] * 1e6, taken[count * 99 / 100] * 1e6);
}

// What one fault takes, far from the last, beside a call to the other node that is refused at once.
static void case_latency(void)
{
    enum { FAULTS = 200 };
    double faults[FAULTS], calls[FAULTS];

    await_maps();
    for (size_t i = 0; i < FAULTS; i++) {
        size_t page = i * 7919 % pages;
        struct migrate_pages_map none = map;
        none.pid = -1;
        while (is_zero(page))
            page++;
        double begin = now();
        (void)at(BASE, page)[0];
        faults[i] = now() - begin;
        begin = now();
        if (ioctl(device, (unsigned)MIGRATE_PAGES_MAP, &none) == 0 || errno != ESRCH)
            FAIL("a process that is not there is served");
        calls[i] = now() - begin;
    }
    print_sorted("fault", faults, FAULTS);
    print_sorted("call", calls, FAULTS);
}

// The other node goes: `gone` is printed, and who reads makes it so.
static sigjmp_buf back;

static void on_bus(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static void case_dead(void)
{
    size_t there = pages / 4;
    volatile size_t lost = 0, kept = 0;
    char byte;

    signal(SIGBUS, on_bus);
    await_maps();
    for (size_t page = 0; page < there; page++)
        check(page);
    printf("gone?\n");
    fflush(stdout);
    if (read(0, &byte, 1) != 1)
        FAIL("nothing read");
    for (volatile size_t page = 0; page < pages; page++) {
        if (sigsetjmp(back, 1) != 0) {
            lost++;
            if (page < there)
                FAIL("page %zu is lost although it was here", page);
            continue;
        }
        check(page);
        kept++;
    }
    printf("dead: kept %zu lost %zu\n", kept, lost);
    if (lost == 0)
        FAIL("nothing was lost");
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"touch", case_touch},
    {"write", case_write},
    {"fork", case_fork},
    {"many", case_many},
    {"munmap", case_munmap},
    {"dontneed", case_dontneed},
    {"mremap", case_mremap},
    {"dontneed-late", case_dontneed_late},
    {"mlock", case_mlock},
    {"willneed", case_willneed},
    {"protect", case_protect},
    {"threads", case_threads},
    {"system", case_system},
    {"exit", case_exit},
    {"drain", case_drain},
    {"sparse", case_sparse},
    {"latency", case_latency},
    {"short", case_short},
    {"sequential", case_sequential},
    {"dead", case_dead},
};

int main(int count, char **arguments)
{
    if (count < 3)
        FAIL("usage: reference source MIB | reference CASE NODE PID MIB");
    pages = (size_t)atoi(arguments[count - 1]) * 256;
    mapping(BASE, pages * PAGE);
    if (strcmp(arguments[1], "source") == 0) {
        fill();
        printf("ready\n");
        fflush(stdout);
        for (;;)
            pause();
    }
    if (count != 5)
        FAIL("usage: reference CASE NODE PID MIB");
    device = open(MIGRATE_DEVICE, O_RDWR | O_CLOEXEC);
    if (device < 0)
        FAIL("%s: %s", MIGRATE_DEVICE, strerror(errno));
    map = (struct migrate_pages_map){.node = (uint32_t)atoi(arguments[2]),
                                     .pid = atoi(arguments[3]),
                                     .start = (uintptr_t)BASE,
                                     .end = (uintptr_t)BASE + pages * PAGE};
    before = status(0);
    if (ioctl(device, (unsigned)MIGRATE_PAGES_MAP, &map) != 0)
        FAIL("map: %s", strerror(errno));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(arguments[1], cases[i].name) == 0) {
            cases[i].run();
            print_status(arguments[1]);
            return 0;
        }
    }
    FAIL("no such case: %s", arguments[1]);
}
