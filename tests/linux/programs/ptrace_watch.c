// SPDX-License-Identifier: BSD-2-Clause
// Watchpoints: a tracer sets the debug registers of a process or of one of its threads through the
// user area, and that one stops at the access, whatever else runs.
#include "harness_ptrace.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#define DEBUG_REGISTER(number) (offsetof(struct user, u_debugreg) + 8 * (size_t)(number))

// DR7: enabled locally, kind and length of watchpoint N (Intel's manual, volume 3, 18.2.4).
#define EXECUTION 0u
#define WRITES    1u
#define ACCESSES  3u
#define LENGTH_1  0u
#define LENGTH_4  3u
#define LENGTH_8  2u
#define WATCH(number, kind, length)                                                                \
    (1ull << (2 * (number)) | (uint64_t)((kind) | (length) << 2) << (16 + 4 * (number)))

static struct shared {
    volatile uint64_t watched[4];
    volatile uint64_t neighbour;
    volatile pid_t thread;
} * shared;

static void open_shared(void)
{
    shared = SUCCEED(
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void set_debug(pid_t process, unsigned number, uint64_t value)
{
    SUCCEED(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(number), value));
    errno = 0;
    uint64_t now = (uint64_t)ptrace(PTRACE_PEEKUSER, process, DEBUG_REGISTER(number), 0);
    REQUIRE_EQUAL(errno, 0);
    // Bit 10 of DR7 and the exact bits may read back as the processor has them.
    REQUIRE_EQUAL(number == 7 ? now & ~0x700ull : now, value);
}

static uint64_t hits(pid_t process)
{
    errno = 0;
    uint64_t status = (uint64_t)ptrace(PTRACE_PEEKUSER, process, DEBUG_REGISTER(6), 0);
    REQUIRE_EQUAL(errno, 0);
    return status & 15;
}

static void watch(pid_t process, unsigned number, volatile void *address, uint64_t control)
{
    set_debug(process, number, (uint64_t)address);
    set_debug(process, 7, control);
}

static void require_trap(pid_t process, uint64_t hit)
{
    STOPS_BY(process, SIGTRAP);
    siginfo_t info;
    SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
    REQUIRE_EQUAL(info.si_code, TRAP_HWBKPT);
    REQUIRE_EQUAL(hits(process), hit);
    SUCCEED(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(6), 0));
}

static void touch_all(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < 4; i++) {
        shared->neighbour = i;
        (void)shared->watched[i];
        shared->watched[i] = i + 100;
    }
}

TEST(write_watchpoint, "a write watchpoint stops behind the write, not at reads or beside it")
{
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    watch(process, 0, &shared->watched[2], WATCH(0, WRITES, LENGTH_8));
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 1);
    REQUIRE_EQUAL(shared->watched[1], 101);
    REQUIRE_EQUAL(shared->watched[2], 102);
    REQUIRE_EQUAL(shared->watched[3], 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(four_watchpoints, "four watchpoints at once, each tells which it was")
{
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    uint64_t control = 0;
    for (unsigned i = 0; i < 4; i++) {
        set_debug(process, i, (uint64_t)&shared->watched[i]);
        control |= WATCH(i, WRITES, LENGTH_8);
    }
    set_debug(process, 7, control);
    for (unsigned i = 0; i < 4; i++) {
        continue_with(process, PTRACE_CONT, 0);
        require_trap(process, 1ull << i);
        REQUIRE_EQUAL(shared->watched[i], i + 100);
    }
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(access_watchpoint,
     "an access watchpoint stops at the read, then at the write; off it is silent")
{
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    watch(process, 1, &shared->watched[1], WATCH(1, ACCESSES, LENGTH_8));
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 2);
    REQUIRE_EQUAL(shared->watched[1], 0);
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 2);
    REQUIRE_EQUAL(shared->watched[1], 101);
    watch(process, 1, &shared->watched[3], WATCH(1, ACCESSES, LENGTH_4));
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 2);
    set_debug(process, 7, 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

__attribute__((noinline)) static void called(uint64_t value)
{
    shared->neighbour = value;
}

static void call_twice(void *argument)
{
    (void)argument;
    called(1);
    called(2);
}

TEST(execution_breakpoint, "an execution breakpoint in DR0 stops before the instruction, each time")
{
    open_shared();
    pid_t process = traced_child(call_twice, NULL);
    watch(process, 0, (void *)called, WATCH(0, EXECUTION, LENGTH_1));
    for (uint64_t i = 0; i < 2; i++) {
        continue_with(process, PTRACE_CONT, 0);
        require_trap(process, 1);
        REQUIRE_EQUAL(registers_of(process).rip, (uint64_t)called);
        REQUIRE_EQUAL(shared->neighbour, i);
    }
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void write_by_call(void *argument)
{
    (void)argument;
    int ends[2];
    SUCCEED(pipe(ends));
    write_all(ends[1], "12345678", 8);
    SUCCEED(read(ends[0], (void *)&shared->watched[0], 8));
    shared->watched[1] = 5;
}

TEST(kernel_write_silent, "the kernel's own write to a watched place is no stop; the next write is")
{
    open_shared();
    pid_t process = traced_child(write_by_call, NULL);
    set_debug(process, 0, (uint64_t)&shared->watched[0]);
    set_debug(process, 1, (uint64_t)&shared->watched[1]);
    set_debug(process, 7, WATCH(0, WRITES, LENGTH_8) | WATCH(1, WRITES, LENGTH_8));
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 2);
    REQUIRE(memcmp((void *)&shared->watched[0], "12345678", 8) == 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(bad_watchpoints, "addresses in the kernel's half and unaligned ones are refused")
{
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    // Either the address or the control word that enables it must be refused.
    static const struct {
        uint64_t address, control;
    } bad[] = {{0xffff800000000000, WATCH(0, WRITES, LENGTH_8)},
               {0xffffffff80000000, WATCH(0, EXECUTION, LENGTH_1)},
               {0xfffffffffffffff8, WATCH(0, WRITES, LENGTH_8)},
               {0x7fffffffeffc, WATCH(0, WRITES, LENGTH_8)}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int first = (int)ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(0), bad[i].address);
        if (first == 0)
            REQUIRE_EQUAL(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(7), bad[i].control), -1);
        SUCCEED(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(0), 0));
        SUCCEED(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(7), 0));
    }
    // I/O breakpoints (kind 2) and general detect are the kernel's own.
    REQUIRE_EQUAL(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(0), &shared->watched[0]), 0);
    REQUIRE_EQUAL(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(7), WATCH(0, 2u, LENGTH_8)), -1);
    FAIL_WITH(ptrace(PTRACE_POKEUSER, process, DEBUG_REGISTER(4), 1), EIO);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

