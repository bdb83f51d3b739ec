// SPDX-License-Identifier: BSD-2-Clause
// Clocks: that reading one takes no system call, that none goes backwards for any thread, that
// setting the time is seen through the vDSO, and that those of processor time count it.
#include "harness.h"

#include <elf.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    SUCCEED(clock_gettime(clock, &time));
    REQUIRE(time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t read_by_call(clockid_t clock)
{
    struct timespec time;
    SUCCEED(syscall(SYS_clock_gettime, clock, &time));
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static time_t time_by_call(void)
{
    return syscall(SYS_time, NULL);
}

static const clockid_t fast_clocks[] = {
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME, CLOCK_TAI,       CLOCK_MONOTONIC_RAW};
#define FAST_CLOCKS (sizeof fast_clocks / sizeof *fast_clocks)

// --- Without a system call ----------------------------------------------------------------------

// From here on only write and exit_group are allowed; anything else is SIGSYS.
static void forbid_calls(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    SUCCEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SUCCEED_OR_SKIP(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), "no seccomp filters here");
}

static void read_all_clocks(void *argument)
{
    (void)argument;
    struct timeval time;
    unsigned cpu = 0;
    (void)read_clock(CLOCK_MONOTONIC); // whatever the C library does the first time
    SUCCEED(getcpu(&cpu, NULL));
    forbid_calls();
    for (int i = 0; i < 1000; i++) {
        for (size_t c = 0; c < FAST_CLOCKS; c++)
            (void)read_clock(fast_clocks[c]);
        gettimeofday(&time, NULL);
        (void)time.tv_sec;
        SUCCEED(getcpu(&cpu, NULL));
    }
}

static void make_a_call(void *argument)
{
    (void)argument;
    forbid_calls();
    syscall(SYS_getppid);
}

TEST(no_system_call, "clock_gettime, gettimeofday and getcpu work where system calls kill")
{
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == -1)
        skip("this kernel has no seccomp");
    KILLED(child(make_a_call, NULL), SIGSYS);
    in_child(read_all_clocks, NULL);
}

// Looks a symbol of the vDSO up by its dynamic section, as the C library does.
static void *vdso_symbol(const char *name)
{
    const uint8_t *base = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
    REQUIRE(base != NULL);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)base;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    uint64_t offset = 0;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD)
            offset = (uint64_t)base - segments[i].p_vaddr;
        if (segments[i].p_type == PT_DYNAMIC)
            dynamic = (const Elf64_Dyn *)(base + segments[i].p_offset);
    }
    REQUIRE(dynamic != NULL);
    const char *strings = NULL;
    const Elf64_Sym *symbols = NULL;
    const uint32_t *hash = NULL;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB)
            strings = (const char *)(dynamic->d_un.d_ptr + offset);
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)(dynamic->d_un.d_ptr + offset);
        if (dynamic->d_tag == DT_HASH)
            hash = (const uint32_t *)(dynamic->d_un.d_ptr + offset);
    }
    REQUIRE(strings != NULL && symbols != NULL && hash != NULL);
    for (uint32_t i = 0; i < hash[1]; i++)
        if (symbols[i].st_shndx != SHN_UNDEF && strcmp(strings + symbols[i].st_name, name) == 0)
            return (void *)(symbols[i].st_value + offset);
    return NULL;
}

TEST(vdso_symbols, "the vDSO offers clock_gettime, gettimeofday, time and getcpu")
{
    static const char *const names[] = {"__vdso_clock_gettime", "__vdso_gettimeofday",
                                        "__vdso_time", "__vdso_getcpu"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (vdso_symbol(names[i]) == NULL)
            FAIL("no %s", names[i]);
    // What it does not answer itself it must ask the kernel for.
    int (*gettime)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))vdso_symbol("__vdso_clock_gettime");
    struct timespec time = {-1, -1};
    REQUIRE_EQUAL(gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
    REQUIRE(time.tv_sec >= 0);
    REQUIRE_EQUAL(gettime(99, &time), -EINVAL);
    time_t (*seconds)(time_t *) = (time_t(*)(time_t *))vdso_symbol("__vdso_time");
    time_t stored = 0, now = seconds(&stored);
    REQUIRE_EQUAL(now, stored);
    REQUIRE(now - time_by_call() <= 1 && time_by_call() - now <= 1);
}

static void end_with_address(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    _exit((int)(uintptr_t)information->si_addr);
}

