// SPDX-License-Identifier: BSD-2-Clause
// Messages of words: both ways, on the fast and the slow path, and the tags
// that are refused.
#include "harness.h"

#define STAMP(call, word) ((uint64_t)(call) << 32 | 0xabc00000u | (uint64_t)(word))
#define ECHO_STOP         0xdeadu

static struct test_port echo_port;

// Answers each message with its own words, each plus one, its id plus one and
// the number of words; ends at the id ECHO_STOP. Looks at nothing it was not sent.
static void echo(void *slow)
{
    struct message message = {.receive_from = echo_port.receive};
    uint64_t extra = slow ? TAG_SEND_DEADLINE : 0;
    unsigned result = message_do(&message, TAG_RECEIVE);

    while (result == ERR_OK) {
        uint64_t words = message_words(message.tag);
        EXPECT_EQUAL(message.label, 0x1234567890abcdefull);
        EXPECT(message.tag & TAG_REPLY);
        for (uint64_t i = 0; i < words; i++)
            (i < 6 ? message.words : utcb_self()->words)[i]++;
        if (message.id == ECHO_STOP) {
            EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | words));
            return;
        }
        message.id++;
        message.receive_from = echo_port.receive;
        utcb_self()->send_deadline = 0;
        result = message_do(&message, TAG_REPLY_RECEIVE | words | extra);
    }
    EXPECT_OK(result);
}

static void fill(struct message *message, uint64_t call, uint64_t words)
{
    for (unsigned i = 0; i < MESSAGE_WORDS; i++)
        utcb_self()->words[i] = 0x5555;
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        message->words[i] = i < words ? STAMP(call, i) : 0x7777;
    for (uint64_t i = MESSAGE_REGISTER_WORDS; i < words; i++)
        utcb_self()->words[i] = STAMP(call, i);
}

static void check_words(const struct message *message, uint64_t call, uint64_t words)
{
    for (uint64_t i = 0; i < words; i++)
        EXPECT_EQUAL(i < 6 ? message->words[i] : utcb_self()->words[i], STAMP(call, i) + 1);
    for (uint64_t i = words < 6 ? 6 : words; i < MESSAGE_WORDS; i++)
        EXPECT_EQUAL(utcb_self()->words[i], 0x5555);
}

// Every number of words through a server thread; `options` keep it off the fast path.
static void call_echo(uint64_t options, bool slow_server)
{
    echo_port = port_make(0x1234567890abcdefull);
    struct helper *server = helper_start(echo, slow_server ? &echo_port : NULL);

    EXPECT(helper_waits(server, THREAD_RECEIVING));
    for (uint64_t words = 0; words <= MESSAGE_WORDS; words++) {
        struct message message = {.destination = echo_port.send, .id = 0x80000000u + words};
        fill(&message, words, words);
        utcb_self()->send_deadline = clock_now_ns() + LONG_TIME;
        EXPECT_OK(message_do(&message, TAG_CALL | options | words));
        EXPECT_EQUAL(message.tag, words);
        EXPECT_EQUAL(message.id, 0x80000001u + words);
        EXPECT_EQUAL(message.label, 0);
        EXPECT_EQUAL(message.receive_from, 0);
        check_words(&message, words, words);
    }
    struct message message = {.destination = echo_port.send, .id = ECHO_STOP};
    EXPECT_OK(message_do(&message, TAG_CALL));
    helper_join(server);
    port_drop(&echo_port);
}

static void test_words_fast(void)
{
    call_echo(0, false);
}

static void test_words_slow(void)
{
    call_echo(TAG_SEND_DEADLINE, false);
}

static void test_words_slow_reply(void)
{
    call_echo(0, true);
}

// Both of them in another address space.
static void test_words_other_task(void)
{
    struct child *child = child_create();
    struct test_port own = port_make(0x1234567890abcdefull);

    echo_port = own;
    echo_port.receive = child_give(child, move_receive(own.receive));
    child_start(child, echo, NULL);
    EXPECT(child_waits(child, THREAD_RECEIVING));
    for (uint64_t words = 0; words <= MESSAGE_WORDS; words++) {
        struct message message = {.destination = own.send, .id = (uint32_t)words};
        fill(&message, words, words);
        EXPECT_OK(message_do(&message, TAG_CALL | words));
        EXPECT_EQUAL(message.tag, words);
        EXPECT_EQUAL(message.id, 1 + words);
        check_words(&message, words, words);
    }
    child_destroy(child);
    struct message message = {.destination = own.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL), ERR_PEER_DIED);
    right_drop(own.send);
}

// --- Through the queue ------------------------------------------------------------

