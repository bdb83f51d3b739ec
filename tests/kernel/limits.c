// SPDX-License-Identifier: BSD-2-Clause
// Services at their limits: a caller whose rights table is full, a task whose
// quota is spent, tasks made from tasks made from tasks.
#include "harness.h"

#include <corvus/stubs.h>

#define FULL_QUOTA  (3ull << 20)  // for a rights table of all its pages
#define LEVEL_BYTES (48ull << 10) // what a task and its next ancestor's room cost at most
#define NESTED      64u           // more than there can be

static struct test_port port;
static corvus_error_t results[5];
static port_name_t own_thread; // the child's name for its thread

// Runs in a task that has no free name.
static void call_with_full_table(void *argument)
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

static void test_full_table(void)
{
    struct child *child = child_create_with(FULL_QUOTA, 0);
    corvus_error_t error = ERR_OK;
    struct message message;

    port = port_make(0);
    port_name_t there = child_give(child, move_receive(port.receive));
    own_thread = child_give(child, copy_send(child->thread));
    for (unsigned i = 0; i < RIGHTS_MAX + 10 && error == ERR_OK; i++)
        error = task_insert_right(child->task, copy_send(port.send), &(uint64_t){0});
    EXPECT_EQUAL(error, ERR_RIGHTS_FULL);
    child_start(child, call_with_full_table, (void *)(uint64_t)there);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do_within(&message, TAG_CALL, LONG_TIME));
    child_join(child);
    for (unsigned i = 0; i < sizeof results / sizeof results[0]; i++)
        EXPECT_EQUAL(results[i], ERR_RIGHTS_FULL);
    child_destroy(child);
    right_drop(port.send);
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
    child_destroy(child);
    port_drop(&port);
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
    {"a task with a spent quota", test_spent_quota, false},
    {"tasks made from tasks", test_depth, false},
    {NULL, NULL, false},
};
const struct test_group limits_tests = {"limits", tests};
