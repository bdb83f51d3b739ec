// SPDX-License-Identifier: BSD-2-Clause
// Kernel-memory quotas: who pays, what happens at the end of one, and that all
// of it comes back.
#include "harness.h"

static volatile uint64_t made;
static volatile unsigned result;

struct quota {
    uint64_t limit;
    uint64_t used;
};

static struct quota quota_of(port_name_t task)
{
    struct quota quota = {0, 0};

    EXPECT_OK(task_info(task, NULL, &quota.limit, &quota.used, NULL, NULL, NULL));
    return quota;
}

static void test_create(void)
{
    struct quota before = quota_of(NAME_TASK_SELF), now, child;
    port_name_t task = PORT_NULL;

    EXPECT_OK(task_create(NAME_TASK_SELF, 64 << 10, 0, &task, NULL));
    now = quota_of(NAME_TASK_SELF);
    child = quota_of(task);
    EXPECT_EQUAL(child.limit, 64 << 10);
    EXPECT(child.used > 0 && child.used < 64 << 10);
    EXPECT_EQUAL(before.limit - now.limit, 64 << 10);
    EXPECT_OK(task_terminate(task));
    right_drop(task);
    // Too little to live on, or more than there is.
    for (uint64_t bytes = 0; bytes < 16384; bytes += 1024)
        EXPECT_EQUAL(task_create(NAME_TASK_SELF, bytes, 0, &task, NULL), ERR_NO_MEMORY);
    EXPECT_EQUAL(task_create(NAME_TASK_SELF, 1ull << 40, 0, &task, NULL), ERR_NO_MEMORY);
    EXPECT_EQUAL(task_create(NAME_TASK_SELF, UINT64_MAX, 0, &task, NULL), ERR_NO_MEMORY);
    EXPECT_EQUAL(task_create(NAME_TASK_SELF, 64 << 10, 4, &task, NULL), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(task_create(NAME_TASK_SELF, 64 << 10, 1ull << 32, &task, NULL),
                 ERR_INVALID_ARGUMENT);
    now = quota_of(NAME_TASK_SELF);
    EXPECT_EQUAL(now.used, before.used);
}

static void test_move(void)
{
    struct child *child = child_create();
    struct quota mine = quota_of(NAME_TASK_SELF), its = quota_of(child->task);

    EXPECT_OK(task_move_quota(NAME_TASK_SELF, 4096, copy_send(child->task)));
    EXPECT_EQUAL(quota_of(NAME_TASK_SELF).limit, mine.limit - 4096);
    EXPECT_EQUAL(quota_of(child->task).limit, its.limit + 4096);
    EXPECT_OK(task_move_quota(child->task, 4096, copy_send(NAME_TASK_SELF)));
    EXPECT_EQUAL(task_move_quota(child->task, its.limit - its.used + 1, copy_send(NAME_TASK_SELF)),
                 ERR_NO_MEMORY);
    EXPECT_EQUAL(task_move_quota(child->task, UINT64_MAX, copy_send(NAME_TASK_SELF)),
                 ERR_NO_MEMORY);
    EXPECT_EQUAL(task_move_quota(child->task, 1, copy_send(child->thread)), ERR_INVALID_RIGHT);
    EXPECT_OK(task_move_quota(NAME_TASK_SELF, 1, copy_send(NAME_TASK_SELF)));
    EXPECT_EQUAL(quota_of(NAME_TASK_SELF).limit, mine.limit);
    child_destroy(child);
}

// In a child: makes things of one kind until there is no memory.
static unsigned make_port(uint64_t i)
{
    (void)i;
    return task_allocate_port(NAME_TASK_SELF, 0, NULL);
}

static unsigned make_set(uint64_t i)
{
    (void)i;
    return task_allocate_port_set(NAME_TASK_SELF, NULL);
}

static unsigned make_thread(uint64_t i)
{
    port_name_t thread;
    return task_create_thread(NAME_TASK_SELF, CHILD_UTCB + (i + 1) * PAGE_BYTES, 1, &thread, NULL);
}

#define TASKS_MAX 64
static port_name_t tasks_made[TASKS_MAX];

static unsigned make_task(uint64_t i)
{
    return i < TASKS_MAX ? task_create(NAME_TASK_SELF, 32 << 10, 0, &tasks_made[i], NULL)
                         : ERR_TOO_LARGE;
}

// Nobody else could: the names are the child's.
static void end_tasks(uint64_t count)
{
    for (uint64_t i = 0; i + 1 < count; i++)
        EXPECT_OK(task_terminate(tasks_made[i]));
}

static unsigned make_tables(uint64_t i)
{
    // A page table, and more, for each page.
    return memory_map(NAME_TASK_SELF, (uint64_t)&made & ~(PAGE_BYTES - 1), CHILD_AREA + (i << 30),
                      PAGE_BYTES, ACCESS_READ, NULL);
}

static unsigned make_mappings(uint64_t i)
{
    return memory_map(NAME_TASK_SELF, (uint64_t)&made & ~(PAGE_BYTES - 1),
                      CHILD_AREA + i * PAGE_BYTES, PAGE_BYTES, ACCESS_READ, NULL);
}

static unsigned make_timer(uint64_t i)
{
    port_name_t timer;
    uint64_t port = PORT_NULL;
    (void)i;
    unsigned error = task_allocate_port(NAME_TASK_SELF, 0, &port);
    return error ? error
                 : task_create_timer(NAME_TASK_SELF, 1, make_send((port_name_t)port), &timer);
}

static unsigned make_notice(uint64_t i)
{
    uint64_t port = PORT_NULL;
    (void)i;
    unsigned error = task_allocate_port(NAME_TASK_SELF, 0, &port);
    return error ? error
                 : task_request_notification(NAME_TASK_SELF, NAME_TASK_SELF, NOTIFY_DEAD_NAME,
                                             make_send_once((port_name_t)port));
}

static void exhaust(void *argument)
{
    unsigned (*make)(uint64_t) = (unsigned (*)(uint64_t))argument;
    unsigned error = ERR_OK;
    uint64_t count = 0;

    while (error == ERR_OK && count < 100000)
        error = make(count++);
    made = count;
    result = error;
    if (make == make_task)
        end_tasks(count);
}

static void exhaust_by(unsigned (*make)(uint64_t))
{
    struct child *child = child_create_with(400 << 10, 0);
    uint64_t used = kernel_memory_used();

    child_start(child, exhaust, (void *)make);
    child_join(child);
    EXPECT_EQUAL(result, ERR_NO_MEMORY);
    EXPECT(made > 3 && made < 100000);
    EXPECT_EQUAL(kernel_memory_used(), used);
    // Others go on as before.
    struct test_port port = port_make(0);
    port_drop(&port);
    child_destroy(child);
}

static void test_exhausted_by_ports(void)
{
    exhaust_by(make_port);
    exhaust_by(make_set);
}

static void test_exhausted_by_threads(void)
{
    exhaust_by(make_thread);
}

static void test_exhausted_by_tasks(void)
{
    exhaust_by(make_task);
}

static void test_exhausted_by_mappings(void)
{
    exhaust_by(make_mappings);
    exhaust_by(make_tables);
}

static void test_exhausted_by_timers(void)
{
    exhaust_by(make_timer);
}

static void test_exhausted_by_notices(void)
{
    exhaust_by(make_notice);
}

// A task with children, threads, ports and mappings ends: all of it comes back,
// and its children end with it, whoever else can name them.
static void have_all(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument};
    port_name_t task = PORT_NULL;

    for (uint64_t i = 0; i < 5; i++) {
        EXPECT_OK(make_port(i));
        EXPECT_OK(make_thread(i));
        EXPECT_OK(make_mappings(i));
        EXPECT_OK(make_timer(i));
        EXPECT_OK(make_notice(i));
    }
    EXPECT_OK(task_create(NAME_TASK_SELF, 64 << 10, 0, &task, NULL));
    utcb_self()->rights[0] = copy_send(task);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(1)));
}