// --- One of several -----------------------------------------------------------------------------

static void *write_in_thread(void *argument)
{
    shared->thread = gettid();
    for (uint64_t i = 1; shared->neighbour == 0; i++) {
        shared->watched[0] = i;
        sched_yield();
    }
    return argument;
}

static void write_in_both(void *argument)
{
    (void)argument;
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, write_in_thread, NULL));
    for (uint64_t i = 1; shared->neighbour == 0; i++) {
        shared->watched[0] = i;
        sched_yield();
    }
    ZERO(pthread_join(thread, NULL));
}

TEST(watch_one_thread, "a watchpoint of a thread that is not the leader stops that thread only")
{
    open_shared();
    pid_t process = child(write_in_both, NULL);
    while (shared->thread == 0)
        sched_yield();
    pid_t thread = shared->thread;
    SUCCEED(ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_EXITKILL));
    SUCCEED(ptrace(PTRACE_INTERRUPT, thread, 0, 0));
    STOPS_AT(thread, PTRACE_EVENT_STOP);
    watch(thread, 0, &shared->watched[0], WATCH(0, WRITES, LENGTH_8));
    for (int i = 0; i < 3; i++) {
        continue_with(thread, PTRACE_CONT, 0);
        require_trap(thread, 1);
        // The leader writes the same word all the time and is not even traced.
        uint64_t before = shared->watched[0];
        for (int tries = 0; tries < 1000 && shared->watched[0] == before; tries++)
            sleep_ms(2);
        REQUIRE(shared->watched[0] != before);
    }
    set_debug(thread, 7, 0);
    shared->neighbour = 1;
    SUCCEED(ptrace(PTRACE_DETACH, thread, 0, 0));
    EXITS(process, 0);
}

TEST(watch_not_inherited, "a watchpoint is of one process, not of its sibling")
{
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    pid_t other = child(touch_all, NULL); // runs beside it
    watch(process, 0, &shared->watched[3], WATCH(0, WRITES, LENGTH_8));
    EXITS(other, 0);
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 1);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void fork_and_touch(void *argument)
{
    in_child(touch_all, argument);
    raise(SIGSTOP);
    touch_all(argument);
}

TEST(watch_over_fork, "a fork of a watched process is not watched; the process itself still is")
{
    open_shared();
    pid_t process = traced_child(fork_and_touch, NULL);
    watch(process, 0, &shared->watched[2], WATCH(0, WRITES, LENGTH_8));
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGCHLD);
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGSTOP);
    REQUIRE_EQUAL(shared->watched[3], 103);
    continue_with(process, PTRACE_CONT, 0);
    require_trap(process, 1);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

static void become_another(void *argument)
{
    (void)argument;
    SUCCEED(execl("/bin/true", "true", NULL));
}

TEST(watch_over_exec, "exec drops watchpoints, and the new program runs")
{
    open_shared();
    pid_t process = traced_child(become_another, NULL);
    watch(process, 0, &shared->watched[0], WATCH(0, WRITES, LENGTH_8));
    continue_with(process, PTRACE_CONT, 0);
    STOPS_BY(process, SIGTRAP);
    REQUIRE_EQUAL(ptrace(PTRACE_PEEKUSER, process, DEBUG_REGISTER(0), 0), 0);
    REQUIRE_EQUAL(ptrace(PTRACE_PEEKUSER, process, DEBUG_REGISTER(7), 0), 0);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}

TEST(step_onto_watch, "a single step over a watched write tells both")
{
    if (!on_node())
        skip("QEMU tells it twice, the second time inside the kernel, which may not survive it");
    open_shared();
    pid_t process = traced_child(touch_all, NULL);
    watch(process, 0, &shared->watched[2], WATCH(0, WRITES, LENGTH_8));
    for (int steps = 0; steps < 5000 && shared->watched[2] == 0; steps++) {
        continue_with(process, PTRACE_SINGLESTEP, 0);
        STOPS_BY(process, SIGTRAP);
    }
    REQUIRE_EQUAL(shared->watched[2], 102);
    REQUIRE_EQUAL(hits(process), 1);
    siginfo_t info;
    SUCCEED(ptrace(PTRACE_GETSIGINFO, process, 0, &info));
    REQUIRE_EQUAL(info.si_code, TRAP_TRACE);
    continue_with(process, PTRACE_CONT, 0);
    EXITS(process, 0);
}
