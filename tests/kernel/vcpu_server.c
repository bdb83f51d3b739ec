// SPDX-License-Identifier: BSD-2-Clause
// The vCPU's server side: entered by events and by its own faults, resumed, and
// what is refused when a vCPU is made and bound.
#include "vcpu_guest.h"

GUEST(guest_idles, "syscall");
GUEST(guest_counts_down, "1:\tdec %rax\n\tjnz 1b\n\tsyscall");

static struct test_port port;
static volatile bool entered;

// Copy of the interrupted registers, and the way back to them.
struct vcpu_registers interrupted;
void go_back(void);
__asm__(".pushsection .text\n"
        "go_back:\n\t"
        "push interrupted+128(%rip)\n\t"
        "popf\n\t"
        "mov interrupted+0(%rip), %r15\n\t"
        "mov interrupted+8(%rip), %r14\n\t"
        "mov interrupted+16(%rip), %r13\n\t"
        "mov interrupted+24(%rip), %r12\n\t"
        "mov interrupted+32(%rip), %rbp\n\t"
        "mov interrupted+40(%rip), %rbx\n\t"
        "mov interrupted+48(%rip), %r11\n\t"
        "mov interrupted+56(%rip), %r10\n\t"
        "mov interrupted+64(%rip), %r9\n\t"
        "mov interrupted+72(%rip), %r8\n\t"
        "mov interrupted+80(%rip), %rax\n\t"
        "mov interrupted+88(%rip), %rcx\n\t"
        "mov interrupted+96(%rip), %rdx\n\t"
        "mov interrupted+104(%rip), %rsi\n\t"
        "mov interrupted+112(%rip), %rdi\n\t"
        "mov interrupted+136(%rip), %rsp\n\t"
        "jmp *interrupted+120(%rip)\n\t"
        ".popsection");

extern volatile uint64_t server_resume;
volatile uint64_t server_resume;

SERVER static void entry(void)
{
    uint64_t stack = (uint64_t)__builtin_frame_address(0);

    for (unsigned i = 0; i < sizeof interrupted / 8; i++)
        ((uint64_t *)&interrupted)[i] = ((volatile uint64_t *)&VCPU->server)[i];
    note(VCPU->reason);
    note((uint64_t)VCPU->in_entry << 1 | VCPU->events_enabled);
    note(VCPU->reason == VCPU_EXIT_EVENT ? VCPU->pending : VCPU->fault_address);
    note(VCPU->vector);
    note(interrupted.rsp - stack >= 128 && interrupted.rsp - stack < 400);
    VCPU->pending = 0;
    VCPU->in_entry = 0;
    if (VCPU->reason != VCPU_EXIT_EVENT)
        interrupted.rip = server_resume;
    entered = true;
    go_back();
}

// --- Events -----------------------------------------------------------------------------

SERVER static void serve_spinning(void *argument)
{
    uint64_t a = 0x1111, b = 0x2222, rounds = 0;

    (void)argument;
    VCPU->entry = (uint64_t)entry;
    VCPU->events_enabled = 1;
    while (!entered) {
        // Values in registers and in the red zone that must be there afterwards.
        __asm__ volatile("mov %0, -8(%%rsp)\n\tmov %1, -128(%%rsp)\n\t"
                         "mov $1000, %%ecx\n"
                         "1:\tloop 1b\n\t"
                         "cmp %0, -8(%%rsp)\n\tjne 2f\n\t"
                         "cmp %1, -128(%%rsp)\n\tje 3f\n"
                         "2:\tud2\n"
                         "3:"
                         : "+r"(a), "+r"(b)
                         :
                         : "rcx", "cc", "memory");
        rounds++;
    }
    note(rounds > 0 && a == 0x1111 && b == 0x2222);
    note(VCPU->events_enabled);
}

static void test_event(void)
{
    entered = false;
    guest_make(guest_idles);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 3));
    EXPECT_OK(thread_set_priority(server->thread, 50));
    guest_serve(serve_spinning);
    sleep_for(10 * MILLISECOND);
    EXPECT_EQUAL(note_count, 0);
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(note_count, 7);
    EXPECT_EQUAL(notes[0], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[1], 2);
    EXPECT_EQUAL(notes[2], 1ull << 3);
    EXPECT_EQUAL(notes[4], 1);
    EXPECT_EQUAL(notes[5], 1);
    EXPECT_EQUAL(notes[6], 0);
    guest_drop();
    port_drop(&port);
}