static void test_words_buffered(void)
{
    struct test_port port = port_make(42);

    for (uint64_t words = 0; words <= MESSAGE_WORDS; words++) {
        struct message message = {.destination = port.send, .id = 0xfffeffffu};
        fill(&message, words, words);
        EXPECT_OK(message_do(&message, TAG_SEND | words));
        fill(&message, 99, MESSAGE_WORDS);
        message = (struct message){.receive_from = port.receive};
        EXPECT_OK(message_do(&message, TAG_RECEIVE));
        EXPECT_EQUAL(message.tag, words);
        EXPECT_EQUAL(message.id, 0xfffeffffu);
        EXPECT_EQUAL(message.label, 42);
        for (uint64_t i = 0; i < words; i++)
            EXPECT_EQUAL(i < 6 ? message.words[i] : utcb_self()->words[i], STAMP(words, i));
        for (uint64_t i = words < 6 ? 6 : words; i < MESSAGE_WORDS; i++)
            EXPECT_EQUAL(utcb_self()->words[i], STAMP(99, i));
    }
    port_drop(&port);
}

static volatile uint64_t callers_answer[4];

static void caller(void *argument)
{
    uint64_t index = (uint64_t)argument;
    struct message message = {.destination = echo_port.send, .id = (uint32_t)index};

    for (unsigned i = 0; i < 6; i++)
        message.words[i] = STAMP(index, i);
    for (unsigned i = 6; i < MESSAGE_WORDS; i++)
        utcb_self()->words[i] = STAMP(index, i);
    EXPECT_OK(message_do(&message, TAG_CALL | MESSAGE_WORDS));
    callers_answer[index] = message.words[0];
}

// RPC callers are queue entries themselves, and are served in order.
static void test_rpc_queued(void)
{
    struct helper *helpers[4];
    uint64_t queued = 0;

    echo_port = port_make(7);
    for (uint64_t i = 0; i < 4; i++) {
        helpers[i] = helper_start(caller, (void *)i);
        EXPECT(helper_waits(helpers[i], THREAD_SENDING));
    }
    EXPECT_OK(port_messages(echo_port.receive, &queued));
    EXPECT_EQUAL(queued, 4);
    for (uint64_t i = 0; i < 4; i++) {
        struct message message = {.receive_from = echo_port.receive};
        EXPECT_OK(message_do(&message, TAG_RECEIVE));
        EXPECT_EQUAL(message.tag, MESSAGE_WORDS | TAG_REPLY);
        EXPECT_EQUAL(message.id, i);
        for (unsigned word = 0; word < MESSAGE_WORDS; word++)
            EXPECT_EQUAL(word < 6 ? message.words[word] : utcb_self()->words[word], STAMP(i, word));
        EXPECT(helper_waits(helpers[i], THREAD_CALLING));
        message = (struct message){.words = {1000 + i}};
        EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY | 1));
        helper_join(helpers[i]);
        EXPECT_EQUAL(callers_answer[i], 1000 + i);
    }
    port_drop(&echo_port);
}

// --- Tags -------------------------------------------------------------------------

static void test_bad_tags(void)
{
    struct test_port port = port_make(0);
    const uint64_t bad[] = {
        0,
        1,
        TAG_REPLY,
        TAG_RPC,
        TAG_SEND | 65,
        TAG_SEND | 127,
        TAG_SEND | TAG_RIGHTS(9),
        TAG_SEND | TAG_RIGHTS(15),
        TAG_SEND | TAG_ITEMS(5),
        TAG_SEND | TAG_ITEMS(7),
        TAG_SEND | TAG_RPC,
        TAG_SEND | TAG_RECEIVE | TAG_RPC | TAG_REPLY,
        TAG_CALL | TAG_REPLY_RIGHT,
        TAG_SEND | TAG_REPLY | TAG_REPLY_RIGHT,
        TAG_SEND | TAG_NOTIFY | TAG_RIGHTS(1),
        TAG_SEND | TAG_NOTIFY | TAG_ITEMS(1),
        TAG_SEND | TAG_NOTIFY | TAG_REPLY,
        TAG_SEND | TAG_NOTIFY | TAG_REPLY_RIGHT,
        TAG_CALL | TAG_NOTIFY,
        TAG_SEND | 1ull << 7,
        TAG_SEND | 1ull << 15,
        TAG_SEND | 1ull << 25,
        TAG_SEND | 1ull << 31,
        TAG_SEND | 1ull << 32,
        TAG_SEND | 1ull << 40,
        TAG_SEND | 1ull << 63,
    };

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct message message = {.destination = port.send, .receive_from = port.receive};
        EXPECT_EQUAL(message_do(&message, bad[i]) & 0xff, ERR_INVALID_ARGUMENT);
        if (bad[i] & TAG_SEND)
            EXPECT_EQUAL(message.tag & TAG_ERROR_RECEIVE, 0);
    }
    struct message message = {.destination = port.send, .receive_from = port.receive};
    EXPECT_EQUAL(message_do(&message, TAG_RECEIVE | 1ull << 25), ERR_INVALID_ARGUMENT | IN_RECEIVE);
    message = (struct message){.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    port_drop(&port);
}

