// SPDX-License-Identifier: BSD-2-Clause
// Messages that name who is to be answered (TAG_REPLY_RIGHT), and reply rights
// that are passed on to somebody else who answers.
#include "harness.h"

static struct test_port port, back, third;
static volatile unsigned result;
static volatile uint64_t answer;

static unsigned receive_now(struct message *message, port_name_t from)
{
    *message = (struct message){.receive_from = from};
    return message_do_within(message, TAG_RECEIVE, 0);
}

// Sends with that reply right; what is received has a slot to answer into.
static void send_with(struct message_right reply, struct message *request)
{
    struct message message = {.destination = port.send, .id = 4, .words = {17}};

    utcb_self()->reply = reply;
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT | 1));
    EXPECT_OK(receive_now(request, port.receive));
    EXPECT_EQUAL(request->tag, 1 | TAG_REPLY);
    EXPECT_EQUAL(request->words[0], 17);
}

static void answer_slot(uint64_t value)
{
    struct message message = {.id = 9, .words = {value}};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
    message = (struct message){0};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
}

static void expect_answer(uint64_t value)
{
    struct message message;
    EXPECT_OK(receive_now(&message, back.receive));
    EXPECT_EQUAL(message.words[0], value);
    EXPECT_EQUAL(message.id, 9);
    EXPECT_EQUAL(message.label, 0xbac);
    EXPECT_EQUAL(message.tag, 1);
    struct port_status status = {0};
    EXPECT_OK(port_status(back.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
}

static void make_ports(void)
{
    port = port_make(0);
    back = port_make(0xbac);
}

static void drop_ports(void)
{
    port_drop(&port);
    port_drop(&back);
}

static void test_make_send_once(void)
{
    struct message request;

    make_ports();
    send_with(make_send_once(back.receive), &request);
    answer_slot(33);
    expect_answer(33);
    drop_ports();
}

static void test_move_send_once(void)
{
    struct message request;
    uint64_t once = PORT_NULL;

    make_ports();
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(back.receive), &once));
    EXPECT_EQUAL(right_kind((port_name_t)once), RIGHT_SEND_ONCE);
    send_with(move_send_once((port_name_t)once), &request);
    EXPECT_EQUAL(right_kind((port_name_t)once), RIGHT_NONE);
    answer_slot(34);
    expect_answer(34);
    drop_ports();
}

// Saved, it is a send-once right like any other.
static void test_saved(void)
{
    struct message request;
    uint64_t name = PORT_NULL;

    make_ports();
    send_with(make_send_once(back.receive), &request);
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    request = (struct message){.destination = (port_name_t)name, .id = 9, .words = {35}};
    EXPECT_OK(message_do(&request, TAG_SEND | 1));
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_NONE);
    expect_answer(35);
    drop_ports();
}

static void test_refused(void)
{
    const struct {
        struct message_right right;
        corvus_error_t error;
    } cases[] = {
        {{PORT_NULL, MAKE_SEND_ONCE}, ERR_INVALID_NAME},
        {{NAME_TASK_SELF, MAKE_SEND_ONCE}, ERR_INVALID_RIGHT},
        {{NAME_TASK_SELF, MOVE_SEND_ONCE}, ERR_INVALID_RIGHT},
        {{NAME_TASK_SELF, COPY_SEND}, ERR_INVALID_ARGUMENT},
        {{NAME_TASK_SELF, 0}, ERR_INVALID_ARGUMENT},
        {{NAME_TASK_SELF, 77}, ERR_INVALID_ARGUMENT},
    };

    make_ports();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message message = {.destination = port.send};
        utcb_self()->reply = cases[i].right;
        EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT), cases[i].error);
    }
    struct message message;
    EXPECT_EQUAL(receive_now(&message, port.receive), ERR_WOULD_BLOCK | IN_RECEIVE);
    drop_ports();
}

