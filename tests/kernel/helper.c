// SPDX-License-Identifier: BSD-2-Clause
// Messages, ports, threads and tasks by hand: the tools of the tests.
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HELPER_UTCB 0x680000000000ull
#define POLL_TIME   (20 * NANOSECONDS_PER_MICROSECOND)
#define POLL_LIMIT  100000

extern char __executable_start, _end;

static struct helper helpers[HELPERS_MAX];
static char helper_stacks[HELPERS_MAX][HELPER_STACK_BYTES] __attribute__((aligned(4096)));
static struct child children[CHILDREN_MAX];
static char child_stacks[CHILDREN_MAX][HELPER_STACK_BYTES] __attribute__((aligned(4096)));

// --- Messages -----------------------------------------------------------------

unsigned message_do(struct message *message, uint64_t tag)
{
    message->tag = tag;
    message_trap(message);
    return outcome(message->tag);
}

unsigned message_do_within(struct message *message, uint64_t tag, uint64_t nanoseconds)
{
    uint64_t deadline = nanoseconds ? clock_now_ns() + nanoseconds : 0;

    utcb_self()->send_deadline = deadline;
    utcb_self()->receive_deadline = deadline;
    if (tag & TAG_SEND)
        tag |= TAG_SEND_DEADLINE;
    if (tag & TAG_RECEIVE)
        tag |= TAG_RECEIVE_DEADLINE;
    return message_do(message, tag);
}

struct test_port port_make(uint64_t label)
{
    struct test_port port = {PORT_NULL, PORT_NULL};

    EXPECT_OK(port_allocate_with_send(label, &port.receive, &port.send));
    return port;
}

void port_drop(struct test_port *port)
{
    right_drop(port->send);
    right_drop(port->receive);
    *port = (struct test_port){PORT_NULL, PORT_NULL};
}

uint64_t right_kind(port_name_t name)
{
    uint64_t kind = RIGHT_NONE;

    return task_right_info(NAME_TASK_SELF, name, &kind, NULL, NULL) == ERR_OK ? kind : RIGHT_NONE;
}

void right_drop(port_name_t name)
{
    if (name != PORT_NULL)
        EXPECT_OK(port_deallocate(name));
}

// An RPC to a port at which nobody receives keeps the reply slot.
bool sleep_for(uint64_t nanoseconds)
{
    struct test_port nowhere = {PORT_NULL, PORT_NULL};
    struct message message = {.id = 1};
    uint64_t kept = utcb_self()->send_deadline;

    if (port_allocate_with_send(0, &nowhere.receive, &nowhere.send) != ERR_OK)
        return false;
    message.destination = nowhere.send;
    utcb_self()->send_deadline = clock_now_ns() + nanoseconds;
    (void)message_do(&message, TAG_CALL | TAG_SEND_DEADLINE);
    utcb_self()->send_deadline = kept;
    (void)port_deallocate(nowhere.send);
    (void)port_deallocate(nowhere.receive);
    return true;
}

uint64_t kernel_memory_used(void)
{
    uint64_t used = 0;

    (void)task_info(NAME_TASK_SELF, NULL, NULL, &used, NULL, NULL, NULL);
    return used;
}

uint64_t kernel_memory_free(void)
{
    uint64_t bytes = 0;

    (void)host_info(NAME_HOST, NULL, NULL, NULL, &bytes, NULL);
    return bytes;
}

uint64_t counter_read(unsigned index)
{
    uint64_t value = 0;
    size_t count = 1;

    return host_counters(NAME_HOST, index, &value, &count) == ERR_OK && count ? value : 0;
}

static bool thread_waits(port_name_t thread, uint64_t wanted)
{
    uint64_t state;

    for (unsigned i = 0; i < POLL_LIMIT; i++) {
        corvus_error_t error = thread_info(thread, NULL, &state, NULL, NULL, NULL, NULL);
        if (error != ERR_OK)
            return error == ERR_PEER_DIED && wanted == THREAD_TERMINATED;
        if (state == wanted)
            return true;
        sleep_for(POLL_TIME);
    }
    return false;
}

