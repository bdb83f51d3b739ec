// SPDX-License-Identifier: BSD-2-Clause
// Resource limits and what happens at them; priorities and scheduling policies; resource usage.
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

static void set_limit(int kind, rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    SUCCEED(setrlimit((enum __rlimit_resource)kind, &limit));
}

static void raise_limits(void *argument)
{
    (void)argument;
    set_limit(RLIMIT_NOFILE, 20, 30);
    SUCCEED(setresuid(54321, 54321, 54321));
    set_limit(RLIMIT_NOFILE, 30, 30);
    struct rlimit limit = {30, 31};
    FAIL_WITH(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    limit = (struct rlimit){31, 30};
    FAIL_WITH(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
}

TEST(setting,
     "limits: soft up to hard, hard only down without privilege, inherited, told by prlimit")
{
    if (geteuid() != 0)
        skip("needs root to become another user");
    in_child(raise_limits, NULL);
    set_limit(RLIMIT_CORE, 1000, 2000);
    pid_t process = fork();
    if (process == 0) {
        struct rlimit limit;
        SUCCEED(getrlimit(RLIMIT_CORE, &limit));
        REQUIRE(limit.rlim_cur == 1000 && limit.rlim_max == 2000);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    SUCCEED(waitpid(process, &status, WUNTRACED));
    REQUIRE(WIFSTOPPED(status));
    struct rlimit new = {500, 600}, old;
    SUCCEED(prlimit(process, RLIMIT_CORE, &new, &old));
    REQUIRE_EQUAL(old.rlim_cur, 1000);
    SUCCEED(prlimit(process, RLIMIT_CORE, NULL, &old));
    REQUIRE_EQUAL(old.rlim_max, 600);
    FAIL_WITH(setrlimit((enum __rlimit_resource)99, &new), EINVAL);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

TEST(file_size, "RLIMIT_FSIZE: SIGXFSZ, then EFBIG; what fits is written")
{
    static char bytes[10000];
    signal(SIGXFSZ, count_signal);
    set_limit(RLIMIT_FSIZE, 5000, 5000);
    int file = SUCCEED(open("file", O_RDWR | O_CREAT, 0600));
    REQUIRE_EQUAL(write(file, bytes, sizeof bytes), 5000);
    FAIL_WITH(write(file, bytes, 1), EFBIG);
    REQUIRE_EQUAL(signals, 1);
    FAIL_WITH(ftruncate(file, 6000), EFBIG);
    REQUIRE_EQUAL(signals, 2);
}

static void spin(void *argument)
{
    (void)argument;
    set_limit(RLIMIT_CPU, 1, 3);
    signal(SIGXCPU, count_signal);
    while (signals == 0)
        continue;
    struct rusage usage;
    SUCCEED(getrusage(RUSAGE_SELF, &usage));
    REQUIRE(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec >= 1 ||
            usage.ru_utime.tv_usec + usage.ru_stime.tv_usec >= 900000);
    signal(SIGXCPU, SIG_IGN);
    for (;;)
        continue;
}

TEST_WITHIN(processor_time, "RLIMIT_CPU: SIGXCPU at the soft limit, SIGKILL at the hard one", 60)
{
    KILLED(child(spin, NULL), SIGKILL);
}

static int deepen(volatile char *above, int depth)
{
    volatile char room[16384];
    room[0] = *above;
    return depth == 0 ? room[0] : deepen(room, depth - 1) + room[0];
}

static void deep_recursion(void *argument)
{
    char bottom = 0;
    set_limit(RLIMIT_STACK, 1 << 20, 1 << 20);
    (void)deepen(&bottom, (int)(uintptr_t)argument);
}

TEST(stack, "RLIMIT_STACK: below it all is well, above it SIGSEGV")
{
    EXITS(child(deep_recursion, (void *)40), 0);
    KILLED(child(deep_recursion, (void *)100), SIGSEGV);
}

static void lock_too_much(void *argument)
{
    (void)argument;
    set_limit(RLIMIT_MEMLOCK, 65536, 65536);
    SUCCEED(setresuid(54321, 54321, 54321));
    void *at =
        SUCCEED(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SUCCEED(mlock(at, 65536));
    FAIL_WITH(mlock(at, 65536 + 4096), ENOMEM);
}

TEST(locked_memory, "RLIMIT_MEMLOCK holds for who is not privileged")
{
    if (geteuid() != 0)
        skip("needs root to become another user");
    in_child(lock_too_much, NULL);
}

// --- Scheduling ---------------------------------------------------------------------------------

static volatile uint64_t *counts;

static void count_niced(void *argument)
{
    int which = (int)(uintptr_t)argument;
    SUCCEED(setpriority(PRIO_PROCESS, 0, which == 0 ? 0 : 19));
    for (;;)
        counts[which]++;
}

TEST_WITHIN(niceness, "of two that compute on one processor, the nice one gets far less of it", 60)
{
    counts = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    SUCCEED(sched_setaffinity(0, sizeof first, &first));
    pid_t processes[2];
    for (uintptr_t i = 0; i < 2; i++)
        processes[i] = child(count_niced, (void *)i);
    sleep_ms(1500);
    for (int i = 0; i < 2; i++)
        SUCCEED(kill(processes[i], SIGKILL));
    for (int i = 0; i < 2; i++)
        KILLED(processes[i], SIGKILL);
    remark("%llu and %llu", (unsigned long long)counts[0], (unsigned long long)counts[1]);
    REQUIRE(counts[0] > 5 * counts[1] && counts[1] > 0);
}

static volatile pid_t *order;

static void note_turn(void *argument)
{
    (void)argument;
    order[__atomic_fetch_add(&order[0], 1, __ATOMIC_SEQ_CST) + 1] = getpid();
}

TEST(policies, "sched_setscheduler, priorities' ranges, and real-time goes first")
{
    struct sched_param parameter = {.sched_priority = 10}, told;
    REQUIRE_EQUAL(sched_get_priority_max(SCHED_FIFO), 99);
    REQUIRE_EQUAL(sched_get_priority_min(SCHED_FIFO), 1);
    SUCCEED_OR_SKIP(sched_setscheduler(0, SCHED_FIFO, &parameter), "real-time is not allowed here");
    REQUIRE_EQUAL(sched_getscheduler(0), SCHED_FIFO);
    SUCCEED(sched_getparam(0, &told));
    REQUIRE_EQUAL(told.sched_priority, 10);
    // While we do not sleep, a child of ordinary priority on the same processor does not run.
    order = SUCCEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    SUCCEED(sched_setaffinity(0, sizeof first, &first));
    pid_t process = fork();
    if (process == 0) {
        parameter.sched_priority = 0;
        SUCCEED(sched_setscheduler(0, SCHED_OTHER, &parameter));
        note_turn(NULL);
        _exit(0);
    }
    uint64_t start = now_ns();
    while (now_ns() - start < 50000000)
        continue;
    note_turn(NULL);
    EXITS(process, 0);
    REQUIRE_EQUAL(order[1], getpid());
    parameter.sched_priority = 100;
    FAIL_WITH(sched_setscheduler(0, SCHED_FIFO, &parameter), EINVAL);
}

TEST(usage, "getrusage: page faults, switches and memory are counted")
{
    struct rusage before, after;
    SUCCEED(getrusage(RUSAGE_SELF, &before));
    uint8_t *at =
        SUCCEED(mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SUCCEED(madvise(at, 4 << 20, MADV_NOHUGEPAGE) == 0 || errno == EINVAL ? 0 : -1);
    memset(at, 1, 4 << 20);
    for (int i = 0; i < 20; i++)
        sleep_ms(5);
    SUCCEED(getrusage(RUSAGE_SELF, &after));
    REQUIRE(after.ru_minflt - before.ru_minflt >= 1000);
    REQUIRE(after.ru_nvcsw - before.ru_nvcsw >= 20);
    REQUIRE(after.ru_maxrss >= 4096);
}