// Destroyed unused, with the slot or with the message.
static void test_destroyed(void)
{
    struct message message;
    struct port_status status;

    make_ports();
    send_with(make_send_once(back.receive), &message);
    EXPECT_EQUAL(receive_now(&message, port.receive), ERR_WOULD_BLOCK | IN_RECEIVE);
    EXPECT_OK(port_status(back.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
    utcb_self()->reply = make_send_once(back.receive);
    message = (struct message){.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT));
    EXPECT_OK(port_status(back.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 1);
    right_drop(port.receive);
    EXPECT_OK(port_status(back.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
    right_drop(port.send);
    port_drop(&back);
}

// The port to be answered dies first.
static void test_back_dies(void)
{
    struct message message;

    make_ports();
    send_with(make_send_once(back.receive), &message);
    right_drop(back.receive);
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    right_drop(back.send);
    port_drop(&port);
}

static void receive_back(void *argument)
{
    struct message message = {.receive_from = back.receive};

    (void)argument;
    result = message_do(&message, TAG_RECEIVE);
    answer = message.words[0];
}

// Somebody waits at the port to be answered.
static void test_back_waits(void)
{
    struct message message;

    make_ports();
    struct helper *waiter = helper_start(receive_back, NULL);
    EXPECT(helper_waits(waiter, THREAD_RECEIVING));
    send_with(make_send_once(back.receive), &message);
    answer_slot(36);
    helper_join(waiter);
    EXPECT_OK(result);
    EXPECT_EQUAL(answer, 36);
    drop_ports();
}

// --- Passed on ----------------------------------------------------------------------

static void caller(void *argument)
{
    struct message message = {.destination = port.send, .id = 5, .words = {1}};

    (void)argument;
    result = message_do(&message, TAG_CALL | 1);
    answer = message.words[0];
}

// In another task: answers what comes in its slot with 1000 more.
static void answerer(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT(message.tag & TAG_REPLY);
    message.words[0] += 1000;
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
}

// In another task: answers a reply right that came as a right of the message.
static void answerer_by_name(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_EQUAL(message.tag & TAG_RIGHTS_MASK, TAG_RIGHTS(1));
    EXPECT_EQUAL(utcb_self()->rights[0].disposition, RIGHT_SEND_ONCE);
    message.destination = utcb_self()->rights[0].name;
    message.words[0] += 2000;
    EXPECT_OK(message_do(&message, TAG_SEND | 1));
    message.destination = utcb_self()->rights[0].name;
    EXPECT_EQUAL(message_do(&message, TAG_SEND | 1), ERR_INVALID_NAME);
}

// client -> main -> third task -> client
static void pass_on(void (*function)(void *), bool as_reply_right, bool waiting)
{
    struct child *child = child_create();
    struct message message;
    uint64_t name = PORT_NULL;

    make_ports();
    third = port_make(0);
    third.receive = child_give(child, move_receive(third.receive));
    if (waiting) {
        child_start(child, function, (void *)(uint64_t)third.receive);
        EXPECT(child_waits(child, THREAD_RECEIVING));
    }
    struct helper *client = helper_start(caller, NULL);
    EXPECT(helper_waits(client, THREAD_SENDING));
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->reply = move_send_once((port_name_t)name);
    utcb_self()->rights[0] = move_send_once((port_name_t)name);
    message = (struct message){.destination = third.send, .words = {7}};
    EXPECT_OK(
        message_do(&message, TAG_SEND | (as_reply_right ? TAG_REPLY_RIGHT : TAG_RIGHTS(1)) | 1));
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_NONE);
    if (!waiting)
        child_start(child, function, (void *)(uint64_t)third.receive);
    helper_join(client);
    EXPECT_OK(result);
    EXPECT_EQUAL(answer, as_reply_right ? 1007 : 2007);
    child_join(child);
    child_destroy(child);
    right_drop(third.send);
    drop_ports();
}

static void test_pass_on_slot(void)
{
    pass_on(answerer, true, true);
    pass_on(answerer, true, false);
}

static void test_pass_on_name(void)
{
    pass_on(answerer_by_name, false, true);
    pass_on(answerer_by_name, false, false);
}

// Passed on to a port that dies with it in its queue.
static void test_pass_on_dies(void)
{
    struct message message;
    uint64_t name = PORT_NULL;

    make_ports();
    third = port_make(0);
    struct helper *client = helper_start(caller, NULL);
    EXPECT(helper_waits(client, THREAD_SENDING));
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->reply = move_send_once((port_name_t)name);
    message = (struct message){.destination = third.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT));
    right_drop(third.receive);
    helper_join(client);
    EXPECT_EQUAL(result, ERR_NO_REPLY | IN_RECEIVE);
    right_drop(third.send);
    drop_ports();
}

// The client gives up while its reply right is in a queue.
static void test_client_gives_up_in_transit(void)
{
    struct message message;
    uint64_t name = PORT_NULL;

    make_ports();
    third = port_make(0);
    struct helper *client = helper_start(caller, NULL);
    EXPECT(helper_waits(client, THREAD_SENDING));
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->reply = move_send_once((port_name_t)name);
    message = (struct message){.destination = third.send};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT));
    helper_destroy(client);
    EXPECT_OK(receive_now(&message, third.receive));
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_REPLY), ERR_PEER_DIED);
    port_drop(&third);
    drop_ports();
}

