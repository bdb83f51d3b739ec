// SPDX-License-Identifier: BSD-2-Clause
// vcpu_run: how a guest exits to its server and goes on, events, hostile
// register files, vector state of several contexts.
#include "vcpu_guest.h"

#include <string.h>

GUEST(guest_calls, "1:\tsyscall\n\tjmp 1b");
GUEST(guest_reads, "mov 8, %rax\n\tsyscall");
GUEST(guest_traps,
      "ud2\n\txor %ecx, %ecx\n\tdiv %ecx\n\tint3\n\thlt\n\tint $0x80\n\tnop\n\tsyscall");
GUEST(guest_spins, "1:\tinc %rax\n\tjmp 1b");
GUEST(guest_counts, "1:\tdec %rax\n\tjnz 1b\n\tsyscall");
GUEST(guest_sets_vector, "movq %rax, %xmm5\n\tvinsertf128 $1, %xmm5, %ymm5, %ymm5\n\tsyscall\n\t"
                         "movq %xmm5, %rax\n\tvextractf128 $1, %ymm5, %xmm6\n\tmovq %xmm6, %rbx\n\t"
                         "syscall");

#define CALLS_LENGTH 2 // bytes of `syscall`

static struct test_port port;

static void run(const char *code, void (*function)(void *))
{
    guest_make(code);
    guest_serve(function);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT(server->done);
    guest_drop();
}

// --- Exits ------------------------------------------------------------------------------

SERVER static void serve_calls(void *argument)
{
    volatile uint64_t *words = (volatile uint64_t *)&VCPU->guest;

    (void)argument;
    guest_begin(guest_calls);
    for (unsigned i = 0; i < 15; i++)
        words[i] = 0x1010101010101010ull * (i + 1);
    // Whatever the registers say: the message system call of another is not meant.
    VCPU->guest.rax = TAG_CALL;
    VCPU->guest.rdi = NAME_TASK_SELF;
    VCPU->guest.fs_base = 0x1000;
    VCPU->guest.gs_base = 0x2000;
    for (unsigned i = 0; i < 50; i++) {
        int64_t reason = vcpu_run(guest_task);
        if (reason != VCPU_EXIT_SYSCALL)
            note((uint64_t)reason);
    }
    for (unsigned i = 0; i < sizeof(struct vcpu_registers) / 8; i++)
        note(words[i]);
}

static void test_syscall(void)
{
    run(guest_calls, serve_calls);
    EXPECT_EQUAL(note_count, 20);
    for (unsigned i = 0; i < 10; i++)
        if (i != 6) // r11: flags
            EXPECT_EQUAL(notes[i], 0x1010101010101010ull * (i + 1));
    EXPECT_EQUAL(notes[6] & 0xfff, 0x202);
    EXPECT_EQUAL(notes[10], TAG_CALL);
    EXPECT_EQUAL(notes[11], (uint64_t)guest_calls + CALLS_LENGTH);
    EXPECT_EQUAL(notes[14], NAME_TASK_SELF);
    EXPECT_EQUAL(notes[15], (uint64_t)guest_calls + CALLS_LENGTH);
    EXPECT_EQUAL(notes[17], GUEST_DATA + PAGE_BYTES);
    EXPECT_EQUAL(notes[18], 0x1000);
    EXPECT_EQUAL(notes[19], 0x2000);
}

SERVER static void serve_fault(void *argument)
{
    (void)argument;
    guest_begin(guest_reads);
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->fault_address);
    note(VCPU->error_code);
    note(VCPU->guest.rip);
    note(VCPU->reason);
    // Sent over the instruction.
    VCPU->guest.rip += 8;
    note((uint64_t)vcpu_run(guest_task));
}

