// SPDX-License-Identifier: BSD-2-Clause
// Load: a thousand processes at once, each with memory of its own that stays right; more memory
// asked for than there is, where the one who asks is killed and the others live; all descriptors,
// all threads that there is room for; address spaces with more page tables than the microkernel
// under a node's Linux has memory for.
#include "harness_attempt.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define CROWD 1000

static int ready[2], go[2];

static void join_crowd(unsigned number)
{
    char byte;
    uint8_t *memory =
        SUCCEED(mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    fill_pattern(memory, 2 * 4096, number);
    close(go[1]);
    write_all(ready[1], "r", 1);
    REQUIRE_EQUAL(read(go[0], &byte, 1), 0); // until the parent closes its end
    REQUIRE(has_pattern(memory, 2 * 4096, number));
    _exit((int)(number % 100));
}

TEST_WITHIN(crowd, "1,000 processes at once, each right to its end", 240)
{
    static pid_t processes[CROWD];
    struct rlimit limit;
    SUCCEED(getrlimit(RLIMIT_NPROC, &limit));
    limit.rlim_cur = limit.rlim_max;
    SUCCEED(setrlimit(RLIMIT_NPROC, &limit));
    SUCCEED(pipe(ready));
    SUCCEED(pipe(go));
    for (unsigned i = 0; i < CROWD; i++) {
        processes[i] = SUCCEED(fork());
        if (processes[i] == 0)
            join_crowd(i);
    }
    char bytes[CROWD];
    read_all(ready[0], bytes, CROWD); // all of them are there
    struct sysinfo info;
    SUCCEED(sysinfo(&info));
    REQUIRE(info.procs >= CROWD);
    remark("%u processes, %lu of %lu MiB free", info.procs, info.freeram * info.mem_unit >> 20,
           info.totalram * info.mem_unit >> 20);
    close(go[1]);
    for (unsigned i = 0; i < CROWD; i++)
        EXITS(processes[i], (int)(i % 100));
}

#define CIRCLE 400
#define ROUNDS 4

// Waits for its turn, which comes over a pipe, and passes it on; memory of its own counts the
// turns.
static void take_turns(unsigned number, int from, int to)
{
    volatile uint32_t *counted =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t sum;
        read_all(from, &sum, sizeof sum);
        REQUIRE_EQUAL(*counted, round);
        *counted = round + 1;
        sum += number;
        write_all(to, &sum, sizeof sum);
    }
    _exit((int)(number % 100));
}

TEST_WITHIN(turns, "400 processes that run in turn, again and again", 240)
{
    static int pipes[CIRCLE + 1][2];
    static pid_t processes[CIRCLE];
    struct rlimit limit = {2048, 2048};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        skip("this user may not open so many");
    for (unsigned i = 0; i <= CIRCLE; i++)
        SUCCEED(pipe(pipes[i]));
    for (unsigned i = 0; i < CIRCLE; i++) {
        processes[i] = SUCCEED(fork());
        if (processes[i] == 0)
            take_turns(i, pipes[i][0], pipes[i + 1][1]);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t sum = round;
        write_all(pipes[0][1], &sum, sizeof sum);
        read_all(pipes[CIRCLE][0], &sum, sizeof sum);
        REQUIRE_EQUAL(sum, round + CIRCLE * (CIRCLE - 1) / 2);
    }
    for (unsigned i = 0; i < CIRCLE; i++)
        EXITS(processes[i], (int)(i % 100));
}

#define TABLE_BYTES (2ul << 20) // what one page table covers

