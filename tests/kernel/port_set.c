// SPDX-License-Identifier: BSD-2-Clause
// Port sets: membership, fairness, waiting, destruction.
#include "harness.h"

#define MEMBERS 4

static struct test_port members[MEMBERS];
static port_name_t set;
static volatile unsigned result;
static volatile uint64_t label;

static void make_set(void)
{
    EXPECT_OK(port_set_allocate(&set));
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = port_make(100 + i);
        EXPECT_OK(port_enable(members[i].receive, set));
    }
}

static void drop_set(void)
{
    if (right_kind(set) != RIGHT_NONE)
        right_drop(set);
    for (unsigned i = 0; i < MEMBERS; i++)
        port_drop(&members[i]);
}

static void send_to(unsigned member, uint64_t word)
{
    struct message message = {.destination = members[member].send, .words = {word}};
    EXPECT_OK(message_do_within(&message, TAG_SEND | 1, 0));
}

static unsigned receive_from(port_name_t from, struct message *message)
{
    *message = (struct message){.receive_from = from};
    return message_do_within(message, TAG_RECEIVE, 0);
}

static void test_members(void)
{
    struct message message;
    struct port_status status;
    uint64_t ready = 0;

    make_set();
    EXPECT_EQUAL(receive_from(set, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
    for (unsigned i = 0; i < MEMBERS; i++)
        send_to(i, i);
    EXPECT_OK(port_messages(set, &ready));
    EXPECT_EQUAL(ready, MEMBERS);
    for (uint64_t i = 0; i < MEMBERS; i++) {
        EXPECT_OK(receive_from(set, &message));
        EXPECT_EQUAL(message.label, 100 + i);
        EXPECT_EQUAL(message.words[0], i);
    }
    // A member is received from through its set only.
    send_to(0, 9);
    EXPECT_EQUAL(receive_from(members[0].receive, &message), ERR_INVALID_RIGHT | IN_RECEIVE);
    EXPECT_OK(port_status(members[0].receive, &status));
    EXPECT_EQUAL(status.in_set, 1);
    EXPECT_OK(port_disable(members[0].receive));
    EXPECT_OK(port_status(members[0].receive, &status));
    EXPECT_EQUAL(status.in_set, 0);
    EXPECT_EQUAL(receive_from(set, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
    EXPECT_OK(receive_from(members[0].receive, &message));
    EXPECT_EQUAL(message.words[0], 9);
    // Neither twice nor a second time is an error.
    EXPECT_OK(port_disable(members[0].receive));
    EXPECT_OK(port_enable(members[1].receive, set));
    drop_set();
}

// A busy member does not starve the others.
static void test_fair(void)
{
    struct message message;
    unsigned seen[MEMBERS] = {0};

    make_set();
    for (uint64_t i = 0; i < 12; i++)
        send_to(0, i);
    for (unsigned i = 1; i < MEMBERS; i++)
        send_to(i, 0);
    for (unsigned i = 0; i < 2 * MEMBERS; i++) {
        EXPECT_OK(receive_from(set, &message));
        seen[message.label - 100]++;
    }
    for (unsigned i = 1; i < MEMBERS; i++)
        EXPECT_EQUAL(seen[i], 1);
    EXPECT_EQUAL(seen[0], MEMBERS + 1);
    drop_set();
}

// What a port has goes with it into a set, and from one set to another.
static void test_other_set(void)
{
    struct message message;
    port_name_t other = PORT_NULL;

    make_set();
    EXPECT_OK(port_set_allocate(&other));
    send_to(2, 22);
    EXPECT_OK(port_enable(members[2].receive, other));
    EXPECT_EQUAL(receive_from(set, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
    EXPECT_OK(receive_from(other, &message));
    EXPECT_EQUAL(message.label, 102);
    right_drop(other);
    // Its members are let go.
    send_to(2, 23);
    EXPECT_OK(receive_from(members[2].receive, &message));
    drop_set();
}

static void receiver(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    result = message_do(&message, TAG_RECEIVE);
    label = message.label;
}

static struct helper *receiver_start(port_name_t from)
{
    result = 999;
    struct helper *helper = helper_start(receiver, (void *)(uint64_t)from);
    EXPECT(helper_waits(helper, THREAD_RECEIVING));
    return helper;
}

static void test_waiting(void)
{
    make_set();
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct helper *helper = receiver_start(set);
        send_to(i, 0);
        helper_join(helper);
        EXPECT_OK(result);
        EXPECT_EQUAL(label, 100 + i);
    }
    // A port with a message joins: that ends the wait.
    EXPECT_OK(port_disable(members[3].receive));
    struct helper *helper = receiver_start(set);
    send_to(3, 0);
    sleep_for(MILLISECOND);
    EXPECT_EQUAL(result, 999);
    EXPECT_OK(port_enable(members[3].receive, set));
    helper_join(helper);
    EXPECT_EQUAL(label, 103);
    drop_set();
}

// Who waits at the port itself when it joins a set is told so.
static void test_joins_under_receiver(void)
{
    make_set();
    EXPECT_OK(port_disable(members[0].receive));
    struct helper *helper = receiver_start(members[0].receive);
    EXPECT_OK(port_enable(members[0].receive, set));
    helper_join(helper);
    EXPECT_EQUAL(result, ERR_INVALID_RIGHT | IN_RECEIVE);
    drop_set();
}

static void test_destroyed(void)
{
    struct message message;

    make_set();
    send_to(1, 5);
    EXPECT_OK(receive_from(set, &message));
    struct helper *helper = receiver_start(set);
    right_drop(set);
    helper_join(helper);
    EXPECT_EQUAL(result, ERR_PEER_DIED | IN_RECEIVE);
    EXPECT_EQUAL(receive_from(set, &message), ERR_INVALID_NAME | IN_RECEIVE);
    send_to(1, 6);
    EXPECT_OK(receive_from(members[1].receive, &message));
    drop_set();
}

// A member dies, with a message, while the set is waited at.
static void test_member_dies(void)
{
    make_set();
    struct helper *helper = receiver_start(set);
    right_drop(members[0].receive);
    members[0].receive = PORT_NULL;
    sleep_for(MILLISECOND);
    EXPECT_EQUAL(result, 999);
    send_to(1, 0);
    helper_join(helper);
    EXPECT_EQUAL(label, 101);
    send_to(2, 0);
    right_drop(members[2].receive);
    members[2].receive = PORT_NULL;
    struct message message;
    EXPECT_EQUAL(receive_from(set, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
    drop_set();
}

static void test_refused(void)
{
    make_set();
    EXPECT_EQUAL(port_enable(members[0].send, set), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(port_enable(members[0].receive, members[1].receive), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(port_enable(members[0].receive, 4711), ERR_INVALID_NAME);
    EXPECT_EQUAL(port_enable(4711, set), ERR_INVALID_NAME);
    EXPECT_EQUAL(port_enable(set, set), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(port_disable(members[0].send), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(port_disable(4711), ERR_INVALID_NAME);
    // A port set is in no message.
    EXPECT_EQUAL(task_insert_right(NAME_TASK_SELF, copy_send(set), NULL), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(task_insert_right(NAME_TASK_SELF, move_receive(set), NULL), ERR_INVALID_RIGHT);
    drop_set();
}

// A receive right that leaves its task leaves its set.
static void test_member_moves(void)
{
    struct child *child = child_create();
    struct message message;

    make_set();
    send_to(0, 1);
    (void)child_give(child, move_receive(members[0].receive));
    members[0].receive = PORT_NULL;
    EXPECT_EQUAL(receive_from(set, &message), ERR_WOULD_BLOCK | IN_RECEIVE);
    child_destroy(child);
    drop_set();
}

static const struct test tests[] = {
    {"members", test_members, false},
    {"fairness", test_fair, false},
    {"from one set to another", test_other_set, false},
    {"waiting at a set", test_waiting, false},
    {"a port joins under its receiver", test_joins_under_receiver, false},
    {"a set is destroyed", test_destroyed, false},
    {"a member dies", test_member_dies, false},
    {"a member moves to another task", test_member_moves, false},
    {"what is refused", test_refused, false},
    {NULL, NULL, false},
};
const struct test_group port_set_tests = {"port-set", tests};
