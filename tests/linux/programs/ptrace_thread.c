// SPDX-License-Identifier: BSD-2-Clause
// Tracing one thread of several, none of which is the leader: its registers, vector state, bases
// and memory are its own and not those of whoever ran last.
#include "harness_ptrace.h"

#include "harness_registers.h"
#include "harness_vector.h"

#include <asm/prctl.h>
#include <elf.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#define THREADS 4

static struct shared {
    struct thread_data {
        volatile pid_t id;
        volatile uint64_t fs_base;
        struct registers before, after;
        struct vector_state vector_before, vector_after;
    } threads[THREADS];
    volatile uint64_t turns[THREADS];
    volatile int stop;
} * shared;

static void open_shared(void)
{
    shared = SUCCEED(
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        ZERO(pthread_create(&threads[i], NULL, run, (void *)i));
    for (int i = 0; i < THREADS; i++)
        ZERO(pthread_join(threads[i], NULL));
}

static void tell(struct thread_data *data)
{
    uint64_t base;
    __asm__("mov %%fs:0, %0" : "=r"(base));
    data->fs_base = base;
    data->id = gettid();
}

// Spins in assembly with its vector state loaded, until told to stop; a turn is one round.
static void *spin_with_vectors(void *argument)
{
    uintptr_t i = (uintptr_t)argument;
    struct thread_data *data = &shared->threads[i];
    tell(data);
    while (!shared->stop) {
        vector_around_spin(&data->vector_before, &data->vector_after, 1000000);
        if (!vector_same(&data->vector_after, &data->vector_before) && !shared->stop)
            _exit(1);
        shared->turns[i]++;
    }
    return argument;
}

static void spin_in_threads(void *argument)
{
    (void)argument;
    run_threads(spin_with_vectors);
}

static void wait_for_threads(void)
{
    for (int i = 0; i < THREADS; i++)
        while (shared->threads[i].id == 0 || shared->turns[i] == 0)
            sleep_ms(1);
}

static void interrupt(pid_t thread)
{
    SUCCEED(ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_EXITKILL));
    SUCCEED(ptrace(PTRACE_INTERRUPT, thread, 0, 0));
    STOPS_AT(thread, PTRACE_EVENT_STOP);
}

TEST_WITHIN(vectors_of_each, "vector state of running threads, read by GETFPREGS and XSTATE", 60)
{
    static uint8_t area[16384] __attribute__((aligned(64)));
    open_shared();
    for (unsigned i = 0; i < THREADS; i++)
        vector_make(&shared->threads[i].vector_before, 30 + i);
    pid_t process = child(spin_in_threads, NULL);
    wait_for_threads();
    for (int i = 0; i < THREADS; i++) {
        pid_t thread = shared->threads[i].id;
        const struct vector_state *expected = &shared->threads[i].vector_before;
        struct user_fpregs_struct found;
        struct iovec part = {area, sizeof area};
        interrupt(thread);
        SUCCEED(ptrace(PTRACE_GETFPREGS, thread, 0, &found));
        SUCCEED(ptrace(PTRACE_GETREGSET, thread, NT_X86_XSTATE, &part));
        REQUIRE_EQUAL(registers_of(thread).fs_base, shared->threads[i].fs_base);
        uint64_t rip = registers_of(thread).rip;
        // Nearly always in its loop; between two rounds the registers hold something else.
        if (rip >= (uint64_t)vector_around_spin && rip < (uint64_t)vector_around_ud2 &&
            memcmp(found.xmm_space, expected->ymm[0], 16) == 0) {
            for (int r = 0; r < 16; r++) {
                REQUIRE(memcmp((char *)found.xmm_space + 16 * r, expected->ymm[r], 16) == 0);
                REQUIRE(memcmp(area + 160 + 16 * r, expected->ymm[r], 16) == 0);
                REQUIRE(memcmp(area + 576 + 16 * r, expected->ymm[r] + 16, 16) == 0);
            }
            REQUIRE_EQUAL(found.mxcsr, expected->mxcsr);
            shared->stop = i == THREADS - 1;
            SUCCEED(ptrace(PTRACE_DETACH, thread, 0, 0));
        } else {
            SUCCEED(ptrace(PTRACE_DETACH, thread, 0, 0));
            i--; // once more; the test's time limit bounds it
        }
    }
    EXITS(process, 0);
}

// --- Known registers ----------------------------------------------------------------------------

