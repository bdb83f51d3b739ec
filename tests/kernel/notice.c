// SPDX-License-Identifier: BSD-2-Clause
// Notifications on request: dead names, no senders, send possible.
#include "harness.h"

static struct test_port port, told;

static void make_ports(void)
{
    port = port_make(0x66);
    told = port_make(0x77);
}

static void drop_ports(void)
{
    if (right_kind(port.receive) == RIGHT_RECEIVE)
        right_drop(port.receive);
    if (right_kind(port.send) != RIGHT_NONE)
        right_drop(port.send);
    port_drop(&told);
}

static corvus_error_t ask(port_name_t name, uint64_t kind)
{
    return task_request_notification(NAME_TASK_SELF, name, kind, make_send_once(told.receive));
}

static void expect_notice(uint64_t id, uint64_t word)
{
    struct message message = {.receive_from = told.receive};

    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    EXPECT_EQUAL(message.id, id);
    EXPECT_EQUAL(message.tag, 1);
    EXPECT_EQUAL(message.words[0], word);
    EXPECT_EQUAL(message.label, 0x77);
}

static void expect_silence(void)
{
    struct message message = {.receive_from = told.receive};

    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
}

static void test_dead_name(void)
{
    make_ports();
    EXPECT_OK(ask(port.send, NOTIFY_DEAD_NAME));
    EXPECT_OK(ask(port.send, NOTIFY_DEAD_NAME));
    expect_silence();
    right_drop(port.receive);
    expect_notice(MESSAGE_ID_DEAD_NAME, port.send);
    expect_notice(MESSAGE_ID_DEAD_NAME, port.send);
    expect_silence();
    EXPECT_EQUAL(ask(port.send, NOTIFY_DEAD_NAME), ERR_PEER_DIED);
    drop_ports();
}

// Of kernel objects too: a task and a thread.
static void test_dead_objects(void)
{
    struct child *child = child_create();

    make_ports();
    EXPECT_OK(ask(child->task, NOTIFY_DEAD_NAME));
    EXPECT_OK(ask(child->thread, NOTIFY_DEAD_NAME));
    EXPECT_OK(thread_terminate(child->thread));
    expect_notice(MESSAGE_ID_DEAD_NAME, child->thread);
    expect_silence();
    EXPECT_OK(task_terminate(child->task));
    expect_notice(MESSAGE_ID_DEAD_NAME, child->task);
    EXPECT_EQUAL(right_kind(child->task), RIGHT_DEAD);
    child_destroy(child);
    drop_ports();
}

static void test_no_senders(void)
{
    port_name_t copy = PORT_NULL;

    make_ports();
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    EXPECT_OK(port_make_send(port.receive, &copy));
    right_drop(copy);
    expect_silence();
    right_drop(port.send);
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    expect_silence();
    // True already: told at once.
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    // Not asked any more.
    EXPECT_OK(port_make_send(port.receive, &port.send));
    right_drop(port.send);
    expect_silence();
    // A send-once right counts.
    uint64_t once = PORT_NULL;
    EXPECT_OK(port_make_send(port.receive, &port.send));
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(port.receive), &once));
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    right_drop(port.send);
    expect_silence();
    right_drop((port_name_t)once);
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    // A send right in a message on its way counts.
    EXPECT_OK(port_make_send(port.receive, &port.send));
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    struct test_port other = port_make(0);
    struct message message = {.destination = other.send};
    utcb_self()->rights[0] = move_send(port.send);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(1)));
    expect_silence();
    port_drop(&other);
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    drop_ports();
}

static unsigned fill_one(void)
{
    struct message message = {.destination = port.send};
    return message_do_within(&message, TAG_SEND, 0);
}

static void take_one(void)
{
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
}

