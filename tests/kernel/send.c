// SPDX-License-Identifier: BSD-2-Clause
// The queue of a port: order, backlog, blocked senders, deadlines of both
// phases, and what becomes of everybody when the port dies.
#include "harness.h"

static struct test_port port;
static volatile unsigned results[8];
static volatile uint64_t words[8];

static unsigned receive_one(struct message *message)
{
    *message = (struct message){.receive_from = port.receive};
    return message_do_within(message, TAG_RECEIVE, 0);
}

static unsigned send_one(uint64_t value)
{
    struct message message = {.destination = port.send, .words = {value}};
    return message_do_within(&message, TAG_SEND | 1, 0);
}

// --- Order and backlog ----------------------------------------------------------

static void test_order(void)
{
    struct message message;

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, PORT_BACKLOG_MAX));
    for (uint64_t i = 0; i < PORT_BACKLOG_MAX; i++)
        EXPECT_OK(send_one(i));
    EXPECT_EQUAL(send_one(0), ERR_WOULD_BLOCK);
    for (uint64_t i = 0; i < PORT_BACKLOG_MAX; i++) {
        EXPECT_OK(receive_one(&message));
        EXPECT_EQUAL(message.words[0], i);
    }
    EXPECT_EQUAL(receive_one(&message), ERR_WOULD_BLOCK | IN_RECEIVE);
    port_drop(&port);
}

static void test_backlog(void)
{
    struct message message;
    struct port_status status;

    port = port_make(0);
    EXPECT_OK(port_status(port.receive, &status));
    EXPECT_EQUAL(status.backlog, PORT_BACKLOG_DEFAULT);
    EXPECT_EQUAL(status.send_rights, 1);
    for (uint64_t backlog = 0; backlog < 5; backlog++) {
        EXPECT_OK(port_set_backlog(port.receive, backlog));
        for (uint64_t i = 0; i < backlog; i++)
            EXPECT_OK(send_one(i));
        EXPECT_EQUAL(send_one(9), ERR_WOULD_BLOCK);
        for (uint64_t i = 0; i < backlog; i++)
            EXPECT_OK(receive_one(&message));
    }
    // Less than is there: it stays, and nothing is added.
    EXPECT_OK(port_set_backlog(port.receive, 3));
    for (uint64_t i = 0; i < 3; i++)
        EXPECT_OK(send_one(i));
    EXPECT_OK(port_set_backlog(port.receive, 1));
    EXPECT_EQUAL(send_one(9), ERR_WOULD_BLOCK);
    EXPECT_OK(receive_one(&message));
    EXPECT_EQUAL(send_one(9), ERR_WOULD_BLOCK);
    port_drop(&port);
}

static void blocking_sender(void *argument)
{
    uint64_t index = (uint64_t)argument;
    struct message message = {.destination = port.send, .id = 77, .words = {100 + index}};

    utcb_self()->words[40] = 0x4040 + index;
    results[index] = message_do(&message, TAG_SEND | 41);
}

// Senders that wait are taken in their order, behind what was there, each with
// its whole message.
static void test_blocked_senders(void)
{
    struct helper *helpers[4];
    struct message message;

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, 2));
    EXPECT_OK(send_one(0));
    EXPECT_OK(send_one(1));
    for (uint64_t i = 0; i < 4; i++) {
        results[i] = 999;
        helpers[i] = helper_start(blocking_sender, (void *)i);
        EXPECT(helper_waits(helpers[i], THREAD_SENDING));
    }
    for (uint64_t i = 0; i < 2; i++) {
        EXPECT_OK(receive_one(&message));
        EXPECT_EQUAL(message.words[0], i);
    }
    for (uint64_t i = 0; i < 4; i++) {
        EXPECT_OK(receive_one(&message));
        EXPECT_EQUAL(message.words[0], 100 + i);
        EXPECT_EQUAL(message.id, 77);
        EXPECT_EQUAL(message.tag, 41);
        EXPECT_EQUAL(utcb_self()->words[40], 0x4040 + i);
    }
    for (unsigned i = 0; i < 4; i++) {
        helper_join(helpers[i]);
        EXPECT_OK(results[i]);
    }
    port_drop(&port);
}

#define STREAM 300

static void stream(void *argument)
{
    uint64_t who = (uint64_t)argument;

    for (uint64_t i = 0; i < STREAM; i++) {
        struct message message = {.destination = port.send, .words = {who, i}};
        EXPECT_OK(message_do(&message, TAG_SEND | 2));
    }
}

// Three senders at once, partly waiting: each one's messages stay in order.
static void test_order_per_sender(void)
{
    struct helper *helpers[3];
    uint64_t next[3] = {0, 0, 0};

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, 2));
    for (uint64_t i = 0; i < 3; i++)
        helpers[i] = helper_start_priority(stream, (void *)i, -(int)i);
    for (unsigned i = 0; i < 3 * STREAM; i++) {
        struct message message = {.receive_from = port.receive};
        EXPECT_OK(message_do_within(&message, TAG_RECEIVE, LONG_TIME));
        if (message.words[0] < 3)
            EXPECT_EQUAL(message.words[1], next[message.words[0]]++);
    }
    for (unsigned i = 0; i < 3; i++)
        helper_join(helpers[i]);
    port_drop(&port);
}