static void test_page_fault(void)
{
    run(guest_reads, serve_fault);
    EXPECT_EQUAL(notes[0], VCPU_EXIT_PAGE_FAULT);
    EXPECT_EQUAL(notes[1], 8);
    EXPECT_EQUAL(notes[2], 4);
    EXPECT_EQUAL(notes[3], (uint64_t)guest_reads);
    EXPECT_EQUAL(notes[4], VCPU_EXIT_PAGE_FAULT);
    EXPECT_EQUAL(notes[5], VCPU_EXIT_SYSCALL);
}

SERVER static void serve_traps(void *argument)
{
    static const uint8_t lengths[] = {2, 2, 0, 1, 2};

    (void)argument;
    guest_begin(guest_traps);
    for (unsigned i = 0; i < 5; i++) {
        if (i == 1)
            VCPU->guest.rip += 2; // xor
        note((uint64_t)vcpu_run(guest_task) << 32 | (uint64_t)VCPU->vector << 16 |
             VCPU->error_code);
        VCPU->guest.rip += lengths[i];
    }
    VCPU->guest.rflags |= 0x100;
    note((uint64_t)vcpu_run(guest_task) << 32 | (uint64_t)VCPU->vector << 16);
    VCPU->guest.rflags &= ~0x100ull;
    note((uint64_t)vcpu_run(guest_task));
}

static void test_exceptions(void)
{
    const uint64_t exit = (uint64_t)VCPU_EXIT_EXCEPTION << 32;

    run(guest_traps, serve_traps);
    EXPECT_EQUAL(notes[0], exit | 6 << 16);
    EXPECT_EQUAL(notes[1], exit | 0 << 16);
    EXPECT_EQUAL(notes[2], exit | 3 << 16);
    EXPECT_EQUAL(notes[3], exit | 13 << 16);
    EXPECT_EQUAL(notes[4] >> 16, (exit | 13 << 16) >> 16); // emulators differ in the error code
    EXPECT_EQUAL(notes[5], exit | 1 << 16);
    EXPECT_EQUAL(notes[6], VCPU_EXIT_SYSCALL);
}

// --- Events -----------------------------------------------------------------------------

SERVER static void serve_event(void *argument)
{
    (void)argument;
    guest_begin(guest_spins);
    VCPU->events_enabled = 1;
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->pending);
    note(VCPU->guest.rax > 0);
    // Still pending: at once, and the guest has not moved.
    uint64_t at = VCPU->guest.rax;
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->guest.rax - at);
    // Masked: it only stays pending.
    guest_begin(guest_counts);
    VCPU->guest.rax = 1000000;
    VCPU->events_enabled = 0;
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->pending);
}

static void test_event_exit(void)
{
    guest_make(guest_spins);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 5));
    guest_serve(serve_event);
    sleep_for(20 * MILLISECOND);
    EXPECT_EQUAL(note_count, 0);
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(notes[0], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[1], 1ull << 5);
    EXPECT_EQUAL(notes[2], 1);
    EXPECT_EQUAL(notes[3], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[4], 0);
    EXPECT_EQUAL(notes[5], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[6], 1ull << 5);
    guest_drop();
    port_drop(&port);
}

SERVER static void serve_idle(void *argument)
{
    (void)argument;
    // With events masked, as an idle loop does.
    VCPU->events_enabled = 0;
    note((uint64_t)vcpu_run(PORT_NULL));
    note(VCPU->pending);
    note((uint64_t)vcpu_run(PORT_NULL));
    VCPU->pending = 0;
    note((uint64_t)vcpu_run(PORT_NULL));
    note(VCPU->pending);
    VCPU->pending = 0;
    note((uint64_t)vcpu_run(PORT_NULL));
}

// Notifications and messages alike end the wait.
static void test_idle(void)
{
    guest_make(guest_spins);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 63));
    guest_serve(serve_idle);
    EXPECT(helper_waits(server, THREAD_IDLING));
    EXPECT_EQUAL(note_count, 0);
    EXPECT_OK(msg_notify(port.send, 8));
    EXPECT(helper_waits(server, THREAD_IDLING));
    EXPECT_EQUAL(notes[0], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[1], 1ull << 63);
    EXPECT_EQUAL(notes[2], VCPU_EXIT_EVENT);
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND));
    sleep_for(5 * MILLISECOND);
    EXPECT_EQUAL(notes[3], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[4], 1ull << 63);
    EXPECT(helper_waits(server, THREAD_IDLING));
    EXPECT_OK(thread_abort(server->thread));
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(notes[5], -(int64_t)ERR_ABORTED);
    guest_drop();
    port_drop(&port);
}