static void test_send_possible(void)
{
    make_ports();
    EXPECT_OK(port_set_backlog(port.receive, 2));
    EXPECT_OK(ask(port.send, NOTIFY_SEND_POSSIBLE));
    expect_notice(MESSAGE_ID_SEND_POSSIBLE, port.send);
    EXPECT_OK(fill_one());
    EXPECT_OK(fill_one());
    EXPECT_EQUAL(fill_one(), ERR_WOULD_BLOCK);
    EXPECT_OK(ask(port.send, NOTIFY_SEND_POSSIBLE));
    expect_silence();
    take_one();
    expect_notice(MESSAGE_ID_SEND_POSSIBLE, port.send);
    EXPECT_OK(fill_one());
    // Once only.
    take_one();
    expect_silence();
    drop_ports();
}

// More room by a larger backlog is room too.
static void test_send_possible_backlog(void)
{
    make_ports();
    EXPECT_OK(port_set_backlog(port.receive, 1));
    EXPECT_OK(fill_one());
    EXPECT_OK(ask(port.send, NOTIFY_SEND_POSSIBLE));
    expect_silence();
    EXPECT_OK(port_set_backlog(port.receive, 2));
    expect_notice(MESSAGE_ID_SEND_POSSIBLE, port.send);
    drop_ports();
}

// A request that nobody will answer: the port dies, or who was to be told.
static void test_never(void)
{
    make_ports();
    EXPECT_OK(port_set_backlog(port.receive, 0));
    EXPECT_OK(ask(port.send, NOTIFY_SEND_POSSIBLE));
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    right_drop(port.receive);
    expect_silence();
    right_drop(port.send);
    port = port_make(0);
    EXPECT_OK(ask(port.send, NOTIFY_DEAD_NAME));
    port_drop(&told);
    right_drop(port.receive);
    told = port_make(0x77);
    expect_silence();
    drop_ports();
}

static void test_refused(void)
{
    port_name_t set = PORT_NULL;

    make_ports();
    EXPECT_OK(port_set_allocate(&set));
    EXPECT_EQUAL(ask(port.send, 0), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(ask(port.send, 4), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(ask(port.send, NOTIFY_NO_SENDERS), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(ask(port.receive, NOTIFY_DEAD_NAME), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(ask(port.receive, NOTIFY_SEND_POSSIBLE), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(ask(set, NOTIFY_DEAD_NAME), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(ask(54321, NOTIFY_DEAD_NAME), ERR_INVALID_NAME);
    EXPECT_EQUAL(task_request_notification(NAME_TASK_SELF, port.send, NOTIFY_DEAD_NAME,
                                           copy_send(told.send)),
                 ERR_INVALID_RIGHT);
    // One a port, until it was answered.
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    EXPECT_EQUAL(ask(port.receive, NOTIFY_NO_SENDERS), ERR_IN_USE);
    right_drop(port.send);
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    expect_silence();
    EXPECT_OK(ask(port.receive, NOTIFY_NO_SENDERS));
    expect_notice(MESSAGE_ID_NO_SENDERS, 0x66);
    struct port_status status;
    EXPECT_OK(port_status(told.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
    EXPECT_EQUAL(status.send_rights, 1);
    right_drop(set);
    drop_ports();
}

// Memory for the notice is charged when it is asked for.
static void test_charged(void)
{
    make_ports();
    uint64_t used = kernel_memory_used();
    EXPECT_OK(ask(port.send, NOTIFY_DEAD_NAME));
    EXPECT(kernel_memory_used() > used);
    right_drop(port.receive);
    expect_notice(MESSAGE_ID_DEAD_NAME, port.send);
    drop_ports();
}

static const struct test tests[] = {
    {"a port dies", test_dead_name, false},
    {"a thread and a task die", test_dead_objects, false},
    {"the last send right goes", test_no_senders, false},
    {"the queue has room again", test_send_possible, false},
    {"the backlog grows", test_send_possible_backlog, false},
    {"requests that can never be answered", test_never, false},
    {"requests that are refused", test_refused, false},
    {"a request is charged", test_charged, false},
    {NULL, NULL, false},
};
const struct test_group notice_tests = {"notice", tests};