// --- Helpers --------------------------------------------------------------------

static uint64_t main_priority(void)
{
    static uint64_t priority;

    if (priority == 0)
        (void)thread_info(NAME_THREAD_MAIN, NULL, NULL, &priority, NULL, NULL, NULL);
    return priority;
}

void helper_begin(struct helper *helper)
{
    helper->function(helper->argument);
    helper->done = true;
    for (;;)
        (void)thread_terminate(helper->thread);
}

uint64_t helper_stack(const struct helper *helper)
{
    // As after a call: 8 below a multiple of 16.
    return (uint64_t)helper_stacks[helper - helpers] + HELPER_STACK_BYTES - 8;
}

struct helper *helper_create(int priority)
{
    struct helper *helper = helpers;

    while (helper < helpers + HELPERS_MAX && helper->thread != PORT_NULL)
        helper++;
    if (helper == helpers + HELPERS_MAX) {
        EXPECT(!"a helper is free");
        return NULL;
    }
    *helper = (struct helper){.done = false};
    helper->utcb = (struct utcb *)(HELPER_UTCB + (uint64_t)(helper - helpers) * PAGE_BYTES);
    EXPECT_OK(task_create_thread(NAME_TASK_SELF, (uint64_t)helper->utcb,
                                 (uint64_t)((int64_t)main_priority() + priority), &helper->thread,
                                 &helper->id));
    return helper;
}

struct helper *helper_start_priority(void (*function)(void *), void *argument, int priority)
{
    struct helper *helper = helper_create(priority);

    if (helper == NULL)
        return NULL;
    helper->function = function;
    helper->argument = argument;
    EXPECT_OK(thread_start(helper->thread, (uint64_t)helper_begin, helper_stack(helper),
                           (uint64_t)helper, 0));
    return helper;
}

struct helper *helper_start(void (*function)(void *), void *argument)
{
    return helper_start_priority(function, argument, 0);
}

bool helper_waits(const struct helper *helper, uint64_t state)
{
    return helper != NULL && thread_waits(helper->thread, state);
}

void helper_destroy(struct helper *helper)
{
    if (helper == NULL)
        return;
    (void)thread_terminate(helper->thread);
    right_drop(helper->thread);
    helper->thread = PORT_NULL;
}

void helper_join(struct helper *helper)
{
    if (helper == NULL)
        return;
    EXPECT(thread_waits(helper->thread, THREAD_TERMINATED));
    EXPECT(helper->done);
    helper_destroy(helper);
}

// --- Children -------------------------------------------------------------------

static void child_begin(struct child *child)
{
    child->function(child->argument);
    child->done = true;
    while (sleep_for(NANOSECONDS_PER_SECOND))
        ;
    // Not in calls that are refused: they would fill the trace.
    for (;;)
        processor_relax();
}

