// SPDX-License-Identifier: BSD-2-Clause
// The rows of tests/kernel/vmbench under Linux, as the first program of a machine: faults by
// mprotect and SIGSEGV, data through pipes. Prints `bench: name median minimum unit`, then `bench:
// end`, and powers off.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define PAGES      100u
#define ROUNDS     201u
#define WARM       20u
#define MEBIBYTE   (1u << 20)
#define PIECE      (64u << 10)

static char *region;
static unsigned order[PAGES];
static volatile uint64_t handler_time;
static volatile int protect_another;
static uint64_t samples[ROUNDS];
static unsigned sample_count;
static uint64_t overhead;

static inline uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void fail(const char *what)
{
    printf("bench: %s failed\nbench: end 1\n", what);
    reboot(RB_POWER_OFF);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static uint64_t median(void)
{
    qsort(samples, sample_count, sizeof samples[0], compare);
    return samples[sample_count / 2];
}

static void note(unsigned round, uint64_t value)
{
    if (round >= WARM)
        samples[sample_count++] = value;
}

static void print(const char *name, const char *unit)
{
    uint64_t middle = median();

    printf("bench: %s %llu %llu %s\n", name, (unsigned long long)(middle - overhead),
           (unsigned long long)(samples[0] - overhead), unit);
    sample_count = 0;
}

// --- Faults ----------------------------------------------------------------------------------

static void protect(unsigned page, unsigned count, int access)
{
    if (mprotect(region + page * PAGE_BYTES, count * PAGE_BYTES, access) != 0)
        fail("mprotect");
}

static void handle(int signal, siginfo_t *info, void *context)
{
    handler_time = ticks();
    unsigned page = (unsigned)(((char *)info->si_addr - region) / PAGE_BYTES);

    (void)signal;
    (void)context;
    protect(page, 1, PROT_READ | PROT_WRITE);
    if (protect_another)
        protect((page + PAGES / 2) % PAGES, 1, PROT_READ);
}

static void touch(unsigned page)
{
    *(volatile char *)(region + page * PAGE_BYTES) = 2;
}

static void prepare(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    uint64_t state = 88172645463325252ull;

    region =
        mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED || sigaction(SIGSEGV, &action, NULL) != 0)
        fail("preparing");
    for (unsigned i = 0; i < PAGES; i++) {
        order[i] = i;
        touch(i);
    }
    for (unsigned i = PAGES - 1; i > 0; i--) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        unsigned j = (unsigned)(state >> 33) % (i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

// `none`: no access at all; else only writing is forbidden.
static void row_of_one(const char *name, int none, int until_handler)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned page = order[round % PAGES];
        protect(page, 1, none ? PROT_NONE : PROT_READ);
        uint64_t start = ticks();
        touch(page);
        uint64_t end = ticks();
        note(round, (until_handler ? handler_time : end) - start);
    }
    print(name, "instructions");
}

static void row_appel2(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = ticks();
        protect(0, PAGES, PROT_READ);
        for (unsigned i = 0; i < PAGES; i++)
            touch(order[i]);
        note(round, (ticks() - start) / PAGES);
    }
    print("vm_appel2", "instructions/page");
}

// --- Faults that the kernel serves ---------------------------------------------------------------

static void row_of_writes(const char *name, int flags, int file)
{
    char *memory = mmap(NULL, ROUNDS * PAGE_BYTES, PROT_READ | PROT_WRITE, flags, file, 0);

    if (memory == MAP_FAILED)
        fail("mapping memory");
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = ticks();
        *(volatile char *)(memory + (size_t)round * PAGE_BYTES) = 1;
        note(round, ticks() - start);
    }
    if (name != NULL)
        print(name, "instructions");
    sample_count = 0;
}

static void rows_of_served_faults(void)
{
    int file = memfd_create("pages", 0);

    if (file < 0 || ftruncate(file, (off_t)ROUNDS * PAGE_BYTES) != 0)
        fail("making shared memory");
    row_of_writes("vm_zero_fault", MAP_PRIVATE | MAP_ANONYMOUS, -1);
    // The first mapping makes the pages, the second one finds them.
    row_of_writes(NULL, MAP_SHARED, file);
    row_of_writes("vm_cached_fault", MAP_SHARED, file);
}

// --- Pipes -----------------------------------------------------------------------------------

static void read_all(int file, char *bytes, size_t count)
{
    for (ssize_t got; count != 0; count -= (size_t)got)
        if ((got = read(file, bytes, count)) <= 0)
            fail("read");
}

static void write_all(int file, const char *bytes, size_t count)
{
    for (ssize_t put; count != 0; count -= (size_t)put)
        if ((put = write(file, bytes, count)) <= 0)
            fail("write");
}

static void rows_of_pipes(void)
{
    static char data[PIECE];
    int there[2], back[2];
    char byte = 0;

    if (pipe(there) != 0 || pipe(back) != 0)
        fail("pipe");
    if (fork() == 0) {
        for (;;) { // a byte, an answer; a mebibyte, an answer
            for (unsigned i = 0; i < ROUNDS; i++) {
                read_all(there[0], &byte, 1);
                write_all(back[1], &byte, 1);
            }
            for (unsigned i = 0; i < WARM + 11; i++) {
                for (unsigned got = 0; got < MEBIBYTE; got += PIECE)
                    read_all(there[0], data, PIECE);
                write_all(back[1], &byte, 1);
            }
        }
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = ticks();
        write_all(there[1], &byte, 1);
        read_all(back[0], &byte, 1);
        note(round, ticks() - start);
    }
    print("pipe_latency", "instructions");
    for (unsigned round = 0; round < WARM + 11; round++) {
        uint64_t start = ticks();
        for (unsigned put = 0; put < MEBIBYTE; put += PIECE)
            write_all(there[1], data, PIECE);
        read_all(back[0], &byte, 1);
        note(round, ticks() - start);
    }
    print("pipe_bandwidth", "instructions/MiB");
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t start = ticks();
        __asm__ volatile("" ::: "memory");
        note(round, ticks() - start);
    }
    overhead = median();
    sample_count = 0;
    prepare();
    row_of_one("vm_fault", 1, 0);
    row_of_one("vm_trap", 0, 1);
    protect(0, PAGES, PROT_READ);
    protect_another = 1;
    row_of_one("vm_appel1", 0, 0);
    protect_another = 0;
    row_appel2();
    rows_of_served_faults();
    rows_of_pipes();
    printf("bench: end 0\n");
    reboot(RB_POWER_OFF);
    return 0;
}
