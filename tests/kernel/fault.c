// SPDX-License-Identifier: BSD-2-Clause
// Page faults: what the pager is told, its answers good and bad, and that
// access rights hold in user mode.
#include "harness.h"

#include <string.h>

static struct test_pager pager;
static struct child *child;
static char *pages;
static volatile uint64_t seen, step;

// What another thread has written is read anew.
static inline void reread(void)
{
    __asm__ volatile("" ::: "memory");
}

static volatile bool landed;

extern volatile uint64_t fault_resume;
volatile uint64_t fault_resume;

static void make_child(enum pager_policy policy)
{
    child = child_create();
    pages = pages_allocate(16);
    pager_start(&pager, policy, pages, CHILD_AREA);
    pager_serves(&pager, child->thread);
    seen = step = 0;
}

static void drop_child(void)
{
    child_destroy(child);
    pager_stop(&pager);
    pages_free(pages, 16);
}

static void read_and_write(void *argument)
{
    volatile uint64_t *area = (volatile uint64_t *)CHILD_AREA;

    (void)argument;
    seen = area[1];
    reread();
    EXPECT_EQUAL(pager.last_fault.address, CHILD_AREA + 8);
    EXPECT_EQUAL(pager.last_fault.access, ACCESS_READ);
    EXPECT(pager.last_fault.ip >= (uint64_t)read_and_write &&
           pager.last_fault.ip < (uint64_t)read_and_write + 400);
    area[512 + 2] = 5;
    reread();
    EXPECT_EQUAL(pager.last_fault.address, CHILD_AREA + PAGE_BYTES + 16);
    EXPECT_EQUAL(pager.last_fault.access, ACCESS_WRITE);
    EXPECT_EQUAL(pager.last_fault.thread, child->thread_id);
    EXPECT_EQUAL(pager.faults, 2);
    area[512 + 3] = 6;
    reread();
    EXPECT_EQUAL(pager.faults, 2);
    step = 1;
}

static void test_answered(void)
{
    make_child(PAGER_MAP);
    ((uint64_t *)pages)[1] = 0x5ee;
    child_start(child, read_and_write, NULL);
    child_join(child);
    EXPECT_EQUAL(step, 1);
    EXPECT_EQUAL(seen, 0x5ee);
    EXPECT_EQUAL(((uint64_t *)pages)[512 + 2], 5);
    EXPECT_EQUAL(pager.exceptions, 0);
    drop_child();
}

// Read-only first; a write faults again and gets more.
static void write_after_read(void *argument)
{
    volatile uint64_t *area = (volatile uint64_t *)CHILD_AREA;

    (void)argument;
    seen = area[0];
    reread();
    EXPECT_EQUAL(pager.faults, 1);
    pager.access = ACCESS_READ | ACCESS_WRITE;
    area[0] = seen + 1;
    reread();
    EXPECT_EQUAL(pager.faults, 2);
    EXPECT_EQUAL(pager.last_fault.access, ACCESS_WRITE);
    step = 1;
}

static void test_upgraded(void)
{
    make_child(PAGER_MAP);
    pager.access = ACCESS_READ;
    *(uint64_t *)pages = 70;
    child_start(child, write_after_read, NULL);
    child_join(child);
    EXPECT_EQUAL(step, 1);
    EXPECT_EQUAL(*(uint64_t *)pages, 71);
    drop_child();
}

// --- Refused ---------------------------------------------------------------------------

static void go_behind(struct test_pager *handler)
{
    struct vcpu_registers state = {0};
    size_t words = sizeof state / 8;

    (void)handler;
    EXPECT_OK(thread_get_state(child->thread, (uint64_t *)&state, &words));
    state.rip = fault_resume;
    EXPECT_OK(thread_set_state(child->thread, (uint64_t *)&state, sizeof state / 8));
}

#define ACCESS_TRY(code, address_value)                                                            \
    __asm__ volatile("lea 1f(%%rip), %%rcx\n\t"                                                    \
                     "mov %%rcx, fault_resume(%%rip)\n\t" code "\n"                                \
                     "1:"                                                                          \
                     :                                                                             \
                     : "a"(address_value)                                                          \
                     : "rcx", "memory")

static void expect_refused(uint64_t address, uint64_t error_code)
{
    EXPECT_EQUAL(pager.last_exception.vector, 14);
    EXPECT_EQUAL(pager.last_exception.address, address);
    EXPECT_EQUAL(pager.last_exception.error_code & 0x17, error_code);
    EXPECT_EQUAL(pager.last_exception.reason, PAGER_REASON);
    EXPECT_EQUAL(pager.last_fault.address, address);
    pager.last_exception = (struct exception_message){0};
    step++;
}