static void map_program(port_name_t task)
{
    uint64_t end = ((uint64_t)&_end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint64_t address = (uint64_t)&__executable_start & ~(PAGE_BYTES - 1);

    for (; address < end; address += PAGE_BYTES) {
        uint64_t access = 0;
        (void)memory_info(NAME_TASK_SELF, address, &access, NULL, NULL, NULL);
        if (access)
            EXPECT_OK(memory_map(task, address, address, PAGE_BYTES, access, NULL));
    }
}

struct child *child_create_with(uint64_t quota, uint64_t flags)
{
    struct child *child = children;

    while (child < children + CHILDREN_MAX && child->task != PORT_NULL)
        child++;
    if (child == children + CHILDREN_MAX) {
        EXPECT(!"a child is free");
        return NULL;
    }
    *child = (struct child){.done = false};
    EXPECT_OK(task_create(NAME_TASK_SELF, quota, flags, &child->task, &child->task_id));
    map_program(child->task);
    if (!(flags & TASK_GUEST))
        EXPECT_OK(task_create_thread(child->task, CHILD_UTCB, main_priority(), &child->thread,
                                     &child->thread_id));
    // The names of every native task, in their order.
    (void)child_give(child, copy_send(child->task));
    return child;
}

struct child *child_create(void)
{
    return child_create_with(CHILD_QUOTA, 0);
}

void child_start(struct child *child, void (*function)(void *), void *argument)
{
    uint64_t stack = (uint64_t)child_stacks[child - children] + HELPER_STACK_BYTES - 8;

    child->function = function;
    child->argument = argument;
    EXPECT_OK(thread_start(child->thread, (uint64_t)child_begin, stack, (uint64_t)child, 0));
}

struct child *child_run(void (*function)(void *), void *argument)
{
    struct child *child = child_create();

    child_start(child, function, argument);
    return child;
}

port_name_t child_give(struct child *child, struct message_right right)
{
    uint64_t name = 0;

    EXPECT_OK(task_insert_right(child->task, right, &name));
    return (port_name_t)name;
}

bool child_waits(const struct child *child, uint64_t state)
{
    return thread_waits(child->thread, state);
}

void child_join(struct child *child)
{
    for (unsigned i = 0; i < POLL_LIMIT && !child->done; i++)
        sleep_for(POLL_TIME);
    EXPECT(child->done);
}

void child_destroy(struct child *child)
{
    (void)task_terminate(child->task);
    right_drop(child->task);
    if (child->thread != PORT_NULL)
        right_drop(child->thread);
    child->task = PORT_NULL;
}

// --- Pages ----------------------------------------------------------------------

// A pool that stays, so that its page tables do not count in any test. Pages
// of 4 KiB, since no allocation is larger than a piece.
#define POOL_PAGES  1024ull
#define PIECE_BYTES (128ull << 10)

static uint64_t pool_start, pool_next, pool_live;

static void pool_create(void)
{
    uint64_t bytes = POOL_PAGES * PAGE_BYTES;
    char *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (uint64_t done = 0; start != MAP_FAILED && done < bytes; done += PIECE_BYTES)
        if (mprotect(start + done, PIECE_BYTES, PROT_READ | PROT_WRITE) != 0)
            start = MAP_FAILED;
    pool_start = start != MAP_FAILED ? (uint64_t)start : 0;
}

void *pages_allocate(uint64_t pages)
{
    if (pool_start == 0)
        pool_create();
    if (pool_start == 0 || pool_next + pages > POOL_PAGES) {
        EXPECT(!"there are pages");
        return NULL;
    }
    char *start = (char *)(pool_start + pool_next * PAGE_BYTES);
    pool_next += pages + 1; // one that nobody is given between any two
    pool_live++;
    memset(start, 0, pages * PAGE_BYTES);
    return start;
}

// The pool is used from its start again when all is given back.
void pages_free(void *pages, uint64_t count)
{
    uint64_t address = (uint64_t)pages;

    EXPECT_OK(
        memory_unmap(NAME_TASK_SELF, address, count * PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL));
    if (--pool_live == 0)
        pool_next = 0;
}

void scratch_prepare(void)
{
    void *page = pages_allocate(1);

    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)page, SCRATCH, PAGE_BYTES, ACCESS_READ, NULL));
    pages_free(page, 1);
}

// Allocated once, before the first test, and kept.
void *large_page(unsigned index)
{
    static uint64_t start;
    uint64_t bytes = 0;

    if (start == 0) {
        uint64_t range = (uint64_t)mmap(NULL, (LARGE_PAGES + 1) * LARGE_PAGE_BYTES,
                                        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        start = (range + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1);
    }
    (void)memory_info(NAME_TASK_SELF, start + index * LARGE_PAGE_BYTES, NULL, &bytes, NULL, NULL);
    return bytes == LARGE_PAGE_BYTES ? (void *)(start + index * LARGE_PAGE_BYTES) : NULL;
}
