// SPDX-License-Identifier: BSD-2-Clause
// Rights on their way: all or nothing, receivers that cannot take them, moving
// receive rights with their queues, several rights in one message.
#include "harness.h"

static struct test_port port;
static volatile unsigned result;
static volatile uint64_t counted;

static unsigned receive_now(struct message *message, port_name_t from)
{
    *message = (struct message){.receive_from = from};
    return message_do_within(message, TAG_RECEIVE, 0);
}

// --- All or nothing -----------------------------------------------------------------

// The last right of eight is wrong: the seven before have not moved.
static void test_failed_send_moves_nothing(void)
{
    struct test_port moving = port_make(0);
    uint64_t once = PORT_NULL;
    struct message message;
    struct port_status before, after;

    port = port_make(0);
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(moving.receive), &once));
    EXPECT_OK(port_status(moving.receive, &before));
    const struct message_right wrong[] = {
        {PORT_NULL, COPY_SEND}, {moving.send, MAKE_SEND},    {moving.send, 9},
        {moving.send, 0},       {moving.receive, MOVE_SEND},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct message_right *rights = utcb_self()->rights;
        rights[0] = move_send((port_name_t)moving.send);
        rights[1] = move_send_once((port_name_t)once);
        for (unsigned r = 2; r < 7; r++)
            rights[r] = make_send(moving.receive);
        rights[7] = wrong[i];
        message = (struct message){.destination = port.send};
        EXPECT(message_do(&message, TAG_SEND | TAG_RIGHTS(8)) != ERR_OK);
        EXPECT_EQUAL(right_kind(moving.send), RIGHT_SEND);
        EXPECT_EQUAL(right_kind((port_name_t)once), RIGHT_SEND_ONCE);
    }
    EXPECT_OK(port_status(moving.receive, &after));
    EXPECT_EQUAL(after.send_rights, before.send_rights);
    EXPECT_EQUAL(after.send_once_rights, before.send_once_rights);
    EXPECT_EQUAL(receive_now(&message, port.receive), ERR_WOULD_BLOCK | IN_RECEIVE);
    // Nor does one that finds no room.
    EXPECT_OK(port_set_backlog(port.receive, 0));
    utcb_self()->rights[0] = move_send(moving.send);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), 0), ERR_WOULD_BLOCK);
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), SHORT_TIME),
                 ERR_INVALID_NAME);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), SHORT_TIME), ERR_TIMED_OUT);
    EXPECT_EQUAL(right_kind(moving.send), RIGHT_SEND);
    right_drop((port_name_t)once);
    port_drop(&moving);
    port_drop(&port);
}

static void test_duplicates(void)
{
    struct test_port moving = port_make(0);
    struct message message;
    struct port_status status;
    struct message_right *rights = utcb_self()->rights;

    port = port_make(0);
    // A right that moves is named once.
    rights[0] = move_send(moving.send);
    rights[1] = move_send(moving.send);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_RIGHTS(2)), ERR_INVALID_ARGUMENT);
    rights[0] = copy_send(moving.send);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_RIGHTS(2)), ERR_INVALID_ARGUMENT);
    // Others as often as one likes.
    for (unsigned i = 0; i < 8; i++)
        rights[i] = i % 2 ? make_send(moving.receive) : copy_send(moving.send);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(8)));
    EXPECT_OK(port_status(moving.receive, &status));
    EXPECT_EQUAL(status.send_rights, 9);
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_EQUAL(message.tag, TAG_RIGHTS(8));
    port_name_t names[8];
    for (unsigned i = 0; i < 8; i++)
        names[i] = rights[i].name;
    for (unsigned i = 0; i < 8; i++)
        right_drop(names[i]);
    EXPECT_OK(port_status(moving.receive, &status));
    EXPECT_EQUAL(status.send_rights, 1);
    // The send right that the message itself goes through.
    rights[0] = move_send(port.send);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(1)));
    EXPECT_EQUAL(right_kind(port.send), RIGHT_NONE);
    EXPECT_OK(receive_now(&message, port.receive));
    port.send = rights[0].name;
    EXPECT_EQUAL(right_kind(port.send), RIGHT_SEND);
    port_drop(&moving);
    port_drop(&port);
}