// --- Deadlines --------------------------------------------------------------------

static void test_receive_deadline(void)
{
    struct message message = {0};

    port = port_make(0);
    EXPECT_EQUAL(receive_one(&message), ERR_WOULD_BLOCK | IN_RECEIVE);
    uint64_t start = clock_now_ns();
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, SHORT_TIME), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT(clock_now_ns() - start >= SHORT_TIME);
    EXPECT(clock_now_ns() - start < SHORT_TIME + LONG_TIME);
    // Past already.
    utcb_self()->receive_deadline = 1;
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do(&message, TAG_RECEIVE | TAG_RECEIVE_DEADLINE),
                 ERR_TIMED_OUT | IN_RECEIVE);
    // What is there comes, however late.
    EXPECT_OK(send_one(5));
    utcb_self()->receive_deadline = 1;
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE | TAG_RECEIVE_DEADLINE));
    // Without the tag bit the deadline is not looked at.
    EXPECT_OK(send_one(6));
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    port_drop(&port);
}

static void test_send_deadline(void)
{
    struct message message = {0};
    uint64_t queued = 0;

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, 0));
    EXPECT_EQUAL(send_one(1), ERR_WOULD_BLOCK);
    uint64_t start = clock_now_ns();
    message = (struct message){.destination = port.send, .words = {1}};
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | 1, SHORT_TIME), ERR_TIMED_OUT);
    EXPECT(clock_now_ns() - start >= SHORT_TIME);
    message = (struct message){.destination = port.send, .receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_RECEIVE, SHORT_TIME), ERR_TIMED_OUT);
    EXPECT_OK(port_messages(port.receive, &queued));
    EXPECT_EQUAL(queued, 0);
    // An RPC that nobody receives fails in its send phase.
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do_within(&message, TAG_CALL, SHORT_TIME), ERR_TIMED_OUT);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do_within(&message, TAG_CALL, 0), ERR_WOULD_BLOCK);
    utcb_self()->send_deadline = 2;
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_SEND_DEADLINE), ERR_TIMED_OUT);
    EXPECT_OK(port_messages(port.receive, &queued));
    EXPECT_EQUAL(queued, 0);
    port_drop(&port);
}

static void receive_and_keep(void *argument)
{
    struct message message = {.receive_from = port.receive};

    (void)argument;
    results[0] = message_do(&message, TAG_RECEIVE);
    words[0] = message.words[0];
    sleep_for(20 * SHORT_TIME);
    results[1] = message_do(&message, TAG_SEND | TAG_REPLY);
}

// The server has it and does not answer in time: the error is in the receive
// phase, and the late answer is an error to the server only.
static void test_reply_deadline(void)
{
    struct message message = {0};

    port = port_make(0);
    struct helper *server = helper_start(receive_and_keep, NULL);
    EXPECT(helper_waits(server, THREAD_RECEIVING));
    message = (struct message){.destination = port.send, .words = {8}};
    uint64_t start = clock_now_ns();
    EXPECT_EQUAL(message_do_within(&message, TAG_CALL | 1, SHORT_TIME), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT(clock_now_ns() - start >= SHORT_TIME);
    helper_join(server);
    EXPECT_OK(results[0]);
    EXPECT_EQUAL(words[0], 8);
    EXPECT_EQUAL(results[1], ERR_PEER_DIED);
    port_drop(&port);
}

// Deadline zero on the reply, with a server that waits: delivered, then over.
static void test_reply_would_block(void)
{
    struct message message = {0};

    port = port_make(0);
    struct helper *server = helper_start(receive_and_keep, NULL);
    EXPECT(helper_waits(server, THREAD_RECEIVING));
    message = (struct message){.destination = port.send, .words = {8}};
    EXPECT_EQUAL(message_do_within(&message, TAG_CALL | 1, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    helper_join(server);
    EXPECT_OK(results[0]);
    EXPECT_EQUAL(words[0], 8);
    EXPECT_EQUAL(results[1], ERR_PEER_DIED);
    port_drop(&port);
}

// Many deadlines that pass in another order than they were made in.
static void sleeper(void *argument)
{
    uint64_t time = (uint64_t)argument;
    uint64_t start = clock_now_ns();
    struct message message = {.receive_from = port.receive};

    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, time), ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT(clock_now_ns() - start >= time);
}

static void test_many_deadlines(void)
{
    static const uint64_t times[] = {9, 3, 7, 1, 8, 2};
    struct helper *helpers[6];

    port = port_make(0);
    for (unsigned i = 0; i < 6; i++)
        helpers[i] = helper_start(sleeper, (void *)(times[i] * MILLISECOND));
    for (unsigned i = 0; i < 6; i++)
        helper_join(helpers[i]);
    port_drop(&port);
}

// --- Death ------------------------------------------------------------------------

static void receiver(void *argument)
{
    uint64_t index = (uint64_t)argument;
    struct message message = {.receive_from = port.receive};

    results[index] = message_do(&message, TAG_RECEIVE);
}

static void caller(void *argument)
{
    uint64_t index = (uint64_t)argument;
    struct message message = {.destination = port.send, .words = {index}};

    results[index] = message_do(&message, TAG_CALL | 1);
}

static void test_port_dies(void)
{
    struct helper *helpers[5];

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, 1));
    EXPECT_OK(send_one(3));
    for (uint64_t i = 0; i < 5; i++) {
        results[i] = 999;
        helpers[i] = helper_start(i % 2 ? caller : blocking_sender, (void *)i);
        EXPECT(helper_waits(helpers[i], THREAD_SENDING));
    }
    right_drop(port.receive);
    for (unsigned i = 0; i < 5; i++) {
        helper_join(helpers[i]);
        EXPECT_EQUAL(results[i], ERR_PEER_DIED);
    }
    EXPECT_EQUAL(right_kind(port.send), RIGHT_DEAD);
    EXPECT_EQUAL(send_one(1), ERR_PEER_DIED);
    struct message message = {.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL), ERR_PEER_DIED);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_NOTIFY | 1), ERR_PEER_DIED);
    right_drop(port.send);
}