#define PRESENT  1u
#define WRITING  2u
#define USER     4u
#define FETCHING 16u

// Every address and way of access that must not be, from user mode.
static void forbidden(void *argument)
{
    static const uint64_t kernel[] = {0xffffffff80100000ull, 0xffff800000000000ull,
                                      0xffff800000100000ull, 0xfffffffffffff000ull};
    (void)argument;
    for (unsigned i = 0; i < sizeof kernel / sizeof kernel[0]; i++) {
        ACCESS_TRY("mov (%%rax), %%cl", kernel[i]);
        EXPECT_EQUAL(pager.last_exception.vector, 14);
        EXPECT_EQUAL(pager.last_exception.address, kernel[i]);
        pager.last_exception = (struct exception_message){0};
        ACCESS_TRY("movb $1, (%%rax)", kernel[i]);
        EXPECT_EQUAL(pager.last_exception.vector, 14);
        ACCESS_TRY("jmp *%%rax", kernel[i]);
        EXPECT_EQUAL(pager.last_exception.vector, 14);
        EXPECT(pager.last_exception.error_code & FETCHING);
    }
    ACCESS_TRY("mov (%%rax), %%cl", 0ull);
    expect_refused(0, USER);
    ACCESS_TRY("movb $1, (%%rax)", CHILD_AREA + PAGE_BYTES); // mapped read-only
    expect_refused(CHILD_AREA + PAGE_BYTES, USER | WRITING | PRESENT);
    ACCESS_TRY("jmp *%%rax", CHILD_AREA + 2 * PAGE_BYTES); // mapped without execute
    expect_refused(CHILD_AREA + 2 * PAGE_BYTES, USER | FETCHING | PRESENT);
    ACCESS_TRY("movb $1, (%%rax)", CLOCK_PAGE_ADDRESS);
    expect_refused(CLOCK_PAGE_ADDRESS, USER | WRITING | PRESENT);
    ACCESS_TRY("movb $1, (%%rax)", (uint64_t)forbidden); // its own program
    expect_refused((uint64_t)forbidden, USER | WRITING | PRESENT);
    ACCESS_TRY("mov (%%rax), %%cl", USER_END);
    expect_refused(USER_END, USER);
    landed = true;
}

static void test_forbidden(void)
{
    make_child(PAGER_REFUSE);
    landed = false;
    pager.on_exception = go_behind;
    pager.resume = EXCEPTION_RESUME;
    EXPECT_OK(memory_map(child->task, (uint64_t)pages, CHILD_AREA + PAGE_BYTES, PAGE_BYTES,
                         ACCESS_READ, NULL));
    EXPECT_OK(memory_map(child->task, (uint64_t)pages, CHILD_AREA + 2 * PAGE_BYTES, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    child_start(child, forbidden, NULL);
    child_join(child);
    EXPECT(landed);
    EXPECT_EQUAL(step, 6);
    drop_child();
}

// Unmapped while it is in use: the next access faults.
static void poll_page(void *argument)
{
    volatile uint64_t *area = (volatile uint64_t *)CHILD_AREA;

    (void)argument;
    while (area[0] == 0)
        step++;
    seen = area[0];
}

static void test_unmapped_in_use(void)
{
    make_child(PAGER_MAP);
    EXPECT_OK(thread_set_priority(child->thread, 1));
    child_start(child, poll_page, NULL);
    while (step < 10)
        sleep_for(MILLISECOND);
    unsigned faults = pager.faults;
    pager.pages = pages + 8 * PAGE_BYTES;
    *(uint64_t *)pager.pages = 0xabc;
    EXPECT_OK(
        memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL));
    child_join(child);
    EXPECT_EQUAL(seen, 0xabc);
    EXPECT_EQUAL(pager.faults, faults + 1);
    drop_child();
}

// --- Answers by hand ---------------------------------------------------------------------

static void read_once(void *argument)
{
    (void)argument;
    seen = *(volatile uint64_t *)CHILD_AREA;
}

static void start_by_hand(struct test_port *port, struct message *message)
{
    child = child_create();
    pages = pages_allocate(70);
    *port = port_make(0x99);
    EXPECT_OK(thread_set_pager(child->thread, copy_send(port->send)));
    child_start(child, read_once, NULL);
    *message = (struct message){.receive_from = port->receive};
    EXPECT_OK(message_do_within(message, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(message->id, MESSAGE_ID_PAGE_FAULT);
    EXPECT_EQUAL(message->label, 0x99);
}

static unsigned answer_with(struct message_item item, uint64_t tag)
{
    struct message message = {0};

    utcb_self()->items[0] = item;
    utcb_self()->rights[0] = copy_send(NAME_TASK_SELF);
    return message_do(&message, TAG_SEND | TAG_REPLY | tag);
}

// Bad answers fail at the pager; the thread waits on for a good one.
static void test_bad_answers(void)
{
    struct test_port port;
    struct message message;

    start_by_hand(&port, &message);
    struct message_item good = {.kind = ITEM_MAP,
                                .access = ACCESS_READ,
                                .address = (uint64_t)pages,
                                .length = PAGE_BYTES,
                                .offset = CHILD_AREA};
    struct message_item bad = good;
    bad.kind = ITEM_COPY;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_INVALID_ARGUMENT);
    bad = good;
    bad.offset = 0xffffffff80000000ull;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_INVALID_RANGE);
    bad.offset = CHILD_AREA + 1;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_INVALID_RANGE);
    bad = good;
    bad.length = 65 * PAGE_BYTES;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_TOO_LARGE);
    bad = good;
    bad.address = SCRATCH;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_NOT_MAPPED);
    bad = good;
    bad.access = ACCESS_ALL;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_ACCESS_DENIED);
    bad.access = 0;
    EXPECT_EQUAL(answer_with(bad, TAG_ITEMS(1)), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(answer_with(good, TAG_ITEMS(1) | TAG_RIGHTS(1)), ERR_INVALID_ARGUMENT);
    EXPECT(child_waits(child, THREAD_FAULTING));
    *(uint64_t *)pages = 0x77;
    EXPECT_OK(answer_with(good, TAG_ITEMS(1)));
    child_join(child);
    EXPECT_EQUAL(seen, 0x77);
    child_destroy(child);
    port_drop(&port);
    pages_free(pages, 70);
}

