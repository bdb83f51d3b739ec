// SPDX-License-Identifier: BSD-2-Clause
// Who owes an answer, and what becomes of the caller when it does not come: the
// reply slot, saved reply rights, deaths on either side.
#include "harness.h"

static struct test_port port;
static volatile unsigned results[4];
static volatile uint64_t answers[4];

static void caller(void *argument)
{
    uint64_t index = (uint64_t)argument;
    struct message message = {.destination = port.send, .id = 50, .words = {index}};

    results[index] = message_do(&message, TAG_CALL | 1);
    answers[index] = message.words[0];
}

// A client that waits for its answer, whose request the main thread has received.
static struct helper *client_start(uint64_t index, struct message *request)
{
    struct helper *client = helper_start(caller, (void *)index);

    results[index] = 999;
    answers[index] = 0;
    EXPECT(helper_waits(client, THREAD_SENDING));
    *request = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(request, TAG_RECEIVE));
    EXPECT_EQUAL(request->tag, 1 | TAG_REPLY);
    EXPECT(helper_waits(client, THREAD_CALLING));
    return client;
}

static port_name_t save_reply(void)
{
    uint64_t name = PORT_NULL;

    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_SEND_ONCE);
    return (port_name_t)name;
}

static unsigned answer_by(port_name_t name, uint64_t value)
{
    struct message message = {.destination = name, .words = {value}};
    return message_do(&message, TAG_SEND | 1);
}

static void expect_end(struct helper *client, uint64_t index, unsigned result, uint64_t value)
{
    helper_join(client);
    EXPECT_EQUAL(results[index], result);
    if (result == ERR_OK)
        EXPECT_EQUAL(answers[index], value);
}

// --- The slot -----------------------------------------------------------------------

static void test_receive_again(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    expect_end(client, 0, ERR_NO_REPLY | IN_RECEIVE, 0);
    // Nothing is left to answer.
    message = (struct message){0};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    port_drop(&port);
}

static void test_answer_twice(void)
{
    struct message message;

    port = port_make(0);
    message = (struct message){0};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    struct helper *client = client_start(0, &message);
    message = (struct message){.words = {31}};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
    message = (struct message){.words = {32}};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY | 1), ERR_PEER_DIED);
    expect_end(client, 0, ERR_OK, 31);
    // A failed reply does not go on to receive.
    EXPECT_OK(msg_send(&(struct message){.destination = port.send, .tag = 0}, 0));
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do(&message, TAG_REPLY_RECEIVE), ERR_PEER_DIED);
    uint64_t queued = 0;
    EXPECT_OK(port_messages(port.receive, &queued));
    EXPECT_EQUAL(queued, 1);
    port_drop(&port);
}

// Kernel services and sends in between leave the slot alone.
static void test_slot_stays(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    for (unsigned i = 0; i < 10; i++)
        (void)kernel_memory_used();
    EXPECT_OK(msg_send(&(struct message){.destination = port.send, .tag = 0}, 0));
    struct message answer = {.words = {5}};
    EXPECT_OK(message_do(&answer, TAG_SEND | TAG_REPLY | 1));
    expect_end(client, 0, ERR_OK, 5);
    port_drop(&port);
}

// A plain message has no slot, and takes away the one before.
static void test_no_slot(void)
{
    struct message message;

    port = port_make(0);
    EXPECT_OK(msg_send(&(struct message){.destination = port.send, .tag = 0}, 0));
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_EQUAL(message.tag & TAG_REPLY, 0);
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    EXPECT_EQUAL(thread_save_reply(NAME_THREAD_MAIN, NULL), ERR_STATE);
    port_drop(&port);
}

// --- Saved ----------------------------------------------------------------------------

// Three requests taken before the first is answered, in another order.
static void test_save(void)
{
    struct helper *clients[3];
    port_name_t names[3];
    struct message message;

    port = port_make(0);
    for (uint64_t i = 0; i < 3; i++) {
        clients[i] = client_start(i, &message);
        names[i] = save_reply();
        EXPECT_EQUAL(thread_save_reply(NAME_THREAD_MAIN, NULL), ERR_STATE);
        EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    }
    for (uint64_t i = 3; i-- > 0;) {
        EXPECT_OK(answer_by(names[i], 70 + i));
        expect_end(clients[i], i, ERR_OK, 70 + i);
        EXPECT_EQUAL(answer_by(names[i], 0), ERR_INVALID_NAME);
    }
    port_drop(&port);
}

