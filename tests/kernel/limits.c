// SPDX-License-Identifier: BSD-2-Clause
// Services at their limits: a caller whose rights table is full or whose quota
// is spent, a task whose quota is spent, tasks made from tasks made from tasks.
#include "harness.h"

#include <corvus/stubs.h>

#define FULL_QUOTA  (3ull << 20)  // for a rights table of all its pages
#define LEVEL_BYTES (48ull << 10) // what a task and its next ancestor's room cost at most
#define NESTED      64u           // more than there can be
#define SPLIT_BYTES (32ull << 10) // enough for the nodes of a split page

static struct test_port port;
static corvus_error_t results[5];
static port_name_t own_thread; // the child's name for its thread

static uint64_t access_of(const struct child *child, uint64_t address)
{
    uint64_t access = 0;

    EXPECT_OK(memory_info(child->task, address, &access, NULL, NULL, NULL));
    return access;
}

// Runs in a task that has no free name and no memory for more of them.
static void call_without_names(void *argument)
{
    struct message message = {.receive_from = (uint64_t)argument};
    port_name_t made;
    uint64_t name;

    results[0] = task_create(NAME_TASK_SELF, 65536, 0, &made, NULL);
    results[1] = task_create_thread(NAME_TASK_SELF, CHILD_UTCB + 64 * PAGE_BYTES, 1, &made, NULL);
    results[2] =
        task_create_timer(NAME_TASK_SELF, 1, make_send((port_name_t)(uint64_t)argument), &made);
    results[3] = task_extract_right(NAME_TASK_SELF, NAME_TASK_SELF, COPY_SEND, &made);
    (void)message_do(&message, TAG_RECEIVE);
    results[4] = thread_save_reply(own_thread, &name);
    message.tag = 0;
    (void)message_do(&message, TAG_SEND | TAG_REPLY);
}

// Fills a child's table until that error, which its calls then get too.
static void without_names(uint64_t quota, corvus_error_t expected)
{
    struct child *child = child_create_with(quota, 0);
    corvus_error_t error = ERR_OK;
    struct message message;

    port = port_make(0);
    port_name_t there = child_give(child, move_receive(port.receive));
    own_thread = child_give(child, copy_send(child->thread));
    for (unsigned i = 0; i < RIGHTS_MAX + 10 && error == ERR_OK; i++)
        error = task_insert_right(child->task, copy_send(port.send), &(uint64_t){0});
    EXPECT_EQUAL(error, expected);
    child_start(child, call_without_names, (void *)(uint64_t)there);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do_within(&message, TAG_CALL, LONG_TIME));
    child_join(child);
    for (unsigned i = 0; i < sizeof results / sizeof results[0]; i++)
        EXPECT_EQUAL(results[i] | i << 16, expected | i << 16);
    child_destroy(child);
    right_drop(port.send);
}

static void test_full_table(void)
{
    without_names(FULL_QUOTA, ERR_RIGHTS_FULL);
}

static void test_caller_without_quota(void)
{
    without_names(CHILD_QUOTA, ERR_NO_MEMORY);
}

static void test_spent_quota(void)
{
    struct child *child = child_create();
    corvus_error_t error = ERR_OK;
    uint64_t name;

    port = port_make(0);
    while (error == ERR_OK)
        error = task_allocate_port(child->task, 0, &name);
    EXPECT_EQUAL(error, ERR_NO_MEMORY);
    for (error = ERR_OK; error == ERR_OK;)
        error = task_allocate_port_set(child->task, &name);
    EXPECT_EQUAL(error, ERR_NO_MEMORY);
    for (error = ERR_OK; error == ERR_OK;)
        error = task_insert_right(child->task, copy_send(port.send), &name);
    EXPECT_EQUAL(error, ERR_NO_MEMORY);
    EXPECT_EQUAL(vcpu_attach(child->thread, CHILD_UTCB + PAGE_BYTES), ERR_NO_MEMORY);
    EXPECT_EQUAL(access_of(child, CHILD_UTCB + PAGE_BYTES), 0);
    child_destroy(child);
    port_drop(&port);
}

// To unmap a part of a 2 MiB page takes a page table and a node for each part.
static corvus_error_t unmap_part(struct child *child)
{
    return memory_unmap(child->task, CHILD_AREA + PAGE_BYTES, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF,
                        NULL, NULL, NULL);
}

static void test_split_without_quota(void)
{
    void *large = large_page(0);
    uint64_t quota = 0, used = 0, used_then = 0, bytes = 0;

    if (large == NULL) {
        test_skip("no 2 MiB page");
        return;
    }
    struct child *child = child_create();
    EXPECT_OK(
        memory_map(child->task, (uint64_t)large, CHILD_AREA, LARGE_PAGE_BYTES, ACCESS_READ, NULL));
    EXPECT_OK(task_info(child->task, NULL, &quota, &used, NULL, NULL, NULL));
    EXPECT_OK(task_move_quota(child->task, quota - used, copy_send(NAME_TASK_SELF)));
    // With no page, then with one for the table, but none for the nodes.
    for (unsigned pages = 0; pages < 2; pages++) {
        EXPECT_EQUAL(unmap_part(child), ERR_NO_MEMORY);
        EXPECT_OK(task_info(child->task, NULL, NULL, &used_then, NULL, NULL, NULL));
        EXPECT_EQUAL(used_then, used);
        EXPECT_OK(memory_info(child->task, CHILD_AREA + PAGE_BYTES, NULL, &bytes, NULL, NULL));
        EXPECT_EQUAL(bytes, LARGE_PAGE_BYTES);
        EXPECT_OK(task_move_quota(NAME_TASK_SELF, PAGE_BYTES, copy_send(child->task)));
    }
    EXPECT_OK(task_move_quota(NAME_TASK_SELF, SPLIT_BYTES, copy_send(child->task)));
    EXPECT_OK(unmap_part(child));
    EXPECT_EQUAL(access_of(child, CHILD_AREA + PAGE_BYTES), 0);
    EXPECT_EQUAL(access_of(child, CHILD_AREA), ACCESS_READ);
    child_destroy(child);
}

static void test_depth(void)
{
    port_name_t tasks[NESTED] = {PORT_NULL};
    unsigned count = 0;
    corvus_error_t error = ERR_OK;
    uint64_t quota = TASK_DEPTH_MAX * LEVEL_BYTES;

    for (port_name_t parent = NAME_TASK_SELF; count < NESTED; parent = tasks[count++]) {
        error = task_create(parent, quota, 0, &tasks[count], NULL);
        if (error != ERR_OK)
            break;
        quota -= LEVEL_BYTES;
    }
    EXPECT_EQUAL(error, ERR_TOO_LARGE);
    EXPECT(count > 0 && count < TASK_DEPTH_MAX);
    // With the first all end.
    EXPECT_OK(task_terminate(tasks[0]));
    for (unsigned i = 0; i < count; i++)
        right_drop(tasks[i]);
}

static const struct test tests[] = {
    {"a caller with a full rights table", test_full_table, false},
    {"a caller with a spent quota", test_caller_without_quota, false},
    {"a task with a spent quota", test_spent_quota, false},
    {"a 2 MiB page that its holder cannot pay to split", test_split_without_quota, false},
    {"tasks made from tasks", test_depth, false},
    {NULL, NULL, false},
};
const struct test_group limits_tests = {"limits", tests};