// Queued rights of a port that dies are given up.
static void test_queued_rights_die(void)
{
    struct test_port moving = port_make(0);
    struct message message;
    struct port_status status;

    port = port_make(0);
    utcb_self()->rights[0] = make_send(moving.receive);
    utcb_self()->rights[1] = make_send_once(moving.receive);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(2)));
    EXPECT_OK(port_status(moving.receive, &status));
    EXPECT_EQUAL(status.send_rights, 2);
    EXPECT_EQUAL(status.send_once_rights, 1);
    right_drop(port.receive);
    EXPECT_OK(port_status(moving.receive, &status));
    EXPECT_EQUAL(status.send_rights, 1);
    EXPECT_EQUAL(status.send_once_rights, 0);
    right_drop(port.send);
    port_drop(&moving);
}

// Eight rights there and eight back, to a server that waits, in another task.
static void return_rights(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};
    unsigned error = message_do(&message, TAG_RECEIVE);

    while (error == ERR_OK) {
        uint64_t count = (message.tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
        for (uint64_t i = 0; i < count; i++) {
            EXPECT_EQUAL(utcb_self()->rights[i].disposition, i % 2 ? RIGHT_SEND_ONCE : RIGHT_SEND);
            utcb_self()->rights[i].disposition = i % 2 ? MOVE_SEND_ONCE : MOVE_SEND;
        }
        message.receive_from = (port_name_t)(uint64_t)argument;
        error = message_do(&message, TAG_REPLY_RECEIVE | TAG_RIGHTS(count) | 3);
    }
}

static void test_rights_in_calls(void)
{
    struct test_port moving = port_make(0);
    struct child *child = child_create();
    struct port_status status;
    struct message_right *rights = utcb_self()->rights;

    port = port_make(0);
    child_start(child, return_rights,
                (void *)(uint64_t)child_give(child, move_receive(port.receive)));
    EXPECT(child_waits(child, THREAD_RECEIVING));
    for (uint64_t count = 0; count <= MESSAGE_RIGHTS; count++) {
        for (uint64_t i = 0; i < count; i++)
            rights[i] = i % 2 ? make_send_once(moving.receive) : make_send(moving.receive);
        struct message message = {.destination = port.send, .id = 9, .words = {1, 2, count}};
        EXPECT_OK(message_do(&message, TAG_CALL | TAG_RIGHTS(count) | 3));
        EXPECT_EQUAL(message.tag, TAG_RIGHTS(count) | 3);
        EXPECT_EQUAL(message.words[2], count);
        // Names first: the calls below use the same message page.
        port_name_t names[MESSAGE_RIGHTS];
        for (uint64_t i = 0; i < count; i++)
            names[i] = rights[i].name;
        EXPECT_OK(port_status(moving.receive, &status));
        EXPECT_EQUAL(status.send_rights, 1 + (count + 1) / 2);
        EXPECT_EQUAL(status.send_once_rights, count / 2);
        for (uint64_t i = 0; i < count; i++) {
            EXPECT_EQUAL(right_kind(names[i]), i % 2 ? RIGHT_SEND_ONCE : RIGHT_SEND);
            right_drop(names[i]);
        }
    }
    child_destroy(child);
    right_drop(port.send);
    port_drop(&moving);
}

// --- Receivers that cannot take a right --------------------------------------------------

// In a task without quota: fills its table, then receives what comes.
static void fill_table(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};
    uint64_t count = 0;

    while (task_insert_right(NAME_TASK_SELF, copy_send(NAME_TASK_SELF), NULL) == ERR_OK)
        count++;
    counted = count;
    result = message_do(&message, TAG_RECEIVE);
}