// --- Refused ----------------------------------------------------------------------------

SERVER static void serve_hostile(void *argument)
{
    static const uint64_t bad[] = {0x0000ffffffffffffull, 0x0000800000000000ull,
                                   0xffff800000000000ull, 0xffffffff80100000ull, UINT64_MAX};

    (void)argument;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        guest_begin(guest_calls);
        VCPU->guest.rip = bad[i];
        note((uint64_t)vcpu_run(guest_task));
        guest_begin(guest_calls);
        VCPU->guest.fs_base = bad[i];
        note((uint64_t)vcpu_run(guest_task));
        guest_begin(guest_calls);
        VCPU->guest.gs_base = bad[i];
        note((uint64_t)vcpu_run(guest_task));
        if (VCPU->guest.gs_base != bad[i])
            note(i);
        // A stack pointer may be anything.
        guest_begin(guest_calls);
        VCPU->guest.rsp = bad[i];
        note((uint64_t)vcpu_run(guest_task));
    }
    // And flags are cut down to what is harmless.
    guest_begin(guest_calls);
    VCPU->guest.rflags = ~0x100ull;
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->guest.r11);
    // Resumed the fast way, with rcx and r11 that look like a system call's.
    guest_begin(guest_calls);
    VCPU->guest.rcx = VCPU->guest.rip = 0x0000800000000000ull;
    VCPU->guest.r11 = VCPU->guest.rflags = 0x202;
    note((uint64_t)vcpu_run(guest_task));
}

static void test_hostile(void)
{
    run(guest_calls, serve_hostile);
    EXPECT_EQUAL(note_count, 23);
    for (unsigned i = 0; i < 20; i++) {
        // Bases may lie in the kernel's half, if the processor can hold them.
        bool allowed = i % 4 == 3 || (i % 4 != 0 && i / 4 >= 2);
        EXPECT_EQUAL(notes[i], allowed ? (uint64_t)VCPU_EXIT_SYSCALL : -(uint64_t)ERR_STATE);
    }
    EXPECT_EQUAL(notes[20], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[21] & 0x1a7200, 0x200);
    EXPECT_EQUAL(notes[22], -(uint64_t)ERR_STATE);
}

SERVER static void serve_wrong(void *argument)
{
    (void)argument;
    guest_begin(guest_calls);
    note((uint64_t)vcpu_run(NAME_TASK_SELF));
    note((uint64_t)vcpu_run(NAME_THREAD_MAIN));
    note((uint64_t)vcpu_run(port.send));
    note((uint64_t)vcpu_run(port.receive));
    note((uint64_t)vcpu_run(54321));
    note((uint64_t)vcpu_run(0xffffffffu));
    note((uint64_t)vcpu_run(guest_task));
    // The guest is ended while it is nobody's current one.
    uint64_t tag = TAG_CALL, to = guest_task, id = SERVICE_task_terminate;
    register uint64_t word __asm__("r8") = 0;
    __asm__ volatile("syscall"
                     : "+a"(tag), "+D"(to), "+d"(id), "+r"(word)
                     :
                     : "rsi", "rcx", "r9", "r10", "r11", "r12", "r13", "r14", "memory");
    note(word);
    note((uint64_t)vcpu_run(guest_task) >> 63);
}