static void test_task_ends(void)
{
    struct child *child = child_create();
    struct test_port port = port_make(0);

    child_start(child, have_all, (void *)(uint64_t)child_give(child, copy_send(port.send)));
    child_join(child);
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    port_name_t grandchild = utcb_self()->rights[0].name;
    uint64_t threads = 0, rights = 0;
    EXPECT_OK(task_info(child->task, NULL, NULL, NULL, &threads, &rights, NULL));
    EXPECT_EQUAL(threads, 6);
    EXPECT(rights > 20);
    EXPECT_OK(task_terminate(child->task));
    EXPECT_EQUAL(task_info(child->task, NULL, NULL, NULL, NULL, NULL, NULL), ERR_PEER_DIED);
    EXPECT_EQUAL(right_kind(grandchild), RIGHT_DEAD);
    right_drop(grandchild);
    child_destroy(child);
    port_drop(&port);
}

static void end_itself(void *argument)
{
    (void)argument;
    (void)task_terminate(NAME_TASK_SELF);
    EXPECT(!"a task that has ended goes on");
}

static void test_task_ends_itself(void)
{
    struct child *child = child_create();
    struct test_port told = port_make(0);

    EXPECT_OK(port_request_notification(child->task, NOTIFY_DEAD_NAME, told.receive));
    uint64_t start = clock_now_ns();
    child_start(child, end_itself, NULL);
    struct message message = {.receive_from = told.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
    EXPECT(clock_now_ns() - start < 500 * MILLISECOND);
    EXPECT_EQUAL(message.id, MESSAGE_ID_DEAD_NAME);
    EXPECT_EQUAL(right_kind(child->task), RIGHT_DEAD);
    child_destroy(child);
    port_drop(&told);
}

// Only root mappings can be donated, and this task has none.
static void test_donate(void)
{
    char *pages = pages_allocate(2);
    uint64_t reclaimed = 0;

    EXPECT_EQUAL(task_donate(NAME_TASK_SELF, (uint64_t)pages, 1), ERR_ACCESS_DENIED);
    EXPECT_EQUAL(task_donate(NAME_TASK_SELF, SCRATCH, 1), ERR_NOT_MAPPED);
    EXPECT_EQUAL(task_donate(NAME_TASK_SELF, (uint64_t)pages + 1, 1), ERR_INVALID_RANGE);
    EXPECT_EQUAL(task_donate(NAME_TASK_SELF, 0xffffffff80000000ull, 1), ERR_INVALID_RANGE);
    EXPECT(task_donate(NAME_TASK_SELF, (uint64_t)pages, 0) != ERR_OK);
    EXPECT(task_donate(NAME_TASK_SELF, (uint64_t)pages, 513) != ERR_OK);
    EXPECT_EQUAL(task_donate(NAME_TASK_SELF, (uint64_t)utcb_self(), 1), ERR_ACCESS_DENIED);
    EXPECT_EQUAL(task_reclaim(NAME_TASK_SELF, SCRATCH, 1, &reclaimed), ERR_NO_MEMORY);
    EXPECT_EQUAL(task_reclaim(NAME_TASK_SELF, SCRATCH + 1, 1, &reclaimed), ERR_INVALID_RANGE);
    pages_free(pages, 2);
}

static const struct test tests[] = {
    {"taken from the creator", test_create, false},
    {"moved", test_move, false},
    {"exhausted by ports", test_exhausted_by_ports, false},
    {"exhausted by threads", test_exhausted_by_threads, false},
    {"exhausted by tasks", test_exhausted_by_tasks, false},
    {"exhausted by mappings and page tables", test_exhausted_by_mappings, false},
    {"exhausted by timers", test_exhausted_by_timers, false},
    {"exhausted by notification requests", test_exhausted_by_notices, false},
    {"a task ends, and its child with it", test_task_ends, false},
    {"a task ends itself", test_task_ends_itself, false},
    {"donation that is refused", test_donate, false},
    {NULL, NULL, false},
};
const struct test_group quota_tests = {"quota", tests};