// By a saved reply right, with more pages than were asked for.
static void test_saved_answer(void)
{
    struct test_port port;
    struct message message;
    uint64_t name = PORT_NULL, access = 0;

    start_by_hand(&port, &message);
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->items[0] = (struct message_item){.kind = ITEM_MAP,
                                                  .access = ACCESS_READ,
                                                  .address = (uint64_t)pages,
                                                  .length = 64 * PAGE_BYTES,
                                                  .offset = CHILD_AREA};
    message = (struct message){.destination = (port_name_t)name};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_ITEMS(1)));
    child_join(child);
    EXPECT_OK(memory_info(child->task, CHILD_AREA + 63 * PAGE_BYTES, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, ACCESS_READ);
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_NONE);
    child_destroy(child);
    port_drop(&port);
    pages_free(pages, 70);
}

// The pager's port dies: the fault becomes an exception with that reason.
static void test_pager_dies(void)
{
    struct test_port port;
    struct message message;

    start_by_hand(&port, &message);
    struct test_port handler = port_make(0);
    EXPECT_OK(thread_set_exception_port(child->thread, copy_send(handler.send)));
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    message = (struct message){.receive_from = handler.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    EXPECT_EQUAL(message.id, MESSAGE_ID_EXCEPTION);
    EXPECT_EQUAL(message.words[0], 14);
    EXPECT_EQUAL(message.words[3], CHILD_AREA);
    EXPECT_EQUAL(message.words[5], ERR_NO_REPLY);
    // Resumed, it faults again; now there is no pager at all.
    port_drop(&port);
    message = (struct message){.receive_from = handler.receive, .words = {EXCEPTION_RESUME}};
    EXPECT_OK(message_do_within(&message, TAG_REPLY_RECEIVE | 1, LONG_TIME));
    EXPECT_EQUAL(message.words[5], ERR_PEER_DIED);
    child_destroy(child);
    port_drop(&handler);
    pages_free(pages, 70);
}

static const struct test tests[] = {
    {"what the pager is told, and its answer", test_answered, false},
    {"read-only first, then more", test_upgraded, false},
    {"what user mode must not reach, refused with a reason", test_forbidden, false},
    {"unmapped while in use", test_unmapped_in_use, false},
    {"bad answers", test_bad_answers, false},
    {"a saved answer with many pages", test_saved_answer, false},
    {"the pager gives up and dies", test_pager_dies, false},
    {NULL, NULL, false},
};
const struct test_group fault_tests = {"fault", tests};
