// SPDX-License-Identifier: BSD-2-Clause
// Exceptions: each kind as a message, resumed with other registers; threads
// that have no handler, or one that lets them end.
#include "harness.h"

#include <corvus/vcpu.h>

#define FLAG_TRAP      0x100u
#define FLAG_ALIGNMENT 0x40000u

// Where a tried instruction is, and where to go on behind it.
extern volatile uint64_t try_ip, try_resume;
volatile uint64_t try_ip, try_resume;

#define TRY(code)                                                                                  \
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"                                                    \
                     "mov %%rax, try_ip(%%rip)\n\t"                                                \
                     "lea 2f(%%rip), %%rax\n\t"                                                    \
                     "mov %%rax, try_resume(%%rip)\n\t"                                            \
                     "mov $7, %%eax\n\t"                                                           \
                     "xor %%ecx, %%ecx\n\t"                                                        \
                     "xor %%edx, %%edx\n"                                                          \
                     "1:\n\t" code "\n"                                                            \
                     "2:\n\t"                                                                      \
                     :                                                                             \
                     :                                                                             \
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc")

static struct test_pager handler;
static struct child *child;
static volatile uint64_t marks;

// Sets the faulting thread down behind the instruction, with a mark in rbx.
static void set_down(struct test_pager *pager)
{
    struct vcpu_registers state = {0};
    size_t words = sizeof state / 8;

    (void)pager;
    EXPECT_OK(thread_get_state(child->thread, (uint64_t *)&state, &words));
    EXPECT_EQUAL(state.rip, handler.last_exception.ip);
    state.rip = try_resume;
    state.rflags &= ~(uint64_t)(FLAG_TRAP | FLAG_ALIGNMENT);
    state.rbx = 0x600d;
    EXPECT_OK(thread_set_state(child->thread, (uint64_t *)&state, sizeof state / 8));
}

static void run_in_child(void (*function)(void *), void *argument)
{
    child = child_create();
    pager_start(&handler, PAGER_REFUSE, NULL, 0);
    handler.on_exception = set_down;
    handler.resume = EXCEPTION_RESUME;
    pager_serves(&handler, child->thread);
    marks = 0;
    child_start(child, function, argument);
    child_join(child);
    child_destroy(child);
    pager_stop(&handler);
}

static void expect_exception(uint64_t vector, uint64_t error_code, uint64_t ip)
{
    EXPECT_EQUAL(handler.last_exception.vector, vector);
    EXPECT_EQUAL(handler.last_exception.error_code, error_code);
    EXPECT_EQUAL(handler.last_exception.ip, ip);
    EXPECT_EQUAL(handler.last_exception.thread, child->thread_id);
    handler.last_exception = (struct exception_message){.vector = 999};
    marks++;
}

static void simple(void *argument)
{
    uint64_t mark = 0;

    (void)argument;
    TRY("idiv %%ecx");
    expect_exception(0, 0, try_ip);
    TRY("ud2");
    expect_exception(6, 0, try_ip);
    TRY("int3");
    expect_exception(3, 0, try_ip + 1);
    TRY("mov $0x8000000000000000, %%rax\n\tmov (%%rax), %%rbx\n\tnop");
    EXPECT_EQUAL(handler.last_exception.vector, 13);
    EXPECT_EQUAL(handler.last_exception.error_code, 0);
    // What the handler put into rbx arrived.
    __asm__ volatile("lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, try_resume(%%rip)\n\t"
                     "xor %%ebx, %%ebx\n\t"
                     "ud2\n"
                     "1:\n\t"
                     "mov %%rbx, %0"
                     : "=r"(mark)
                     :
                     : "rax", "rbx", "memory");
    EXPECT_EQUAL(mark, 0x600d);
    marks++;
}

static void test_simple(void)
{
    run_in_child(simple, NULL);
    EXPECT_EQUAL(marks, 4);
}

#define PRIVILEGED(code)                                                                           \
    do {                                                                                           \
        TRY(code);                                                                                 \
        expect_exception(13, 0, try_ip);                                                           \
    } while (0)

static void privileged(void *argument)
{
    (void)argument;
    PRIVILEGED("hlt");
    PRIVILEGED("cli");
    PRIVILEGED("sti");
    PRIVILEGED("in %%dx, %%al");
    PRIVILEGED("out %%al, $0x80");
    PRIVILEGED("mov %%cr0, %%rax");
    PRIVILEGED("mov %%rax, %%cr3");
    PRIVILEGED("mov %%rax, %%dr7");
    PRIVILEGED("rdmsr");
    PRIVILEGED("wrmsr");
    PRIVILEGED("invlpg (%%rax)");
    PRIVILEGED("clts");
    PRIVILEGED("wbinvd");
    PRIVILEGED("swapgs");
    PRIVILEGED("ltr %%ax");
    PRIVILEGED("sidt -64(%%rsp)");
    PRIVILEGED("smsw %%ax");
    TRY("int $0x80");
    EXPECT_EQUAL(handler.last_exception.vector, 13);
    TRY("int $0x20");
    EXPECT_EQUAL(handler.last_exception.vector, 13);
    TRY("int $14");
    EXPECT_EQUAL(handler.last_exception.vector, 13);
    TRY("sysretq");
    EXPECT(handler.last_exception.vector == 13 || handler.last_exception.vector == 6);
}

static void test_privileged(void)
{
    run_in_child(privileged, NULL);
    EXPECT_EQUAL(marks, 17);
}