// The number is that of a fast clock, or one more for gettimeofday. Ends with the address at fault.
static void read_to_nowhere(void *argument)
{
    size_t number = *(size_t *)argument;
    struct sigaction action = {.sa_sigaction = end_with_address, .sa_flags = SA_SIGINFO};
    SUCCEED(sigaction(SIGSEGV, &action, NULL));
    if (number < FAST_CLOCKS)
        clock_gettime(fast_clocks[number], (struct timespec *)8);
    else
        gettimeofday((struct timeval *)8, NULL);
    _exit(0);
}

TEST(bad_pointers, "a clock read to where nothing is: the fault's address is the pointer")
{
    for (size_t number = 0; number <= FAST_CLOCKS; number++)
        EXITS(child(read_to_nowhere, &number), 8);
}

TEST(same_as_call, "a clock read through the vDSO lies between two readings by system call")
{
    for (size_t c = 0; c < FAST_CLOCKS; c++) {
        for (int i = 0; i < 50; i++) {
            uint64_t before = read_by_call(fast_clocks[c]), fast = read_clock(fast_clocks[c]),
                     after = read_by_call(fast_clocks[c]);
            if (fast < before || fast > after)
                FAIL("clock %d: %llu is not between %llu and %llu", fast_clocks[c],
                     (unsigned long long)fast, (unsigned long long)before,
                     (unsigned long long)after);
        }
    }
    FAIL_WITH(clock_gettime(99, &(struct timespec){0}), EINVAL);
    FAIL_WITH(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
}

// --- Never backwards ----------------------------------------------------------------------------

static volatile uint64_t latest;
static volatile unsigned backwards;

static void *watch_clock(void *argument)
{
    uint64_t end = now_ns() + 300000000;
    for (;;) {
        // Whoever read it before has said so in memory.
        uint64_t known = latest, now = read_clock(CLOCK_MONOTONIC);
        if (now < known)
            __atomic_fetch_add(&backwards, 1, __ATOMIC_SEQ_CST);
        while (known < now && !__atomic_compare_exchange_n(&latest, &known, now, false,
                                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
        if (now > end)
            return argument;
        if (now % 64 == 0)
            sched_yield();
    }
}

TEST_WITHIN(monotonic, "the monotonic clock goes backwards for nobody, on whatever processor", 60)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        ZERO(pthread_create(&threads[i], NULL, watch_clock, NULL));
    for (int i = 0; i < 4; i++)
        ZERO(pthread_join(threads[i], NULL));
    REQUIRE_EQUAL(backwards, 0);
    REQUIRE(latest != 0);
}

TEST(resolution, "the fine clocks tell less than a microsecond, clock_getres says 1 ns")
{
    struct timespec resolution;
    SUCCEED(clock_getres(CLOCK_MONOTONIC, &resolution));
    REQUIRE_EQUAL(resolution.tv_sec, 0);
    REQUIRE_EQUAL(resolution.tv_nsec, 1);
    uint64_t smallest = ~0ull;
    for (int i = 0; i < 2000; i++) {
        uint64_t first = read_clock(CLOCK_MONOTONIC), next = read_clock(CLOCK_MONOTONIC);
        if (next > first && next - first < smallest)
            smallest = next - first;
    }
    REQUIRE(smallest < 1000ull * 20);
    SUCCEED(clock_getres(CLOCK_MONOTONIC_COARSE, &resolution));
    REQUIRE(resolution.tv_nsec >= 1000000 && resolution.tv_nsec <= 10000000);
}

TEST(rates, "real, monotonic and raw clocks advance together while one sleeps")
{
    uint64_t real = read_clock(CLOCK_REALTIME), monotonic = read_clock(CLOCK_MONOTONIC),
             raw = read_clock(CLOCK_MONOTONIC_RAW), boot = read_clock(CLOCK_BOOTTIME);
    sleep_ms(500);
    int64_t passed = (int64_t)(read_clock(CLOCK_MONOTONIC) - monotonic);
    int64_t differences[] = {(int64_t)(read_clock(CLOCK_REALTIME) - real) - passed,
                             (int64_t)(read_clock(CLOCK_MONOTONIC_RAW) - raw) - passed,
                             (int64_t)(read_clock(CLOCK_BOOTTIME) - boot) - passed};
    REQUIRE(passed >= 500000000 && passed < 5000000000);
    for (int i = 0; i < 3; i++)
        REQUIRE(differences[i] > -20000000 && differences[i] < 20000000 * (int)slowness());
}

// --- Setting ------------------------------------------------------------------------------------

TEST(set_time,
     "settimeofday and clock_settime are seen through the vDSO at once; monotonic does not move")
{
    const char *place = getenv("CORVUS_TEST_PLACE");
    if (place == NULL || strcmp(place, "host") == 0)
        skip("not on a machine that is used for other things");
    struct timespec saved, set = {2000000000, 0};
    uint64_t monotonic = read_clock(CLOCK_MONOTONIC);
    SUCCEED(clock_gettime(CLOCK_REALTIME, &saved));
    SUCCEED(clock_settime(CLOCK_REALTIME, &set));
    uint64_t seen = read_clock(CLOCK_REALTIME), by_call = read_by_call(CLOCK_REALTIME);
    struct timeval day;
    gettimeofday(&day, NULL);
    time_t seconds = time(NULL);
    struct timeval back = {saved.tv_sec, saved.tv_nsec / 1000};
    SUCCEED(settimeofday(&back, NULL));
    uint64_t again = read_clock(CLOCK_REALTIME);
    REQUIRE(seen >= 2000000000000000000 && seen < 2000000010000000000);
    REQUIRE(by_call >= seen && by_call < 2000000010000000000);
    REQUIRE(day.tv_sec >= 2000000000 && day.tv_sec < 2000000010);
    REQUIRE(seconds >= 2000000000 && seconds < 2000000010);
    REQUIRE(again / 1000000000 - (uint64_t)saved.tv_sec <= 2);
    REQUIRE(read_clock(CLOCK_MONOTONIC) - monotonic < 10000000000);
    FAIL_WITH(clock_settime(CLOCK_MONOTONIC, &saved), EINVAL);
    set.tv_nsec = 1000000000;
    FAIL_WITH(clock_settime(CLOCK_REALTIME, &set), EINVAL);
}

TEST(adjust_time, "adjtimex: an offset of a tenth of a second at once, and a changed tick rate")
{
    const char *place = getenv("CORVUS_TEST_PLACE");
    if (place == NULL || strcmp(place, "host") == 0)
        skip("not on a machine that is used for other things");
    uint64_t real = read_clock(CLOCK_REALTIME), monotonic = read_clock(CLOCK_MONOTONIC);
    struct timex change = {.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {1, 500000000}};
    SUCCEED(adjtimex(&change));
    int64_t jump = (int64_t)(read_clock(CLOCK_REALTIME) - real) -
                   (int64_t)(read_clock(CLOCK_MONOTONIC) - monotonic);
    REQUIRE(jump > 1400000000 && jump < 1600000000);
    change = (struct timex){.modes = ADJ_SETOFFSET | ADJ_NANO, .time = {-2, 500000000}};
    SUCCEED(adjtimex(&change));
    // Ten per cent faster than the raw clock.
    change = (struct timex){.modes = ADJ_TICK, .tick = 11000};
    SUCCEED(adjtimex(&change));
    uint64_t raw = read_clock(CLOCK_MONOTONIC_RAW);
    monotonic = read_clock(CLOCK_MONOTONIC);
    sleep_ms(1000);
    double rate = (double)(read_clock(CLOCK_MONOTONIC) - monotonic) /
                  (double)(read_clock(CLOCK_MONOTONIC_RAW) - raw);
    change = (struct timex){.modes = ADJ_TICK, .tick = 10000};
    SUCCEED(adjtimex(&change));
    remark("rate %.4f", rate);
    REQUIRE(rate > 1.05 && rate < 1.15);
}

// --- Processor time -----------------------------------------------------------------------------

static void *spin_until(void *argument)
{
    uint64_t wanted = (uint64_t)(uintptr_t)argument;
    while (read_clock(CLOCK_THREAD_CPUTIME_ID) < wanted)
        continue;
    return argument;
}

TEST_WITHIN(processor_time, "thread and process clocks count computing, and not sleeping", 60)
{
    uint64_t thread_before = read_clock(CLOCK_THREAD_CPUTIME_ID);
    sleep_ms(100);
    REQUIRE(read_clock(CLOCK_THREAD_CPUTIME_ID) - thread_before < 50000000ull * slowness());
    uint64_t process_before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    pthread_t threads[2];
    clockid_t clock;
    for (int i = 0; i < 2; i++)
        ZERO(pthread_create(&threads[i], NULL, spin_until, (void *)200000000ul));
    ZERO(pthread_getcpuclockid(threads[0], &clock));
    uint64_t other = read_clock(clock);
    REQUIRE(other < 10000000000);
    for (int i = 0; i < 2; i++)
        ZERO(pthread_join(threads[i], NULL));
    REQUIRE(read_clock(CLOCK_PROCESS_CPUTIME_ID) - process_before >= 400000000);
}