static void *trap_in_thread(void *argument)
{
    struct thread_data *data = &shared->threads[(uintptr_t)argument];
    tell(data);
    data->after = data->before;
    while (shared->turns[(uintptr_t)argument] == 0)
        sched_yield();
    registers_around_int3(&data->after);
    return argument;
}

static void trap_in_threads(void *argument)
{
    (void)argument;
    run_threads(trap_in_thread);
}

// All threads, each traced and stopped at its int3.
static pid_t all_at_trap(void)
{
    open_shared();
    for (unsigned i = 0; i < THREADS; i++)
        registers_make(&shared->threads[i].before, 40 + i);
    pid_t process = child(trap_in_threads, NULL);
    for (int i = 0; i < THREADS; i++) {
        while (shared->threads[i].id == 0)
            sleep_ms(1);
        SUCCEED(ptrace(PTRACE_SEIZE, shared->threads[i].id, 0, PTRACE_O_EXITKILL));
        shared->turns[i] = 1;
        STOPS_BY(shared->threads[i].id, SIGTRAP);
    }
    return process;
}

TEST(registers_of_each, "general registers of four stopped threads, read crosswise and changed")
{
    pid_t process = all_at_trap();
    static const int order[] = {2, 0, 3, 1, 0, 2};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const struct thread_data *data = &shared->threads[order[i]];
        struct user_regs_struct found = registers_of(data->id);
        REQUIRE_EQUAL(found.rip, (uint64_t)registers_trap + 1);
        REQUIRE_EQUAL(found.rbx, data->before.rbx);
        REQUIRE_EQUAL(found.r8, data->before.r8);
        REQUIRE_EQUAL(found.r15, data->before.r15);
        REQUIRE_EQUAL(found.eflags, data->before.rflags);
        REQUIRE_EQUAL(found.fs_base, data->fs_base);
    }
    for (int i = THREADS - 1; i >= 0; i--) {
        struct user_regs_struct set = registers_of(shared->threads[i].id);
        set.r11 = 0x1100 + (unsigned)i;
        set.rax = 0xaa00 + (unsigned)i;
        set.eflags &= ~0x91ull;
        set_registers(shared->threads[i].id, &set);
    }
    for (int i = 0; i < THREADS; i++)
        continue_with(shared->threads[i].id, PTRACE_DETACH, 0);
    EXITS(process, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        struct registers expected = shared->threads[i].before;
        expected.r11 = 0x1100 + i;
        expected.rax = 0xaa00 + i;
        expected.rflags &= ~0x91ull;
        REQUIRE(memcmp(&shared->threads[i].after, &expected, sizeof expected) == 0);
    }
}

TEST(vectors_set_in_each, "SETFPREGS and SETREGSET of a thread change that thread's registers")
{
    static uint8_t area[THREADS][16384] __attribute__((aligned(64)));
    pid_t process = all_at_trap();
    for (int i = 0; i < THREADS; i++) {
        struct iovec part = {area[i], sizeof area[i]};
        SUCCEED(ptrace(PTRACE_GETREGSET, shared->threads[i].id, NT_X86_XSTATE, &part));
        memset(area[i] + 160 + 16 * 9, 0x50 + i, 16);
        memset(area[i] + 576 + 16 * 9, 0x60 + i, 16);
        uint64_t features;
        memcpy(&features, area[i] + 512, sizeof features);
        features |= 7;
        memcpy(area[i] + 512, &features, sizeof features);
        SUCCEED(ptrace(PTRACE_SETREGSET, shared->threads[i].id, NT_X86_XSTATE, &part));
    }
    for (int i = THREADS - 1; i >= 0; i--) {
        static uint8_t again[16384] __attribute__((aligned(64)));
        struct iovec part = {again, sizeof again};
        SUCCEED(ptrace(PTRACE_GETREGSET, shared->threads[i].id, NT_X86_XSTATE, &part));
        for (int b = 0; b < 16; b++) {
            REQUIRE_EQUAL(again[160 + 16 * 9 + b], 0x50 + i);
            REQUIRE_EQUAL(again[576 + 16 * 9 + b], 0x60 + i);
        }
        continue_with(shared->threads[i].id, PTRACE_DETACH, 0);
    }
    EXITS(process, 0);
}