static void test_wrong_guest(void)
{
    port = port_make(0);
    guest_make(guest_calls);
    EXPECT_EQUAL(vcpu_run(guest_task), (int64_t)ERR_STATE << TAG_ERROR_SHIFT);
    guest_serve(serve_wrong);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    for (unsigned i = 0; i < 6; i++)
        EXPECT_EQUAL(notes[i], -(uint64_t)ERR_INVALID_RIGHT);
    EXPECT_EQUAL(notes[6], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[7], ERR_OK);
    EXPECT_EQUAL(notes[8], 1);
    helper_destroy(server);
    right_drop(guest_task);
    pages_free(guest_data, 1);
    port_drop(&port);
}

// --- Vector state -----------------------------------------------------------------------

#define AREA_BYTES      4096
#define AREA_MXCSR      24 // Intel SDM volume 1, section 13.4
#define AREA_XMM5       (160 + 5 * 16)
#define AREA_STATE_BITS 512
#define AREA_COMPACTION 520

static char *areas; // two save areas

SERVER static void serve_vectors(void *argument)
{
    struct {
        uint64_t rip;
    } contexts[2];

    (void)argument;
    for (uint64_t i = 0; i < 2; i++) {
        guest_begin(guest_sets_vector);
        VCPU->guest.rax = 0xaaaa0000 + i;
        VCPU->fpu_area = (uint64_t)areas + i * AREA_BYTES;
        note((uint64_t)vcpu_run(guest_task));
        contexts[i].rip = VCPU->guest.rip;
    }
    for (uint64_t i = 0; i < 2; i++) {
        guest_begin(guest_sets_vector);
        VCPU->guest.rip = contexts[i].rip;
        VCPU->fpu_area = (uint64_t)areas + i * AREA_BYTES;
        note((uint64_t)vcpu_run(guest_task));
        note(VCPU->guest.rax);
        note(VCPU->guest.rbx);
    }
}

static void test_vectors(void)
{
    areas = pages_allocate(2);
    *(uint32_t *)(areas + AREA_MXCSR) = *(uint32_t *)(areas + AREA_BYTES + AREA_MXCSR) = 0x1f80;
    guest_make(guest_sets_vector);
    guest_serve(serve_vectors);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(notes[0], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[1], VCPU_EXIT_SYSCALL);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT_EQUAL(notes[2 + 3 * i], VCPU_EXIT_SYSCALL);
        EXPECT_EQUAL(notes[3 + 3 * i], 0xaaaa0000 + i);
        EXPECT_EQUAL(notes[4 + 3 * i], 0xaaaa0000 + i);
    }
    // The first context was written back when the second one needed the unit.
    EXPECT_EQUAL(*(uint64_t *)(areas + AREA_XMM5), 0xaaaa0000);
    guest_drop();
    pages_free(areas, 2);
}

// Flushed on demand, changed there, and seen by the guest.
SERVER static void serve_flush(void *argument)
{
    (void)argument;
    guest_begin(guest_sets_vector);
    VCPU->guest.rax = 0x1234;
    VCPU->fpu_area = (uint64_t)areas;
    note((uint64_t)vcpu_run(guest_task));
    uint64_t tag = TAG_CALL, to = server->thread, id = SERVICE_vcpu_fpu_flush;
    register uint64_t word __asm__("r8") = 0;
    __asm__ volatile("syscall"
                     : "+a"(tag), "+D"(to), "+d"(id), "+r"(word)
                     :
                     : "rsi", "rcx", "r9", "r10", "r11", "r12", "r13", "r14", "memory");
    note(word);
    note(*(volatile uint64_t *)(areas + AREA_XMM5));
    *(volatile uint64_t *)(areas + AREA_XMM5) = 0x9876;
    note((uint64_t)vcpu_run(guest_task));
    note(VCPU->guest.rax);
}

static void test_flush(void)
{
    areas = pages_allocate(1);
    *(uint32_t *)(areas + AREA_MXCSR) = 0x1f80;
    guest_make(guest_sets_vector);
    guest_serve(serve_flush);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(notes[0], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[1], ERR_OK);
    EXPECT_EQUAL(notes[2], 0x1234);
    EXPECT_EQUAL(notes[3], VCPU_EXIT_SYSCALL);
    EXPECT_EQUAL(notes[4], 0x9876);
    guest_drop();
    pages_free(areas, 1);
}