static void answer_from_helper(void *argument)
{
    results[3] = answer_by((port_name_t)(uint64_t)argument, 12);
}

static void test_saved_other_thread(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    struct helper *server = helper_start(answer_from_helper, (void *)(uint64_t)save_reply());
    helper_join(server);
    EXPECT_OK(results[3]);
    expect_end(client, 0, ERR_OK, 12);
    port_drop(&port);
}

static void test_saved_destroyed(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    right_drop(save_reply());
    expect_end(client, 0, ERR_NO_REPLY | IN_RECEIVE, 0);
    port_drop(&port);
}

// What may not be done with a reply right.
static void test_saved_misuse(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    port_name_t name = save_reply();
    message = (struct message){.destination = name};
    EXPECT(message_do(&message, TAG_CALL) != ERR_OK);
    message = (struct message){.destination = name};
    EXPECT(message_do(&message, TAG_SEND | TAG_NOTIFY | 1) != ERR_OK);
    EXPECT_EQUAL(task_insert_right(NAME_TASK_SELF, copy_send(name), NULL), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(task_insert_right(NAME_TASK_SELF, move_send(name), NULL), ERR_INVALID_RIGHT);
    EXPECT_EQUAL(task_request_notification(NAME_TASK_SELF, name, NOTIFY_DEAD_NAME,
                                           make_send_once(port.receive)),
                 ERR_INVALID_RIGHT);
    EXPECT_EQUAL(thread_set_pager(client->thread, move_send_once(name)), ERR_INVALID_RIGHT);
    // The last one took it: services destroy rights they cannot use.
    if (right_kind(name) == RIGHT_SEND_ONCE)
        right_drop(name);
    expect_end(client, 0, ERR_NO_REPLY | IN_RECEIVE, 0);
    port_drop(&port);
}

// --- Deaths and time-outs -----------------------------------------------------------------

static void hasty_caller(void *argument)
{
    struct message message = {.destination = port.send};

    (void)argument;
    results[0] = message_do_within(&message, TAG_CALL, 20 * SHORT_TIME);
}

static struct helper *hasty_client_start(void)
{
    struct helper *client = helper_start(hasty_caller, NULL);
    struct message message = {.receive_from = port.receive};

    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    return client;
}

static void test_caller_gives_up(void)
{
    port = port_make(0);
    struct helper *client = hasty_client_start();
    port_name_t name = save_reply();
    helper_join(client);
    EXPECT_EQUAL(results[0], ERR_TIMED_OUT | IN_RECEIVE);
    EXPECT_EQUAL(right_kind(name), RIGHT_DEAD);
    EXPECT_EQUAL(answer_by(name, 1), ERR_PEER_DIED);
    if (right_kind(name) != RIGHT_NONE)
        right_drop(name);
    // In the slot.
    client = hasty_client_start();
    helper_join(client);
    struct message message = {0};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    port_drop(&port);
}

// An old reply right does not answer the same thread's next call.
static void test_old_right(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = helper_start(hasty_caller, NULL);
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    port_name_t old = save_reply();
    EXPECT_OK(thread_abort(client->thread));
    helper_join(client);
    EXPECT_EQUAL(results[0], ERR_ABORTED | IN_RECEIVE);
    client = client_start(1, &message);
    EXPECT_EQUAL(answer_by(old, 666), ERR_PEER_DIED);
    message = (struct message){.words = {1}};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
    expect_end(client, 1, ERR_OK, 1);
    if (right_kind(old) != RIGHT_NONE)
        right_drop(old);
    port_drop(&port);
}

static void test_caller_dies(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    helper_destroy(client);
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    client = client_start(0, &message);
    port_name_t name = save_reply();
    helper_destroy(client);
    EXPECT_EQUAL(right_kind(name), RIGHT_DEAD);
    EXPECT_EQUAL(answer_by(name, 1), ERR_PEER_DIED);
    if (right_kind(name) != RIGHT_NONE)
        right_drop(name);
    port_drop(&port);
}

static void server_keeps(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    (void)message_do(&message, TAG_RECEIVE);
    // Nobody receives that, so it waits for ever; the child, which has no such name, goes on.
    message = (struct message){.destination = port.send};
    (void)message_do(&message, TAG_CALL);
    for (;;)
        sleep_for(NANOSECONDS_PER_SECOND);
}

// A server thread that dies with the request in its slot.
static void test_server_thread_dies(void)
{
    port = port_make(0);
    struct helper *server = helper_start(server_keeps, (void *)(uint64_t)port.receive);
    EXPECT(helper_waits(server, THREAD_RECEIVING));
    struct helper *client = helper_start(caller, (void *)0);
    EXPECT(helper_waits(client, THREAD_CALLING));
    helper_destroy(server);
    expect_end(client, 0, ERR_PEER_DIED | IN_RECEIVE, 0);
    port_drop(&port);
}

static void server_saves(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    (void)message_do(&message, TAG_RECEIVE);
    EXPECT_OK(thread_save_reply(NAME_AT(2u), NULL));
    for (;;)
        sleep_for(NANOSECONDS_PER_SECOND);
}

static void server_task_dies(void (*server)(void *))
{
    struct child *child = child_create();

    port = port_make(0);
    EXPECT_EQUAL(child_give(child, copy_send(child->thread)), NAME_AT(2u));
    port.receive = child_give(child, move_receive(port.receive));
    child_start(child, server, (void *)(uint64_t)port.receive);
    EXPECT(child_waits(child, THREAD_RECEIVING));
    struct helper *client = helper_start(caller, (void *)0);
    EXPECT(helper_waits(client, THREAD_CALLING));
    child_destroy(child);
    expect_end(client, 0, ERR_PEER_DIED | IN_RECEIVE, 0);
    right_drop(port.send);
}

static void test_server_task_dies(void)
{
    server_task_dies(server_keeps);
}

static void test_server_task_dies_saved(void)
{
    server_task_dies(server_saves);
}

// --- A reply never blocks ---------------------------------------------------------------

static void suspended_caller(void *argument)
{
    caller(argument);
}

// Not even when its taker is suspended, or does not run for other reasons.
static void test_reply_never_blocks(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = helper_start(suspended_caller, (void *)0);
    EXPECT(helper_waits(client, THREAD_SENDING));
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_OK(thread_suspend(client->thread));
    message = (struct message){.words = {44}};
    EXPECT_OK(message_do_within(&message, TAG_SEND | TAG_REPLY | 1, 0));
    sleep_for(SHORT_TIME);
    EXPECT(!client->done);
    EXPECT_OK(thread_resume(client->thread));
    expect_end(client, 0, ERR_OK, 44);
    port_drop(&port);
}

// An answer whose rights are wrong fails, and can be given again.
static void test_reply_again(void)
{
    struct message message;

    port = port_make(0);
    struct helper *client = client_start(0, &message);
    utcb_self()->rights[0] = copy_send(54321);
    message = (struct message){.words = {1}};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY | TAG_RIGHTS(1) | 1), ERR_INVALID_NAME);
    message = (struct message){.words = {2}};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
    expect_end(client, 0, ERR_OK, 2);
    port_drop(&port);
}

static const struct test tests[] = {
    {"receiving again gives the request up", test_receive_again, false},
    {"one answer each", test_answer_twice, false},
    {"other calls leave the reply slot alone", test_slot_stays, false},
    {"a plain message cannot be answered", test_no_slot, false},
    {"saved reply rights answer in any order", test_save, false},
    {"another thread answers", test_saved_other_thread, false},
    {"a saved reply right destroyed: NO_REPLY", test_saved_destroyed, false},
    {"misuse of a reply right", test_saved_misuse, false},
    {"the caller's deadline kills its reply right", test_caller_gives_up, false},
    {"an old reply right does not answer a new call", test_old_right, false},
    {"a caller dies", test_caller_dies, false},
    {"a server thread dies: PEER_DIED", test_server_thread_dies, false},
    {"a server task dies: PEER_DIED", test_server_task_dies, false},
    {"a server task dies with a saved reply right: PEER_DIED", test_server_task_dies_saved, false},
    {"a reply does not wait for its taker to run", test_reply_never_blocks, false},
    {"a reply that failed can be given again", test_reply_again, false},
    {NULL, NULL, false},
};
const struct test_group reply_tests = {"reply", tests};
