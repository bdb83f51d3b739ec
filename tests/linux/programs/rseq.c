// SPDX-License-Identifier: BSD-2-Clause
// Restartable sequences and membarrier.
#include "harness.h"

#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

#define SIGNATURE 0x53053053u // what must stand before the abort handler

static struct rseq area __attribute__((aligned(32)));
static volatile uint64_t aborts, commits, alarms;

// Runs in a process that shares our memory: it begins without an area, while the C library has
// registered one of its own for each of our threads.
static uint8_t stack[65536] __attribute__((aligned(16)));

static void in_bare_process(int (*run)(void *), int signal)
{
    if (syscall(SYS_rseq, &area, sizeof area, 0, SIGNATURE) == -1 && errno == ENOSYS)
        skip("this kernel has no rseq (ARCH=um does not offer it)");
    pid_t process = SUCCEED(clone(run, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
    if (signal == 0)
        EXITS(process, 0);
    else
        KILLED(process, signal);
}

// A long sequence: either it is done as a whole, or the abort handler runs.
static bool long_sequence(void)
{
    static struct rseq_cs descriptor __attribute__((aligned(32)));
    int done;
    __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, 8+%[descriptor]\n\t"
                     "lea 2f(%%rip), %%rcx\n\tsub %%rax, %%rcx\n\tmov %%rcx, 16+%[descriptor]\n\t"
                     "lea 4f(%%rip), %%rax\n\tmov %%rax, 24+%[descriptor]\n\t"
                     "lea %[descriptor], %%rax\n\tmov %%rax, %[pointer]\n"
                     "1: mov $3000000, %%ecx\n"
                     "3: dec %%ecx\n\tjnz 3b\n\t"
                     "incq %[commits]\n"
                     "2: mov $1, %[done]\n\tjmp 5f\n\t"
                     ".long 0x53053053\n"
                     "4: mov $0, %[done]\n"
                     "5:"
                     : [done] "=r"(done), [commits] "+m"(commits), [descriptor] "+m"(descriptor),
                       [pointer] "=m"(area.rseq_cs)
                     :
                     : "rax", "rcx", "memory", "cc");
    return done != 0;
}

static void count_alarm(int number)
{
    (void)number;
    alarms++;
}

static int use_sequences(void *argument)
{
    (void)argument;
    SUCCEED(syscall(SYS_rseq, &area, sizeof area, 0, SIGNATURE));
    REQUIRE_EQUAL(area.cpu_id, (unsigned)sched_getcpu());
    signal(SIGALRM, count_alarm);
    // Every other round a signal comes in the midst of it.
    for (int i = 0; i < 400 && (aborts < 5 || commits < 5); i++) {
        struct itimerval soon = {.it_value = {0, i % 2 ? 300 : 0}};
        SUCCEED(setitimer(ITIMER_REAL, &soon, NULL));
        uint64_t before = commits;
        bool done = long_sequence();
        REQUIRE_EQUAL(commits, before + done);
        aborts += !done;
    }
    SUCCEED(syscall(SYS_rseq, &area, sizeof area, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    return 0;
}

TEST_WITHIN(sequence,
            "an interrupted sequence goes to its abort handler, and is never done in part", 60)
{
    in_bare_process(use_sequences, 0);
    remark("%d commits, %d aborts, %d signals", (int)commits, (int)aborts, (int)alarms);
    REQUIRE(aborts >= 5 && commits >= 5 && alarms >= 5);
}

static int use_bad_descriptor(void *argument)
{
    (void)argument;
    SUCCEED(syscall(SYS_rseq, &area, sizeof area, 0, SIGNATURE));
    area.rseq_cs = 0xffff800000000000;
    for (;;)
        sched_yield();
}

TEST(bad_descriptor, "a descriptor in the kernel's half is SIGSEGV")
{
    in_bare_process(use_bad_descriptor, SIGSEGV);
}

TEST(library_area, "each thread knows its processor without a call, as sched_getcpu says it")
{
    for (int i = 0; i < 1000; i++) {
        unsigned cpu, node;
        REQUIRE(sched_getcpu() >= 0);
        SUCCEED(syscall(SYS_getcpu, &cpu, &node, NULL));
        REQUIRE(cpu < CPU_SETSIZE);
    }
}

// --- membarrier ---------------------------------------------------------------------------------

static volatile int flag_a, flag_b, seen_a, seen_b, round_a, round_b;

static void *light_side(void *argument)
{
    for (int i = 1; i <= *(int *)argument; i++) {
        while (round_a != i)
            continue;
        flag_a = 1;
        __asm__ volatile("" ::: "memory"); // the barrier is the other side's
        seen_b = flag_b;
        round_b = i;
    }
    return argument;
}

TEST_WITHIN(barrier, "membarrier orders what another thread does without a barrier of its own", 60)
{
    int rounds = 500;
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (commands == -1 && errno == ENOSYS)
        skip("this kernel has no membarrier");
    REQUIRE(commands & MEMBARRIER_CMD_GLOBAL);
    FAIL_WITH(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
    SUCCEED(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, light_side, &rounds));
    for (int i = 1; i <= rounds; i++) {
        flag_a = flag_b = 0;
        __sync_synchronize();
        round_a = i;
        flag_b = 1;
        SUCCEED(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
        seen_a = flag_a;
        while (round_b != i)
            sched_yield();
        REQUIRE(seen_a || seen_b);
    }
    ZERO(pthread_join(thread, NULL));
    SUCCEED(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
    FAIL_WITH(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
}