static volatile bool released;

SERVER static void serve_lost_area(void *argument)
{
    (void)argument;
    guest_begin(guest_sets_vector);
    VCPU->fpu_area = SCRATCH;
    note((uint64_t)vcpu_run(guest_task));
    while (!released)
        __builtin_ia32_pause();
}

// The save area is gone by the time of the flush: what was held is forgotten.
static void test_flush_fails(void)
{
    areas = pages_allocate(1);
    *(uint32_t *)(areas + AREA_MXCSR) = 0x1f80;
    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)areas, SCRATCH, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    guest_make(guest_sets_vector);
    released = false;
    guest_serve(serve_lost_area);
    for (unsigned i = 0; i < 1000 && note_count == 0; i++)
        sleep_for(MILLISECOND);
    EXPECT_EQUAL(notes[0], VCPU_EXIT_SYSCALL);
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, SCRATCH, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF, NULL,
                           NULL, NULL));
    EXPECT_EQUAL(vcpu_fpu_flush(server->thread), ERR_FAULT);
    EXPECT_OK(vcpu_fpu_flush(server->thread));
    released = true;
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    guest_drop();
    pages_free(areas, 1);
}

SERVER static void serve_bad_areas(void *argument)
{
    const uint64_t bad[] = {
        0, SCRATCH, USER_END - 16, 0xffff800000000000ull, UINT64_MAX, (uint64_t)areas + 8};

    (void)argument;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        guest_begin(guest_sets_vector);
        VCPU->fpu_area = bad[i];
        note((uint64_t)vcpu_run(guest_task) << 32 | VCPU->vector);
    }
}

// No area, or none that can be read: the guest finds no vector unit. A
// misaligned one is only memory, and hostile contents are made harmless.
static void test_bad_areas(void)
{
    areas = pages_allocate(2);
    memset(areas, 0xff, 2 * PAGE_BYTES);
    guest_make(guest_sets_vector);
    guest_serve(serve_bad_areas);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQUAL(notes[i], (uint64_t)VCPU_EXIT_EXCEPTION << 32 | 7);
    EXPECT(notes[5] >> 32 == VCPU_EXIT_SYSCALL || notes[5] >> 32 == VCPU_EXIT_EXCEPTION);
    guest_drop();
    // All kinds of headers and control words.
    static const uint64_t bits[] = {UINT64_MAX, 1ull << 63, 1ull << 62, 0x200, 7, 0};
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        memset(areas, (int)(i * 51), 2 * PAGE_BYTES);
        *(uint64_t *)(areas + AREA_STATE_BITS) = bits[i];
        *(uint64_t *)(areas + AREA_COMPACTION) = bits[5 - i];
        *(uint32_t *)(areas + AREA_MXCSR) = i % 2 ? 0xffffffff : 0x1f80;
        guest_make(guest_sets_vector);
        guest_serve(serve_vectors);
        EXPECT(helper_waits(server, THREAD_TERMINATED));
        EXPECT(server->done);
        guest_drop();
    }
    pages_free(areas, 2);
}

static const struct test tests[] = {
    {"exit by syscall, registers kept", test_syscall, false},
    {"exit by a page fault", test_page_fault, false},
    {"exit by exceptions", test_exceptions, false},
    {"exit by an event, masked events", test_event_exit, false},
    {"waiting without a guest", test_idle, false},
    {"hostile register files", test_hostile, false},
    {"what is no guest", test_wrong_guest, false},
    {"vector state of two contexts", test_vectors, false},
    {"vector state flushed and changed", test_flush, false},
    {"vector state flushed to where nothing is", test_flush_fails, false},
    {"bad and hostile save areas", test_bad_areas, false},
    {NULL, NULL, false},
};
const struct test_group vcpu_tests = {"vcpu", tests};