SERVER static void serve_masked(void *argument)
{
    (void)argument;
    VCPU->entry = (uint64_t)entry;
    VCPU->events_enabled = 0;
    while (VCPU->pending == 0)
        __builtin_ia32_pause();
    note(VCPU->pending);
    note(entered);
}

static void test_masked(void)
{
    entered = false;
    guest_make(guest_idles);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 0));
    EXPECT_OK(thread_set_priority(server->thread, 50));
    guest_serve(serve_masked);
    sleep_for(5 * MILLISECOND);
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(note_count, 2);
    EXPECT_EQUAL(notes[0], 1);
    EXPECT_EQUAL(notes[1], 0);
    guest_drop();
    port_drop(&port);
}

// --- Faults of the server -----------------------------------------------------------------

SERVER static void serve_faulting(void *argument)
{
    (void)argument;
    VCPU->entry = (uint64_t)entry;
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, server_resume(%%rip)\n\t"
                     "mov %0, %%rcx\n\t"
                     "mov (%%rcx), %%rax\n"
                     "1:"
                     :
                     : "r"(SCRATCH + 0x2345)
                     : "rax", "rcx", "memory");
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, server_resume(%%rip)\n\t"
                     "ud2\n"
                     "1:" ::
                         : "rax", "memory");
    note(0x600d);
}

static void test_fault(void)
{
    guest_make(guest_idles);
    guest_serve(serve_faulting);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT(server->done);
    EXPECT_EQUAL(note_count, 11);
    EXPECT_EQUAL(notes[0], VCPU_EXIT_PAGE_FAULT);
    EXPECT_EQUAL(notes[1], 2);
    EXPECT_EQUAL(notes[2], SCRATCH + 0x2345);
    EXPECT_EQUAL(notes[4], 1);
    EXPECT_EQUAL(notes[5], VCPU_EXIT_EXCEPTION);
    EXPECT_EQUAL(notes[8], 6);
    EXPECT_EQUAL(notes[10], 0x600d);
    guest_drop();
}

SERVER static void bad_entry(void)
{
    note(VCPU->reason);
    __asm__ volatile("ud2");
}

SERVER static void serve_bad_entry(void *argument)
{
    (void)argument;
    VCPU->entry = (uint64_t)bad_entry;
    __asm__ volatile("ud2");
}

// A fault before the entry is done goes to the exception port.
static void test_fault_in_entry(void)
{
    struct test_pager handler;

    guest_make(guest_idles);
    pager_start(&handler, PAGER_REFUSE, NULL, 0);
    pager_serves(&handler, server->thread);
    guest_serve(serve_bad_entry);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT(!server->done);
    EXPECT_EQUAL(note_count, 1);
    EXPECT_EQUAL(handler.exceptions, 1);
    EXPECT_EQUAL(handler.last_exception.vector, 6);
    EXPECT(handler.last_exception.ip >= (uint64_t)bad_entry);
    guest_drop();
    pager_stop(&handler);
}

// An entry in the kernel's half is none.
SERVER static void serve_kernel_entry(void *argument)
{
    (void)argument;
    VCPU->entry = 0xffffffff80100000ull;
    VCPU->events_enabled = 1;
    VCPU->pending = 1;
    __asm__ volatile("ud2");
}

static void test_kernel_entry(void)
{
    struct test_pager handler;

    guest_make(guest_idles);
    pager_start(&handler, PAGER_REFUSE, NULL, 0);
    pager_serves(&handler, server->thread);
    guest_serve(serve_kernel_entry);
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(handler.exceptions, 1);
    guest_drop();
    pager_stop(&handler);
}

// --- Refused ----------------------------------------------------------------------------