static void test_receiver_without_quota(void)
{
    struct child *child = child_create_with(200 << 10, 0);
    struct message message;
    uint64_t free_bytes = 0, quota = 0, used = 0;

    port = port_make(0);
    struct test_port moving = port_make(0);
    port_name_t there = child_give(child, move_receive(port.receive));
    // Just the page of entries that it has, and a vector save area.
    EXPECT_OK(task_info(child->task, NULL, &quota, &used, NULL, NULL, NULL));
    free_bytes = quota - used - 2048;
    EXPECT_OK(task_move_quota(child->task, free_bytes, copy_send(NAME_TASK_SELF)));
    result = 999;
    child_start(child, fill_table, (void *)(uint64_t)there);
    EXPECT(child_waits(child, THREAD_RECEIVING));
    EXPECT(counted > 0 && counted < 256);
    utcb_self()->rights[0] = move_send(moving.send);
    message = (struct message){.destination = port.send, .words = {1}};
    unsigned sent = message_do_within(&message, TAG_CALL | TAG_RIGHTS(1) | 1, SHORT_TIME);
    EXPECT_EQUAL(sent, ERR_NO_MEMORY);
    EXPECT_EQUAL(right_kind(moving.send), RIGHT_SEND);
    EXPECT_EQUAL(result, 999);
    // It is still there for a message without rights.
    message = (struct message){.destination = port.send, .words = {2}};
    EXPECT_OK(message_do_within(&message, TAG_SEND | 1, 0));
    child_join(child);
    EXPECT_OK(result);
    child_destroy(child);
    right_drop(port.send);
    port_drop(&moving);
}

// A rights table with all of its names in use. Takes 512 pages of quota.
static void test_table_full(void)
{
    struct child *child = child_create_with(3 << 20, 0);
    struct message message;
    uint64_t last = 0, rights = 0;
    corvus_error_t error = ERR_OK;

    port = port_make(0);
    struct test_port moving = port_make(0);
    port_name_t there = child_give(child, move_receive(port.receive));
    for (unsigned i = 0; i < RIGHTS_MAX + 10 && error == ERR_OK; i++)
        error = task_insert_right(child->task, copy_send(moving.send), &last);
    EXPECT_EQUAL(error, ERR_RIGHTS_FULL);
    EXPECT_OK(task_info(child->task, NULL, NULL, NULL, NULL, &rights, NULL));
    EXPECT_EQUAL(rights, RIGHTS_MAX - 1);
    EXPECT_EQUAL(task_allocate_port(child->task, 0, NULL), ERR_RIGHTS_FULL);
    EXPECT_EQUAL(task_allocate_port_set(child->task, NULL), ERR_RIGHTS_FULL);
    result = 999;
    child_start(child, fill_table, (void *)(uint64_t)there);
    EXPECT(child_waits(child, THREAD_RECEIVING));
    utcb_self()->rights[0] = move_send(moving.send);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), SHORT_TIME),
                 ERR_RIGHTS_FULL);
    EXPECT_EQUAL(right_kind(moving.send), RIGHT_SEND);
    EXPECT_EQUAL(result, 999);
    EXPECT_OK(task_deallocate_right(child->task, last));
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), SHORT_TIME));
    EXPECT_EQUAL(right_kind(moving.send), RIGHT_NONE);
    child_join(child);
    EXPECT_OK(result);
    child_destroy(child);
    right_drop(port.send);
    right_drop(moving.receive);
}

// --- Moving receive rights ----------------------------------------------------------------

static void receive_three(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_EQUAL(message.tag & TAG_RIGHTS_MASK, TAG_RIGHTS(1));
    port_name_t moved = utcb_self()->rights[0].name;
    EXPECT_EQUAL(utcb_self()->rights[0].disposition, RIGHT_RECEIVE);
    for (uint64_t i = 0; i < 3; i++) {
        message = (struct message){.receive_from = moved};
        EXPECT_OK(message_do(&message, TAG_RECEIVE));
        EXPECT_EQUAL(message.words[0], i);
        EXPECT_EQUAL(message.label, 0xabc);
        counted++;
    }
}

static void waiting_caller(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument, .words = {2}};

    // Its receiver ends without an answer.
    EXPECT_EQUAL(message_do(&message, TAG_CALL | 1), ERR_PEER_DIED | IN_RECEIVE);
}