TEST(bases_of_each, "PTRACE_ARCH_PRCTL of a thread: its own FS and GS base, read and set")
{
    pid_t process = all_at_trap();
    static uint64_t word = 0x1234;
    for (int i = 0; i < THREADS; i++) {
        uint64_t base;
        SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, shared->threads[i].id, &base, ARCH_GET_FS));
        REQUIRE_EQUAL(base, shared->threads[i].fs_base);
        SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, shared->threads[i].id, &word + i, ARCH_SET_GS));
    }
    for (int i = 0; i < THREADS; i++) {
        uint64_t base;
        SUCCEED(ptrace(PTRACE_ARCH_PRCTL_, shared->threads[i].id, &base, ARCH_GET_GS));
        REQUIRE_EQUAL(base, (uint64_t)(&word + i));
        continue_with(shared->threads[i].id, PTRACE_DETACH, 0);
    }
    EXITS(process, 0);
}

// --- System calls and steps of one thread -------------------------------------------------------

static void *call_in_thread(void *argument)
{
    struct thread_data *data = &shared->threads[(uintptr_t)argument];
    tell(data);
    while (!shared->stop) {
        syscall(SYS_getppid);
        shared->turns[(uintptr_t)argument]++;
    }
    return argument;
}

static void call_in_threads(void *argument)
{
    (void)argument;
    run_threads(call_in_thread);
}

TEST(calls_of_one_thread, "system calls of one thread are stopped, the others run on")
{
    open_shared();
    pid_t process = child(call_in_threads, NULL);
    wait_for_threads();
    pid_t thread = shared->threads[1].id;
    SUCCEED(ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    SUCCEED(ptrace(PTRACE_INTERRUPT, thread, 0, 0));
    STOPS_AT(thread, PTRACE_EVENT_STOP);
    unsigned entries = 0, exits = 0;
    for (int i = 0; i < 40; i++) {
        continue_with(thread, PTRACE_SYSCALL, 0);
        STOPS_BY(thread, SIGTRAP | 0x80);
        struct __ptrace_syscall_info information;
        SUCCEED(ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, thread, sizeof information,
                       &information));
        if (information.op == PTRACE_SYSCALL_INFO_ENTRY) {
            REQUIRE_EQUAL(information.entry.nr, SYS_getppid);
            entries++;
        } else {
            REQUIRE_EQUAL(information.op, PTRACE_SYSCALL_INFO_EXIT);
            REQUIRE_EQUAL(information.exit.rval, getpid());
            exits++;
        }
    }
    REQUIRE(entries >= 19 && exits >= 19);
    uint64_t mine = shared->turns[1], other = shared->turns[2];
    while (shared->turns[2] == other)
        sleep_ms(1);
    REQUIRE_EQUAL(shared->turns[1], mine);
    for (int i = 0; i < 50; i++) {
        continue_with(thread, PTRACE_SINGLESTEP, 0);
        STOPS_BY(thread, SIGTRAP);
    }
    shared->stop = 1;
    SUCCEED(ptrace(PTRACE_DETACH, thread, 0, 0));
    EXITS(process, 0);
}

static void clone_a_thread(void *argument)
{
    pthread_t thread;
    ZERO(pthread_create(&thread, NULL, trap_in_thread, argument));
    ZERO(pthread_join(thread, NULL));
}

TEST(clone_event, "a new thread of a traced process is traced from its start with TRACECLONE")
{
    open_shared();
    registers_make(&shared->threads[0].before, 50);
    shared->turns[0] = 1;
    pid_t process = traced_child(clone_a_thread, NULL);
    SUCCEED(ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE));
    continue_with(process, PTRACE_CONT, 0);
    STOPS_AT(process, PTRACE_EVENT_CLONE);
    unsigned long thread = 0;
    SUCCEED(ptrace(PTRACE_GETEVENTMSG, process, 0, &thread));
    STOPS_BY((pid_t)thread, SIGSTOP);
    REQUIRE_EQUAL(registers_of((pid_t)thread).rax, 0);
    continue_with(process, PTRACE_CONT, 0);
    continue_with((pid_t)thread, PTRACE_CONT, 0);
    STOPS_BY((pid_t)thread, SIGTRAP);
    REQUIRE_EQUAL(registers_of((pid_t)thread).rbx, shared->threads[0].before.rbx);
    continue_with((pid_t)thread, PTRACE_CONT, 0);
    int status;
    REQUIRE_EQUAL(waitpid((pid_t)thread, &status, __WALL), thread);
    REQUIRE(WIFEXITED(status));
    EXITS(process, 0);
}
