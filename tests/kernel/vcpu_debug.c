// SPDX-License-Identifier: BSD-2-Clause
// Debug registers of a guest: watchpoints and breakpoints strike the guest and
// nobody else, whatever comes between; what is no guest's business is refused.
#include "vcpu_guest.h"

// DR7: N is on for the kind and length, as Intel SDM volume 3, 18.2.4 encodes them.
#define EXECUTION 0ull
#define WRITES    1ull
#define PORTS     2ull
#define ACCESSES  3ull
#define LENGTH_1  0ull
#define LENGTH_2  1ull
#define LENGTH_8  2ull
#define LENGTH_4  3ull
#define DEBUG(number, kind, length)                                                                \
    (1ull << (2 * (number)) | ((kind) | (length) << 2) << (16 + 4 * (number)))

#define FLAG_TRAP   0x100u
#define FLAG_RESUME 0x10000u

#define EXIT(vector) ((uint64_t)VCPU_EXIT_EXCEPTION << 32 | (vector))

GUEST(guest_touches, "movabs $0x500000000, %rbx\n\t"
                     "mov %rax, 8(%rbx)\n\t"
                     "mov (%rbx), %rcx\n"
                     "after_read:\n\t"
                     "mov %rax, (%rbx)\n"
                     "after_write:\n\t"
                     "nop\n"
                     "at_call:\n\t"
                     "syscall");
GUEST(guest_waits, "movabs $0x500000000, %rbx\n"
                   "1:\tcmpq $0, 16(%rbx)\n\t"
                   "je 1b\n\t"
                   "mov %rax, (%rbx)\n\t"
                   "syscall");
extern const char after_read[], after_write[], at_call[];

// A selector that is watched goes into SS: the exception is put off by one instruction.
#define SHADOW(name, instruction)                                                                  \
    GUEST(name,                                                                                    \
          "movabs $0x500000000, %rbx\n\tmov (%rbx), %ss\n\t" instruction "\n\txor %eax, %eax"      \
          "\n\tsyscall")
SHADOW(shadow_syscall, "syscall");
SHADOW(shadow_int3, "int3");
SHADOW(shadow_int, "int $0x80");
SHADOW(shadow_ud2, "ud2");
SHADOW(shadow_int1, ".byte 0xf1");
SHADOW(shadow_fault, "mov 8, %rcx");
SHADOW(shadow_nop, "nop");
SHADOW(shadow_prefixed, ".byte 0xf3, 0x48, 0x0f, 0x05");
// The instruction itself hits, then faults.
SHADOW(shadow_copy, "mov %rbx, %rsi\n\tmov $8, %edi\n\tmovsb");

static void run(const char *code, void (*function)(void *))
{
    guest_make(code);
    guest_serve(function);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT(server->done);
}

SERVER static void watch(unsigned number, const volatile void *address, uint64_t control)
{
    VCPU->debug_address[number] = (uint64_t)address;
    VCPU->debug_control = control;
}

// Notes how it ended, what the debug status is, and where.
SERVER static void note_run(void)
{
    uint64_t reason = (uint64_t)vcpu_run(guest_task);

    note(reason == VCPU_EXIT_EXCEPTION ? EXIT(VCPU->vector) : reason);
    note(VCPU->debug_status);
    note(VCPU->guest.rip);
}

static void expect_stop(unsigned stop, uint64_t status, const char *ip)
{
    EXPECT_EQUAL(notes[3 * stop], EXIT(1));
    EXPECT_EQUAL(notes[3 * stop + 1], status);
    EXPECT_EQUAL(notes[3 * stop + 2], (uint64_t)ip);
}

// --- Strikes ----------------------------------------------------------------------------

SERVER static void serve_write(void *argument)
{
    (void)argument;
    guest_begin(guest_touches);
    VCPU->guest.rax = 77;
    watch(0, (void *)GUEST_DATA, DEBUG(0, WRITES, LENGTH_8));
    note_run();
    note_run();
    // Turned off again.
    guest_begin(guest_touches);
    VCPU->debug_control = 0;
    note_run();
}