// Why there is no answer is the answerer's to say.
static void test_failed(void)
{
    struct message message;
    uint64_t name = PORT_NULL;

    make_ports();
    struct helper *client = helper_start(caller, NULL);
    EXPECT(helper_waits(client, THREAD_SENDING));
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    EXPECT_EQUAL(task_fail_reply(NAME_TASK_SELF, name, 0), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(task_fail_reply(NAME_TASK_SELF, name, ERR_COUNT), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(task_fail_reply(NAME_TASK_SELF, name + (1ull << 32), ERR_FAULT), ERR_INVALID_NAME);
    EXPECT_EQUAL(task_fail_reply(NAME_TASK_SELF, port.send, ERR_FAULT), ERR_INVALID_RIGHT);
    EXPECT_OK(task_fail_reply(NAME_TASK_SELF, name, ERR_TOO_LARGE));
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_NONE);
    helper_join(client);
    EXPECT_EQUAL(result, ERR_TOO_LARGE | IN_RECEIVE);
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(back.receive), &name));
    EXPECT_OK(task_fail_reply(NAME_TASK_SELF, name, ERR_TOO_LARGE));
    EXPECT_EQUAL(receive_now(&message, back.receive), ERR_WOULD_BLOCK | IN_RECEIVE);
    drop_ports();
}

static void caller_with_room(void *argument)
{
    static uint8_t buffer[48];
    (void)argument;

    utcb_self()->copy_buffers[1] = message_buffer(buffer, sizeof buffer);
    caller(NULL);
    utcb_self()->copy_buffers[1].length = 0;
}

// What an answer may carry can be asked before it is made.
static void test_room(void)
{
    struct message message;
    uint64_t room[4] = {9, 9, 9, 9};

    make_ports();
    EXPECT_EQUAL(thread_reply_room(NAME_THREAD_MAIN, NULL, NULL, NULL, NULL), ERR_STATE);
    struct helper *client = helper_start(caller_with_room, NULL);
    EXPECT(helper_waits(client, THREAD_SENDING));
    EXPECT_OK(receive_now(&message, port.receive));
    EXPECT_OK(thread_reply_room(NAME_THREAD_MAIN, &room[0], &room[1], &room[2], &room[3]));
    EXPECT_EQUAL(room[0] + room[2] + room[3], 0);
    EXPECT_EQUAL(room[1], 48);
    answer_slot(5);
    helper_join(client);
    send_with(make_send_once(back.receive), &message);
    EXPECT_OK(thread_reply_room(NAME_THREAD_MAIN, NULL, &room[1], NULL, NULL));
    EXPECT_EQUAL(room[1], 0);
    answer_slot(33);
    expect_answer(33);
    drop_ports();
}

static const struct test tests[] = {
    {"a reply right made of a receive right", test_make_send_once, false},
    {"a reply right moved", test_move_send_once, false},
    {"a reply right saved", test_saved, false},
    {"reply rights that are refused", test_refused, false},
    {"a reply right destroyed unused", test_destroyed, false},
    {"the port to be answered dies", test_back_dies, false},
    {"a caller told why there is no answer", test_failed, false},
    {"how much an answer may carry", test_room, false},
    {"a thread waits at the port to be answered", test_back_waits, false},
    {"passed on to a task that answers by its slot", test_pass_on_slot, false},
    {"passed on to a task that answers by name", test_pass_on_name, false},
    {"passed on to a port that dies", test_pass_on_dies, false},
    {"the caller ends while its reply right travels", test_client_gives_up_in_transit, false},
    {NULL, NULL, false},
};
const struct test_group reply_right_tests = {"reply-right", tests};