static void test_receivers_of_dying_port(void)
{
    struct helper *helpers[3];

    port = port_make(0);
    for (uint64_t i = 0; i < 3; i++) {
        helpers[i] = helper_start(receiver, (void *)i);
        EXPECT(helper_waits(helpers[i], THREAD_RECEIVING));
    }
    right_drop(port.receive);
    for (unsigned i = 0; i < 3; i++) {
        helper_join(helpers[i]);
        EXPECT_EQUAL(results[i], ERR_PEER_DIED | IN_RECEIVE);
    }
    right_drop(port.send);
}

// The port dies after its message was received: the RPC goes on.
static void test_port_dies_after_receive(void)
{
    struct message message = {0};

    port = port_make(0);
    struct helper *client = helper_start(caller, (void *)2);
    EXPECT(helper_waits(client, THREAD_SENDING));
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    right_drop(port.receive);
    EXPECT(helper_waits(client, THREAD_CALLING));
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
    helper_join(client);
    EXPECT_OK(results[2]);
    right_drop(port.send);
}

// A buffered message is charged to its sender, who hurts only itself.
static void flood(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument};
    unsigned result = ERR_OK;
    uint64_t count = 0;

    while (result == ERR_OK && count < 2 * PORT_BACKLOG_MAX) {
        result = message_do_within(&message, TAG_SEND | MESSAGE_WORDS, 0);
        message.destination = (port_name_t)(uint64_t)argument;
        count++;
    }
    results[0] = result;
    words[0] = count;
}

static void test_flood(void)
{
    struct child *child = child_create_with(256 << 10, 0);
    struct message message;

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, PORT_BACKLOG_MAX));
    uint64_t used = kernel_memory_used();
    child_start(child, flood, (void *)(uint64_t)child_give(child, copy_send(port.send)));
    child_join(child);
    EXPECT_EQUAL(results[0], ERR_NO_MEMORY);
    EXPECT(words[0] > 10 && words[0] < PORT_BACKLOG_MAX);
    EXPECT_EQUAL(kernel_memory_used(), used);
    EXPECT_OK(send_one(1));
    for (uint64_t i = 1; i < words[0]; i++)
        EXPECT_OK(receive_one(&message));
    child_destroy(child);
    EXPECT_OK(receive_one(&message));
    EXPECT_EQUAL(message.words[0], 1);
    port_drop(&port);
}

static const struct test tests[] = {
    {"a thousand messages come in their order", test_order, false},
    {"the backlog is kept", test_backlog, false},
    {"senders that wait are taken in order", test_blocked_senders, false},
    {"order of each of several senders", test_order_per_sender, false},
    {"deadline of a receive: none, zero, past, short", test_receive_deadline, false},
    {"deadline of a send: zero, past, short", test_send_deadline, false},
    {"deadline of a reply, and the late answer", test_reply_deadline, false},
    {"zero deadline of a reply", test_reply_would_block, false},
    {"many deadlines in any order", test_many_deadlines, false},
    {"a port dies with senders and callers waiting", test_port_dies, false},
    {"a port dies with receivers waiting", test_receivers_of_dying_port, false},
    {"a port dies after its message was received", test_port_dies_after_receive, false},
    {"a flood of messages costs its sender only", test_flood, false},
    {NULL, NULL, false},
};
const struct test_group send_tests = {"send", tests};