static void test_write(void)
{
    run(guest_touches, serve_write);
    expect_stop(0, 1, after_write);
    EXPECT_EQUAL(notes[3], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[6], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(note_count, 9);
    EXPECT_EQUAL(*(uint64_t *)guest_data, 0);
    EXPECT_EQUAL(*(uint64_t *)(guest_data + 8), 0);
    guest_drop();
}

SERVER static void serve_four(void *argument)
{
    (void)argument;
    guest_begin(guest_touches);
    watch(1, (void *)GUEST_DATA, 0);
    watch(2, after_write, 0);
    watch(3, (void *)(GUEST_DATA + 10),
          DEBUG(1, ACCESSES, LENGTH_4) | DEBUG(2, EXECUTION, LENGTH_1) |
              DEBUG(3, WRITES, LENGTH_2));
    for (unsigned i = 0; i < 3; i++)
        note_run();
    // Behind the write is the breakpoint too: before the instruction, until RF is set.
    note_run();
    note_run();
    VCPU->guest.rflags |= FLAG_RESUME;
    note_run();
}

static void test_four(void)
{
    run(guest_touches, serve_four);
    EXPECT_EQUAL(notes[0], EXIT(1));
    EXPECT_EQUAL(notes[1], 8);
    expect_stop(1, 2, after_read);
    EXPECT_EQUAL(notes[6], EXIT(1));
    EXPECT_EQUAL(notes[7] & 2, 2);
    expect_stop(3, 4, after_write);
    expect_stop(4, 4, after_write);
    EXPECT_EQUAL(notes[15], VCPU_EXIT_SYSCALL);
    guest_drop();
}

SERVER static void serve_step(void *argument)
{
    (void)argument;
    guest_begin(guest_touches);
    VCPU->guest.rip = (uint64_t)after_read;
    VCPU->guest.rbx = GUEST_DATA;
    VCPU->guest.rflags = FLAG_TRAP;
    watch(0, (void *)GUEST_DATA, DEBUG(0, WRITES, LENGTH_1));
    note_run();
    VCPU->debug_control = 0;
    note_run();
}

static void test_step(void)
{
    run(guest_touches, serve_step);
    expect_stop(0, VCPU_DEBUG_STEP | 1, after_write);
    expect_stop(1, VCPU_DEBUG_STEP, at_call);
    guest_drop();
}

// --- Nobody else ------------------------------------------------------------------------

SERVER static void serve_waiting(void *argument)
{
    (void)argument;
    guest_begin(guest_waits);
    watch(2, (void *)GUEST_DATA, DEBUG(2, ACCESSES, LENGTH_8));
    note_run();
    *(volatile uint64_t *)GUEST_DATA = 1;
    note_run();
    *(volatile uint64_t *)GUEST_DATA = 2;
    note(0x600d);
}

// This task has the same page at the same address.
static void test_others(void)
{
    guest_make(guest_waits);
    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)guest_data, GUEST_DATA, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    guest_serve(serve_waiting);
    for (uint64_t i = 0; i < 20; i++) {
        sleep_for(MILLISECOND); // the guest is interrupted for this thread
        *(volatile uint64_t *)GUEST_DATA = i;
        EXPECT_EQUAL(*(volatile uint64_t *)GUEST_DATA, i);
    }
    EXPECT_EQUAL(note_count, 0);
    ((volatile uint64_t *)GUEST_DATA)[2] = 1;
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT(server->done);
    EXPECT_EQUAL(notes[0], EXIT(1));
    EXPECT_EQUAL(notes[1], 4);
    EXPECT_EQUAL(notes[3], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[6], 0x600d);
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, GUEST_DATA, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF, NULL,
                           NULL, NULL));
    guest_drop();
}

// --- Put off ----------------------------------------------------------------------------

static const struct {
    const char *code;
    uint64_t vector; // of the instruction in the shadow; 0: none
    uint8_t length;  // what it must be sent over
} shadows[] = {
    {shadow_syscall, 0, 0}, {shadow_prefixed, 0, 0}, {shadow_int3, 3, 0},
    {shadow_int, 13, 2},    {shadow_ud2, 6, 2},      {shadow_int1, 6, 1}, // QEMU has none
    {shadow_nop, 0, 0},     {shadow_fault, 14, 8},   {shadow_copy, 14, 1}};
#define SHADOWS (sizeof shadows / sizeof shadows[0])

static volatile unsigned shadow;

SERVER static void serve_shadow(void *argument)
{
    (void)argument;
    guest_begin(shadows[shadow].code);
    VCPU->guest.rax = 1;
    watch(0, (void *)GUEST_DATA, DEBUG(0, ACCESSES, LENGTH_2));
    for (unsigned i = 0; i < 8; i++) {
        uint64_t reason = (uint64_t)vcpu_run(guest_task);
        uint64_t vector = reason == VCPU_EXIT_EXCEPTION    ? VCPU->vector
                          : reason == VCPU_EXIT_PAGE_FAULT ? 14
                                                           : 0;

        if (reason == VCPU_EXIT_SYSCALL && VCPU->guest.rax == 0) {
            note(0x600d);
            return;
        }
        if (vector != 1 && (reason == VCPU_EXIT_SYSCALL || vector != shadows[shadow].vector))
            note(reason << 32 | vector);
        if (vector == shadows[shadow].vector)
            VCPU->guest.rip += shadows[shadow].length;
        VCPU->guest.rax = 1;
    }
}

// In whatever mode the exception then strikes, the kernel lives and the guest goes on.
static void test_shadows(void)
{
    for (shadow = 0; shadow < SHADOWS; shadow++) {
        guest_make(shadows[shadow].code);
        __asm__ volatile("mov %%ss, %0" : "=m"(*(uint16_t *)guest_data));
        guest_serve(serve_shadow);
        EXPECT(helper_waits(server, THREAD_TERMINATED));
        EXPECT(server->done);
        // The system call in the shadow is one exit more.
        unsigned more = shadow < 2;
        EXPECT_EQUAL(note_count, 1 + more);
        EXPECT_EQUAL(notes[more], 0x600d);
        guest_drop();
    }
}