static void test_attach(void)
{
    struct helper *helper = helper_create(0);

    EXPECT_EQUAL(vcpu_bind(helper->thread, PORT_NULL, 0), ERR_STATE);
    EXPECT_EQUAL(vcpu_fpu_flush(helper->thread), ERR_STATE);
    EXPECT_EQUAL(vcpu_attach(helper->thread, VCPU_PAGE + 1), ERR_INVALID_RANGE);
    EXPECT_EQUAL(vcpu_attach(helper->thread, 0xffffffff80000000ull), ERR_INVALID_RANGE);
    EXPECT_EQUAL(vcpu_attach(helper->thread, USER_MAP_END), ERR_INVALID_RANGE);
    EXPECT_EQUAL(vcpu_attach(helper->thread, (uint64_t)helper->utcb), ERR_IN_USE);
    EXPECT_OK(vcpu_attach(helper->thread, VCPU_PAGE));
    EXPECT_EQUAL(vcpu_attach(helper->thread, VCPU_PAGE + PAGE_BYTES), ERR_IN_USE);
    uint64_t access = 0;
    EXPECT_OK(memory_info(NAME_TASK_SELF, VCPU_PAGE, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, ACCESS_READ | ACCESS_WRITE);
    EXPECT_EQUAL(memory_map(NAME_TASK_SELF, VCPU_PAGE, SCRATCH, PAGE_BYTES, ACCESS_READ, NULL),
                 ERR_ACCESS_DENIED);
    EXPECT_OK(vcpu_fpu_flush(helper->thread));
    helper_destroy(helper);
    EXPECT_OK(memory_info(NAME_TASK_SELF, VCPU_PAGE, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, 0);
}

static void test_bind(void)
{
    port_name_t set = PORT_NULL;

    guest_make(guest_idles);
    port = port_make(0);
    EXPECT_OK(port_set_allocate(&set));
    EXPECT_EQUAL(vcpu_bind(server->thread, port.send, 1), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(vcpu_bind(server->thread, 4711, 1), ERR_INVALID_NAME);
    EXPECT_EQUAL(vcpu_bind(server->thread, port.receive, 65), ERR_INVALID_ARGUMENT);
    EXPECT_OK(port_enable(port.receive, set));
    EXPECT_EQUAL(vcpu_bind(server->thread, port.receive, 1), ERR_IN_USE);
    EXPECT_OK(port_disable(port.receive));
    // What is there already is told at once.
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 9));
    EXPECT_EQUAL(VCPU->pending, 1ull << 9);
    VCPU->pending = 0;
    // Undone.
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 64));
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT_EQUAL(VCPU->pending, 0);
    // The port dies bound; then the server does.
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 9));
    port_drop(&port);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 10));
    guest_drop();
    EXPECT_OK(msg_notify(port.send, 1));
    port_drop(&port);
    right_drop(set);
}

// --- A guest that was interrupted and went on by itself -----------------------------------

SERVER static void serve_after_interruption(void *argument)
{
    uint64_t value = 0x5555;

    (void)argument;
    guest_begin(guest_counts_down);
    VCPU->guest.rax = 30000000;
    note((uint64_t)vcpu_run(guest_task));
    VCPU->entry = (uint64_t)entry;
    VCPU->events_enabled = 1;
    while (!entered)
        __asm__ volatile("mov $1000, %%ecx\n1:\tloop 1b" : "+a"(value) : : "rcx", "cc");
    note(value);
}

// The interruption is over when the guest has left by a system call: what comes next interrupts
// the server.
static void test_after_interruption(void)
{
    entered = false;
    guest_make(guest_counts_down);
    port = port_make(0);
    EXPECT_OK(vcpu_bind(server->thread, port.receive, 3));
    EXPECT_OK(thread_set_priority(server->thread, 50));
    guest_serve(serve_after_interruption);
    for (unsigned i = 0; i < 500 && note_count == 0; i++)
        sleep_for(MILLISECOND);
    EXPECT_EQUAL(note_count, 1);
    EXPECT_EQUAL(notes[0], VCPU_EXIT_SYSCALL);
    EXPECT_OK(msg_notify(port.send, 1));
    EXPECT(helper_waits(server, THREAD_TERMINATED));
    EXPECT_EQUAL(note_count, 7);
    EXPECT_EQUAL(notes[1], VCPU_EXIT_EVENT);
    EXPECT_EQUAL(notes[6], 0x5555);
    guest_drop();
    port_drop(&port);
}

static const struct test tests[] = {
    {"an event enters the running server", test_event, false},
    {"a masked event stays pending", test_masked, false},
    {"faults of the server enter it", test_fault, false},
    {"a fault inside the entry", test_fault_in_entry, false},
    {"an entry in the kernel", test_kernel_entry, false},
    {"an interrupted guest leaves nothing behind", test_after_interruption, false},
    {"attach", test_attach, false},
    {"bind", test_bind, false},
    {NULL, NULL, false},
};
const struct test_group vcpu_server_tests = {"vcpu-server", tests};
