// SPDX-License-Identifier: BSD-2-Clause
// Names and what they stand for: every disposition with every kind of right,
// stale and dead names, the services on rights tables.
#include "harness.h"

// One name of each kind; NAMES_END kinds.
enum { NAME_SEND, NAME_SEND_ONCE, NAME_RECEIVE, NAME_SET, NAME_DEAD, NAMES_END };
static port_name_t names[NAMES_END];
static struct test_port base;

static void make_names(void)
{
    uint64_t once = PORT_NULL;
    struct test_port dead = port_make(0);

    base = port_make(77);
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(base.receive), &once));
    names[NAME_SEND] = base.send;
    names[NAME_SEND_ONCE] = (port_name_t)once;
    names[NAME_RECEIVE] = base.receive;
    EXPECT_OK(port_set_allocate(&names[NAME_SET]));
    right_drop(dead.receive);
    names[NAME_DEAD] = dead.send;
}

static void drop_names(void)
{
    for (unsigned i = 0; i < NAMES_END; i++)
        if (right_kind(names[i]) != RIGHT_NONE)
            right_drop(names[i]);
}

// What a disposition makes of a kind; 0: INVALID_RIGHT. The dead name was a send right.
static const uint8_t outcome_of[MOVE_RECEIVE + 1][NAMES_END] = {
    [MOVE_SEND] = {[NAME_SEND] = RIGHT_SEND, [NAME_DEAD] = RIGHT_DEAD},
    [COPY_SEND] = {[NAME_SEND] = RIGHT_SEND, [NAME_DEAD] = RIGHT_DEAD},
    [MAKE_SEND] = {[NAME_RECEIVE] = RIGHT_SEND},
    [MAKE_SEND_ONCE] = {[NAME_RECEIVE] = RIGHT_SEND_ONCE},
    [MOVE_SEND_ONCE] = {[NAME_SEND_ONCE] = RIGHT_SEND_ONCE},
    [MOVE_RECEIVE] = {[NAME_RECEIVE] = RIGHT_RECEIVE},
};

static bool moves(uint32_t disposition)
{
    return disposition == MOVE_SEND || disposition == MOVE_SEND_ONCE || disposition == MOVE_RECEIVE;
}

// By a message to a port of our own, received at once.
static corvus_error_t carry_by_message(struct message_right right, port_name_t *name)
{
    struct test_port port = port_make(0);
    struct message message = {.destination = port.send};
    unsigned result;

    utcb_self()->rights[0] = right;
    result = message_do(&message, TAG_SEND | TAG_RIGHTS(1) | TAG_SEND_DEADLINE);
    if (result == ERR_WOULD_BLOCK) {
        // Receive rights are not buffered.
        EXPECT_EQUAL(right.disposition, MOVE_RECEIVE);
        port_drop(&port);
        uint64_t there = PORT_NULL;
        corvus_error_t error = task_insert_right(NAME_TASK_SELF, right, &there);
        *name = (port_name_t)there;
        return error;
    }
    if (result == ERR_OK) {
        message = (struct message){.receive_from = port.receive};
        EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
        EXPECT_EQUAL(message.tag, TAG_RIGHTS(1));
        *name = utcb_self()->rights[0].name;
        EXPECT_EQUAL(utcb_self()->rights[0].disposition, right_kind(*name));
    }
    port_drop(&port);
    return (corvus_error_t)result;
}

static corvus_error_t carry_by_insert(struct message_right right, port_name_t *name)
{
    uint64_t there = PORT_NULL;
    corvus_error_t error = task_insert_right(NAME_TASK_SELF, right, &there);
    *name = (port_name_t)there;
    return error;
}

static corvus_error_t carry_by_extract(struct message_right right, port_name_t *name)
{
    return task_extract_right(NAME_TASK_SELF, right.name, right.disposition, name);
}