static void test_bad_destinations(void)
{
    struct test_port port = port_make(0);
    port_name_t set;
    EXPECT_OK(port_set_allocate(&set));
    const struct {
        port_name_t name;
        corvus_error_t error;
    } cases[] = {
        {PORT_NULL, ERR_INVALID_NAME},
        {1, ERR_INVALID_NAME},
        {0xffffffffu, ERR_INVALID_NAME},
        {port.send + 1, ERR_INVALID_NAME},
        {port.send + (1u << NAME_GENERATION_BITS) * 1000, ERR_INVALID_NAME},
        {port.receive, ERR_INVALID_RIGHT},
        {set, ERR_INVALID_RIGHT},
    };
    const uint64_t tags[] = {TAG_SEND,
                             TAG_CALL,
                             TAG_SEND | TAG_NOTIFY,
                             TAG_SEND | TAG_RECEIVE,
                             TAG_CALL | 64,
                             TAG_CALL | TAG_SEND_DEADLINE};

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned t = 0; t < sizeof tags / sizeof tags[0]; t++) {
            struct message message = {.destination = cases[i].name, .receive_from = port.receive};
            EXPECT_EQUAL(message_do(&message, tags[t]), cases[i].error);
        }
    // And nothing of it was received.
    struct message message = {.receive_from = port.receive};
    EXPECT_EQUAL(message_do_within(&message, TAG_RECEIVE, 0), ERR_WOULD_BLOCK | IN_RECEIVE);
    // Wrong things to receive from.
    const port_name_t sources[] = {PORT_NULL, port.send, 0xfffffffeu, NAME_TASK_SELF};
    for (unsigned i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        message = (struct message){.receive_from = sources[i]};
        EXPECT_EQUAL(message_do(&message, TAG_RECEIVE),
                     (right_kind(sources[i]) ? ERR_INVALID_RIGHT : ERR_INVALID_NAME) | IN_RECEIVE);
    }
    // A send that works, then a receive that does not: the phase is told.
    message = (struct message){.destination = port.send, .receive_from = set + 5};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_RECEIVE), ERR_INVALID_NAME | IN_RECEIVE);
    message = (struct message){.receive_from = port.receive};
    EXPECT_OK(message_do_within(&message, TAG_RECEIVE, 0));
    right_drop(set);
    port_drop(&port);
}

// Registers that the ABI keeps, and that an error leaves no words behind.
static void test_registers(void)
{
    struct test_port port = port_make(5);
    uint64_t tag = TAG_SEND, base = 0x1111, frame = 0x2222;
    register uint64_t last __asm__("r15") = 0x3333;

    __asm__ volatile("xchg %%rbp, %[frame]\n\t"
                     "syscall\n\t"
                     "xchg %%rbp, %[frame]"
                     : "+a"(tag), "+b"(base), [frame] "+m"(frame), "+r"(last)
                     : "D"((uint64_t)port.send), "S"(0ull), "d"(9ull)
                     : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory");
    EXPECT_EQUAL(tag, 0);
    EXPECT_EQUAL(base, 0x1111);
    EXPECT_EQUAL(frame, 0x2222);
    EXPECT_EQUAL(last, 0x3333);
    struct message message = {.destination = 12345, .words = {1, 2, 3, 4, 5, 6}};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | 6), ERR_INVALID_NAME);
    for (unsigned i = 0; i < 6; i++)
        EXPECT_EQUAL(message.words[i], 0);
    EXPECT_EQUAL(message.id, 0);
    EXPECT_EQUAL(message.label, 0);
    EXPECT_EQUAL(message.receive_from, 0);
    port_drop(&port);
}

static const struct test tests[] = {
    {"0 to 64 words both ways, fast path", test_words_fast, false},
    {"0 to 64 words both ways, slow call", test_words_slow, false},
    {"0 to 64 words both ways, slow reply", test_words_slow_reply, false},
    {"0 to 64 words to another task and back", test_words_other_task, false},
    {"0 to 64 words buffered in a queue", test_words_buffered, false},
    {"waiting callers are served in order, with all words", test_rpc_queued, false},
    {"tags that are refused", test_bad_tags, false},
    {"wrong destinations and sources, with the phase", test_bad_destinations, false},
    {"registers kept, and cleared on an error", test_registers, false},
    {NULL, NULL, false},
};
const struct test_group message_tests = {"message", tests};