// --- Refused ----------------------------------------------------------------------------

static const struct {
    uint64_t address, control;
} refused[] = {
    {USER_END, DEBUG(0, WRITES, LENGTH_1)},
    {USER_END, DEBUG(0, EXECUTION, LENGTH_1)},
    {USER_END - 4, DEBUG(0, WRITES, LENGTH_8)},
    {0xffff800000000000, DEBUG(0, WRITES, LENGTH_8)},
    {0xffffffff80100000, DEBUG(0, EXECUTION, LENGTH_1)},
    {0xfffffffffffffff8, DEBUG(0, ACCESSES, LENGTH_8)},
    {0x0000800000000000, DEBUG(0, ACCESSES, LENGTH_8)},
    {GUEST_DATA + 1, DEBUG(0, WRITES, LENGTH_2)},
    {GUEST_DATA + 2, DEBUG(0, WRITES, LENGTH_4)},
    {GUEST_DATA + 4, DEBUG(0, WRITES, LENGTH_8)},
    {GUEST_DATA, DEBUG(0, EXECUTION, LENGTH_2)},
    {0x80, DEBUG(0, PORTS, LENGTH_1)},
    {0x80, 2 | PORTS << 16},                            // enabled globally
    {GUEST_DATA, DEBUG(0, WRITES, LENGTH_8) | 1 << 13}, // general detect
    {GUEST_DATA, DEBUG(0, WRITES, LENGTH_8) | 1 << 11},
    {GUEST_DATA, 1ull << 32},
    {GUEST_DATA, 1ull << 63},
};
#define REFUSED (sizeof refused / sizeof refused[0])

SERVER static void serve_refused(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < REFUSED; i++) {
        guest_begin(guest_touches);
        watch(0, (void *)refused[i].address, refused[i].control);
        note((uint64_t)vcpu_run(guest_task));
    }
    // One that is off may hold anything; so may the highest address that can be watched be.
    guest_begin(guest_touches);
    watch(0, (void *)UINT64_MAX, 0);
    watch(1, (void *)(USER_END - 8), DEBUG(1, WRITES, LENGTH_8) | 0x700 | PORTS << 16);
    note((uint64_t)vcpu_run(guest_task));
    VCPU->debug_control = 0;
    guest_begin(guest_touches);
    note((uint64_t)vcpu_run(guest_task));
}

static void test_refused(void)
{
    run(guest_touches, serve_refused);
    for (unsigned i = 0; i < REFUSED; i++)
        EXPECT_EQUAL(notes[i], -(uint64_t)ERR_STATE);
    EXPECT_EQUAL(notes[REFUSED], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[REFUSED + 1], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(note_count, REFUSED + 2);
    guest_drop();
}

// --- Anything ---------------------------------------------------------------------------

#define ROUNDS 3000

static volatile unsigned entered, stopped;

SERVER static uint64_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15ull;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

SERVER static void serve_anything(void *argument)
{
    static const uint64_t places[] = {GUEST_DATA, USER_END - 8, 0xffffffff80100000ull, 0};

    (void)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t control = next_random();

        control &= next_random() & 0xffff07ff; // few bits at a time

        guest_begin(guest_touches);
        for (unsigned j = 0; j < 4; j++) {
            uint64_t random = next_random();
            VCPU->debug_address[j] = places[random & 3 & random >> 2] + (random >> 4 & 12);
        }
        if (i % 16 == 0)
            control = next_random();
        VCPU->debug_control = control;
        int64_t reason = vcpu_run(guest_task);
        if (reason == -(int64_t)ERR_STATE)
            continue;
        entered++;
        for (unsigned j = 0; j < 8 && reason == VCPU_EXIT_EXCEPTION && VCPU->vector == 1; j++) {
            if ((VCPU->debug_status & VCPU_DEBUG_HITS) == 0)
                note(control);
            stopped++;
            VCPU->guest.rflags |= FLAG_RESUME;
            reason = vcpu_run(guest_task);
        }
        if (reason != VCPU_EXIT_SYSCALL)
            note(control);
    }
}

// Refused, or it runs to its end by way of stops that have a cause.
static void test_anything(void)
{
    entered = stopped = 0;
    run(guest_touches, serve_anything);
    EXPECT_EQUAL(note_count, 0);
    EXPECT(entered > ROUNDS / 20);
    EXPECT(entered < ROUNDS * 19 / 20);
    EXPECT(stopped > ROUNDS / 50);
    guest_drop();
}

static const struct test tests[] = {
    {"a write watchpoint, then none", test_write, false},
    {"two watchpoints and a breakpoint at once", test_four, false},
    {"a watchpoint and a single step in one", test_step, false},
    {"watchpoints strike the guest alone", test_others, true},
    {"watchpoints put off by MOV SS", test_shadows, false},
    {"debug registers that are refused", test_refused, false},
    {"any debug registers", test_anything, false},
    {NULL, NULL, false},
};
const struct test_group vcpu_debug_tests = {"vcpu-debug", tests};