static void every_disposition(corvus_error_t (*carry)(struct message_right, port_name_t *))
{
    for (uint32_t disposition = 0; disposition <= MOVE_RECEIVE + 1; disposition++)
        for (unsigned kind = 0; kind < NAMES_END; kind++) {
            bool known = disposition >= MOVE_SEND && disposition <= MOVE_RECEIVE;
            uint64_t expected = known ? outcome_of[disposition][kind] : 0;
            port_name_t name = PORT_NULL;
            make_names();
            uint64_t old = right_kind(names[kind]);
            utcb_self()->send_deadline = 0;
            corvus_error_t error = carry(message_right(names[kind], disposition), &name);
            EXPECT_EQUAL(error, !known     ? ERR_INVALID_ARGUMENT
                                : expected ? ERR_OK
                                           : ERR_INVALID_RIGHT);
            EXPECT_EQUAL(right_kind(name), error ? (uint64_t)RIGHT_NONE : expected);
            EXPECT_EQUAL(right_kind(names[kind]),
                         !error && moves(disposition) ? (uint64_t)RIGHT_NONE : old);
            if (!error)
                right_drop(name);
            drop_names();
        }
}

static void test_dispositions_message(void)
{
    every_disposition(carry_by_message);
}

static void test_dispositions_insert(void)
{
    every_disposition(carry_by_insert);
}

static void test_dispositions_extract(void)
{
    every_disposition(carry_by_extract);
}

// --- Names ------------------------------------------------------------------------

// A slot used again has another name; the old one stays invalid.
static void test_stale(void)
{
    port_name_t old = PORT_NULL, again = PORT_NULL, name;
    uint32_t index;

    EXPECT_OK(port_allocate(1, &old));
    right_drop(old);
    index = old >> NAME_GENERATION_BITS;
    for (unsigned i = 0; i < 2000 && again == PORT_NULL; i++) {
        EXPECT_OK(port_allocate(2, &name));
        if (name >> NAME_GENERATION_BITS == index)
            again = name;
        else
            right_drop(name);
    }
    EXPECT(again != PORT_NULL);
    EXPECT(again != old);
    EXPECT_EQUAL(right_kind(old), RIGHT_NONE);
    EXPECT_EQUAL(port_deallocate(old), ERR_INVALID_NAME);
    struct message message = {.receive_from = old};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_INVALID_NAME | IN_RECEIVE);
    right_drop(again);
}

static void test_info(void)
{
    uint64_t kind = 0, id = 0, send_id = 0, label = 0;

    make_names();
    EXPECT_OK(task_right_info(NAME_TASK_SELF, names[NAME_RECEIVE], &kind, &id, &label));
    EXPECT_EQUAL(kind, RIGHT_RECEIVE);
    EXPECT_EQUAL(label, 77);
    EXPECT_OK(task_right_info(NAME_TASK_SELF, names[NAME_SEND], &kind, &send_id, &label));
    EXPECT_EQUAL(kind, RIGHT_SEND);
    EXPECT_EQUAL(send_id, id);
    EXPECT_EQUAL(label, 0);
    EXPECT_OK(task_right_info(NAME_TASK_SELF, names[NAME_SEND_ONCE], &kind, &send_id, NULL));
    EXPECT_EQUAL(kind, RIGHT_SEND_ONCE);
    EXPECT_EQUAL(send_id, id);
    EXPECT_OK(task_right_info(NAME_TASK_SELF, names[NAME_SET], &kind, &send_id, NULL));
    EXPECT_EQUAL(kind, RIGHT_PORT_SET);
    EXPECT(send_id != id && send_id != 0);
    EXPECT_OK(task_right_info(NAME_TASK_SELF, names[NAME_DEAD], &kind, &id, NULL));
    EXPECT_EQUAL(kind, RIGHT_DEAD);
    EXPECT_EQUAL(id, 0);
    EXPECT_EQUAL(task_right_info(NAME_TASK_SELF, names[NAME_SEND] | 1ull << 32, NULL, NULL, NULL),
                 ERR_INVALID_NAME);
    drop_names();
}

static void test_send_once_consumed(void)
{
    struct message message;
    uint64_t once = PORT_NULL;

    base = port_make(0);
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(base.receive), &once));
    // No backlog stands in its way.
    EXPECT_OK(port_set_backlog(base.receive, 0));
    message = (struct message){.destination = (port_name_t)once};
    EXPECT_OK(message_do_within(&message, TAG_SEND, 0));
    EXPECT_EQUAL(right_kind((port_name_t)once), RIGHT_NONE);
    message = (struct message){.receive_from = base.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    port_drop(&base);
}