// Queue, waiting sender and label go with the receive right.
static void test_move_receive(void)
{
    struct test_port moving = port_make(0xabc);
    struct child *child = child_create();
    struct message message;

    counted = 0;
    port = port_make(0);
    for (uint64_t i = 0; i < 2; i++) {
        message = (struct message){.destination = moving.send, .words = {i}};
        EXPECT_OK(message_do(&message, TAG_SEND | 1));
    }
    struct helper *client = helper_start(waiting_caller, (void *)(uint64_t)moving.send);
    EXPECT(helper_waits(client, THREAD_SENDING));
    child_start(child, receive_three,
                (void *)(uint64_t)child_give(child, move_receive(port.receive)));
    utcb_self()->rights[0] = move_receive(moving.receive);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do_within(&message, TAG_SEND | TAG_RIGHTS(1), LONG_TIME));
    EXPECT_EQUAL(right_kind(moving.receive), RIGHT_NONE);
    child_join(child);
    EXPECT_EQUAL(counted, 3);
    child_destroy(child);
    helper_join(client);
    right_drop(moving.send);
    right_drop(port.send);
}

// Not into its own queue, where nobody could ever get it out.
static void test_move_receive_to_itself(void)
{
    struct message message;

    port = port_make(0);
    utcb_self()->rights[0] = move_receive(port.receive);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_RIGHTS(1)), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(right_kind(port.receive), RIGHT_RECEIVE);
    port_drop(&port);
}

static void receive_here(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    result = message_do(&message, TAG_RECEIVE);
}

// Who waits at a port whose receive right leaves is told so.
static void test_move_receive_under_receiver(void)
{
    struct child *child = child_create();

    port = port_make(0);
    struct helper *receiver = helper_start(receive_here, (void *)(uint64_t)port.receive);
    EXPECT(helper_waits(receiver, THREAD_RECEIVING));
    (void)child_give(child, move_receive(port.receive));
    helper_join(receiver);
    EXPECT_EQUAL(result, ERR_INVALID_NAME | IN_RECEIVE);
    child_destroy(child);
    EXPECT_EQUAL(right_kind(port.send), RIGHT_DEAD);
    right_drop(port.send);
}

// Two ports whose receive rights wait in each other's queues die with their senders.
static void send_receive_right(void *argument)
{
    struct message message = {.destination = port.send};

    utcb_self()->rights[0] = move_receive((port_name_t)(uint64_t)argument);
    result = message_do(&message, TAG_SEND | TAG_RIGHTS(1));
}

static void test_sender_of_receive_right_dies(void)
{
    struct test_port moving = port_make(0);

    port = port_make(0);
    struct helper *sender = helper_start(send_receive_right, (void *)(uint64_t)moving.receive);
    EXPECT(helper_waits(sender, THREAD_SENDING));
    EXPECT_EQUAL(right_kind(moving.receive), RIGHT_RECEIVE);
    helper_destroy(sender);
    EXPECT_EQUAL(right_kind(moving.receive), RIGHT_RECEIVE);
    port_drop(&moving);
    port_drop(&port);
}

// The right to be sent vanishes while its sender waits.
static void test_right_vanishes_in_wait(void)
{
    struct test_port moving = port_make(0);
    struct message message;

    port = port_make(0);
    struct helper *sender = helper_start(send_receive_right, (void *)(uint64_t)moving.receive);
    EXPECT(helper_waits(sender, THREAD_SENDING));
    port_drop(&moving);
    EXPECT_EQUAL(receive_now(&message, port.receive), ERR_WOULD_BLOCK | IN_RECEIVE);
    helper_join(sender);
    EXPECT_EQUAL(result, ERR_INVALID_NAME);
    port_drop(&port);
}

static const struct test tests[] = {
    {"a send that fails has moved no right", test_failed_send_moves_nothing, false},
    {"a right named twice in a message", test_duplicates, false},
    {"up to eight rights there and back", test_rights_in_calls, false},
    {"rights in the queue of a port that dies", test_queued_rights_die, false},
    {"a receiver without quota fails the send", test_receiver_without_quota, false},
    {"a receiver with a full rights table fails the send", test_table_full, false},
    {"a receive right moves with its queue", test_move_receive, false},
    {"a receive right does not enter its own queue", test_move_receive_to_itself, false},
    {"a receive right leaves under its receiver", test_move_receive_under_receiver, false},
    {"the sender of a receive right dies", test_sender_of_receive_right_dies, false},
    {"a right vanishes while its sender waits", test_right_vanishes_in_wait, false},
    {NULL, NULL, false},
};
const struct test_group transfer_tests = {"transfer", tests};