// Each page needs a page table for itself, here and in the microkernel, which has a sixteenth of a
// node's memory for that: more than all of it is asked for.
TEST_WITHIN(sparse, "a process whose pages lie far apart: all right, read-only, a child's as well",
            240)
{
    struct sysinfo info;
    SUCCEED(sysinfo(&info));
    size_t count = info.totalram * info.mem_unit / 4096 / 10;
    size_t bytes = count * TABLE_BYTES;
    uint8_t *memory = SUCCEED(mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (size_t i = 0; i < count; i++)
        *(volatile uint64_t *)(memory + i * TABLE_BYTES) = i;
    SUCCEED(mprotect(memory, bytes, PROT_READ));
    for (size_t i = 0; i < count; i++)
        REQUIRE_EQUAL(*(volatile uint64_t *)(memory + i * TABLE_BYTES), i);
    SUCCEED(mprotect(memory, bytes, PROT_READ | PROT_WRITE));
    pid_t child = SUCCEED(fork());
    if (child == 0) {
        for (size_t i = 0; i < count; i += 2)
            ++*(volatile uint64_t *)(memory + i * TABLE_BYTES);
        for (size_t i = 0; i < count; i++)
            REQUIRE_EQUAL(*(volatile uint64_t *)(memory + i * TABLE_BYTES), i + (i % 2 == 0));
        _exit(0);
    }
    EXITS(child, 0);
    for (size_t i = 0; i < count; i++)
        REQUIRE_EQUAL(*(volatile uint64_t *)(memory + i * TABLE_BYTES), i);
    SUCCEED(munmap(memory, bytes));
}

static void *wait_in_thread(void *argument)
{
    char byte;
    SUCCEED(read(go[0], &byte, 1));
    return argument;
}

TEST_WITHIN(threads, "1,000 threads of one process", 120)
{
    static pthread_t threads[CROWD];
    pthread_attr_t attributes;
    ZERO(pthread_attr_init(&attributes));
    ZERO(pthread_attr_setstacksize(&attributes, 65536));
    SUCCEED(pipe(go));
    for (uintptr_t i = 0; i < CROWD; i++)
        ZERO(pthread_create(&threads[i], &attributes, wait_in_thread, (void *)i));
    REQUIRE_EQUAL(field_of("/proc/self/status", "Threads"), CROWD + 1);
    close(go[1]);
    for (uintptr_t i = 0; i < CROWD; i++) {
        void *result;
        ZERO(pthread_join(threads[i], &result));
        REQUIRE_EQUAL(result, i);
    }
}

static long killed_for_memory(void)
{
    const char *line = strstr(read_file("/proc/vmstat"), "\noom_kill ");
    return line == NULL ? -1 : strtol(line + 10, NULL, 10);
}

static void eat_memory(void *argument)
{
    volatile uint64_t *eaten = argument;
    for (;;) {
        // All of it at once: page by page an emulator takes minutes.
        uint8_t *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (more == MAP_FAILED)
            _exit(3);
        ++*eaten;
    }
}

TEST_WITHIN(out_of_memory,
            "who takes all memory is killed for it; the others and the system live on", 180)
{
    const char *place = getenv("CORVUS_TEST_PLACE");
    if (place == NULL || strcmp(place, "host") == 0)
        skip("not on a machine that is used for other things");
    volatile uint64_t *eaten =
        SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    struct witness *witness = witness_start();
    long before = killed_for_memory();
    struct sysinfo info;
    SUCCEED(sysinfo(&info));
    for (int i = 0; i < 3; i++) {
        *eaten = 0;
        KILLED(child(eat_memory, (void *)eaten), SIGKILL);
        remark("killed with %llu of %lu MiB", (unsigned long long)*eaten,
               info.totalram * info.mem_unit >> 20);
        // It had most of what was free.
        REQUIRE(*eaten << 20 > info.freeram * info.mem_unit / 2);
        witness_check(witness);
    }
    REQUIRE_EQUAL(killed_for_memory() - before, 3);
    witness_end(witness);
    // What it had can be had again.
    size_t half = info.freeram * info.mem_unit / 2 & ~4095ul;
    uint8_t *again =
        SUCCEED(mmap(NULL, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(again, 1, half);
    SUCCEED(munmap(again, half));
}

static void read_last(void *argument)
{
    uint32_t word = 1;
    read_all(*(int *)argument, &word, sizeof word);
    REQUIRE_EQUAL(word, 0);
}

TEST_WITHIN(descriptors, "20,000 open descriptors: all usable, all closed", 120)
{
    static int files[20000];
    struct rlimit limit = {20100, 20100};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        skip("this user may not open so many");
    for (int i = 0; i < 20000; i++)
        files[i] = SUCCEED(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    uint32_t word = 1;
    for (int i = 0; i < 20000; i += 997) {
        read_all(files[i], &word, sizeof word);
        REQUIRE_EQUAL(word, 0);
    }
    in_child(read_last, &files[19999]); // a child has a copy of the table
    SUCCEED(syscall(SYS_close_range, 3, ~0u, 0));
    FAIL_WITH(read(files[19999], &word, 4), EBADF);
}