static void call_once(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument};

    EXPECT_OK(message_do(&message, TAG_CALL));
}

// An RPC by a send-once right, which has to wait for its receiver, uses it up too.
static void test_send_once_waiting(void)
{
    struct port_status status = {0};
    uint64_t once = PORT_NULL;

    base = port_make(0);
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(base.receive), &once));
    struct helper *client = helper_start(call_once, (void *)once);
    EXPECT(helper_waits(client, THREAD_SENDING));
    struct message message = {.receive_from = base.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_EQUAL(right_kind((port_name_t)once), RIGHT_NONE);
    EXPECT_OK(port_status(base.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
    helper_join(client);
    if (right_kind((port_name_t)once) != RIGHT_NONE)
        right_drop((port_name_t)once);
    port_drop(&base);
}

static void test_dead_names(void)
{
    make_names();
    EXPECT_EQUAL(task_request_notification(NAME_TASK_SELF, names[NAME_DEAD], NOTIFY_DEAD_NAME,
                                           make_send_once(base.receive)),
                 ERR_PEER_DIED);
    right_drop(names[NAME_RECEIVE]);
    EXPECT_EQUAL(right_kind(names[NAME_SEND]), RIGHT_DEAD);
    EXPECT_EQUAL(right_kind(names[NAME_SEND_ONCE]), RIGHT_DEAD);
    struct message message = {.destination = names[NAME_SEND_ONCE]};
    EXPECT_EQUAL(message_do(&message, TAG_SEND), ERR_PEER_DIED);
    drop_names();
}

// Insert and extract with another task as target, and count of send rights.
static void test_insert_extract(void)
{
    struct child *child = child_create();
    struct port_status status;
    port_name_t back = PORT_NULL;
    uint64_t kind = 0;

    base = port_make(5);
    port_name_t there = child_give(child, make_send(base.receive));
    EXPECT_OK(task_right_info(child->task, there, &kind, NULL, NULL));
    EXPECT_EQUAL(kind, RIGHT_SEND);
    EXPECT_OK(port_status(base.receive, &status));
    EXPECT_EQUAL(status.send_rights, 2);
    EXPECT_OK(task_extract_right(child->task, there, COPY_SEND, &back));
    EXPECT_OK(port_status(base.receive, &status));
    EXPECT_EQUAL(status.send_rights, 3);
    right_drop(back);
    EXPECT_OK(task_extract_right(child->task, there, MOVE_SEND, &back));
    EXPECT_EQUAL(task_right_info(child->task, there, NULL, NULL, NULL), ERR_INVALID_NAME);
    right_drop(back);
    there = child_give(child, move_receive(base.receive));
    EXPECT_EQUAL(right_kind(base.receive), RIGHT_NONE);
    EXPECT_OK(task_extract_right(child->task, there, MOVE_RECEIVE, &base.receive));
    EXPECT_OK(port_status(base.receive, &status));
    EXPECT_EQUAL(status.send_rights, 1);
    // Rights of a task that ends are given up.
    (void)child_give(child, make_send(base.receive));
    child_destroy(child);
    for (unsigned i = 0; i < 100 && status.send_rights != 1; i++)
        EXPECT_OK(port_status(base.receive, &status));
    EXPECT_EQUAL(status.send_rights, 1);
    port_drop(&base);
}

static const struct test tests[] = {
    {"every disposition of every kind, in messages", test_dispositions_message, false},
    {"every disposition of every kind, inserted", test_dispositions_insert, false},
    {"every disposition of every kind, extracted", test_dispositions_extract, false},
    {"stale names are caught", test_stale, false},
    {"what names stand for", test_info, false},
    {"a send-once right is used up", test_send_once_consumed, false},
    {"a send-once right is used up after a wait", test_send_once_waiting, false},
    {"dead names", test_dead_names, false},
    {"rights of another task", test_insert_extract, false},
    {NULL, NULL, false},
};
const struct test_group right_tests = {"right", tests};