static void flags(void *argument)
{
    (void)argument;
    // A trap after the instruction behind popf.
    TRY("pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\tnop\n\tnop");
    EXPECT_EQUAL(handler.last_exception.vector, 1);
    EXPECT(handler.last_exception.ip > try_ip && handler.last_exception.ip <= try_resume);
    marks++;
    // Interrupt and I/O privilege flags cannot be had.
    uint64_t value;
    __asm__ volatile("pushf\n\torl $0x3000, (%%rsp)\n\tandl $~0x200, (%%rsp)\n\tpopf\n\t"
                     "pushf\n\tpop %0"
                     : "=r"(value)
                     :
                     : "memory", "cc");
    EXPECT_EQUAL(value & 0x3200, 0x200);
    marks++;
    // Direction and alignment flags do no harm to the kernel.
    __asm__ volatile("std" ::: "cc");
    (void)message_do(&(struct message){.destination = NAME_TASK_SELF, .id = SERVICE_task_info},
                     TAG_CALL);
    __asm__ volatile("cld" ::: "cc");
    __asm__ volatile("pushf\n\torl $0x40000, (%%rsp)\n\tpopf" ::: "memory", "cc");
    (void)message_do(&(struct message){.destination = NAME_TASK_SELF, .id = SERVICE_task_info},
                     TAG_CALL);
    __asm__ volatile("pushf\n\tandl $~0x40000, (%%rsp)\n\tpopf" ::: "memory", "cc");
    marks++;
    // A single step over a system call.
    struct message message = {.destination = NAME_TASK_SELF, .id = SERVICE_task_info};
    uint64_t tag = TAG_CALL;
    __asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
                     "mov %%rcx, try_resume(%%rip)\n\t"
                     "pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\t"
                     "syscall\n"
                     "1:\n\t"
                     "pushf\n\tandl $~0x100, (%%rsp)\n\tpopf"
                     : "+a"(tag)
                     : "D"(message.destination), "S"(0ull), "d"(message.id)
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
    marks++;
}

static void test_flags(void)
{
    run_in_child(flags, NULL);
    EXPECT_EQUAL(marks, 4);
}

// --- Endings -----------------------------------------------------------------------

static void undefined(void *argument)
{
    (void)argument;
    __asm__ volatile("ud2");
}

// The handler lets it end, or there is none, or it dies: the thread ends, and
// who asked is told.
static void expect_end(bool with_handler)
{
    struct test_port told = port_make(0);

    child = child_create();
    EXPECT_OK(port_request_notification(child->thread, NOTIFY_DEAD_NAME, told.receive));
    if (with_handler) {
        pager_start(&handler, PAGER_REFUSE, NULL, 0);
        handler.resume = EXCEPTION_TERMINATE;
        pager_serves(&handler, child->thread);
    }
    child_start(child, undefined, NULL);
    struct message message = {.receive_from = told.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(message.id, MESSAGE_ID_DEAD_NAME);
    EXPECT_EQUAL(message.words[0], child->thread);
    EXPECT_EQUAL(right_kind(child->thread), RIGHT_DEAD);
    EXPECT_OK(task_info(child->task, NULL, NULL, NULL, NULL, NULL, NULL));
    child_destroy(child);
    if (with_handler) {
        EXPECT_EQUAL(handler.exceptions, 1);
        pager_stop(&handler);
    }
    port_drop(&told);
}

static void test_terminated(void)
{
    expect_end(true);
}

static void test_no_handler(void)
{
    expect_end(false);
}

static void test_handler_dies(void)
{
    struct test_port port = port_make(0), told = port_make(0);

    child = child_create();
    EXPECT_OK(port_request_notification(child->thread, NOTIFY_DEAD_NAME, told.receive));
    EXPECT_OK(thread_set_exception_port(child->thread, copy_send(port.send)));
    child_start(child, undefined, NULL);
    EXPECT(child_waits(child, THREAD_FAULTING));
    // Queued there, with nobody to receive it.
    uint64_t queued = 0;
    EXPECT_OK(port_messages(port.receive, &queued));
    EXPECT_EQUAL(queued, 1);
    port_drop(&port);
    struct message message = {.receive_from = told.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(right_kind(child->thread), RIGHT_DEAD);
    child_destroy(child);
    port_drop(&told);
}

// The handler receives again without an answer.
static void test_not_answered(void)
{
    struct test_port port = port_make(0);

    child = child_create();
    EXPECT_OK(thread_set_exception_port(child->thread, copy_send(port.send)));
    child_start(child, undefined, NULL);
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(message.id, MESSAGE_ID_EXCEPTION);
    EXPECT_EQUAL(message.tag, 6 | TAG_REPLY);
    EXPECT_EQUAL(message.words[0], 6);
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    EXPECT_EQUAL(right_kind(child->thread), RIGHT_DEAD);
    child_destroy(child);
    port_drop(&port);
}

static const struct test tests[] = {
    {"#DE #UD #BP #GP, resumed with other registers", test_simple, false},
    {"privileged instructions, ports, software interrupts", test_privileged, false},
    {"trap, direction, alignment and privilege flags", test_flags, false},
    {"a handler that lets the thread end", test_terminated, false},
    {"no handler", test_no_handler, false},
    {"the handler's port dies", test_handler_dies, false},
    {"the handler does not answer", test_not_answered, false},
    {NULL, NULL, false},
};
const struct test_group exception_tests = {"exception", tests};
