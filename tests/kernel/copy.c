// SPDX-License-Identifier: BSD-2-Clause
// COPY items: sizes, alignments, wrong buffers, pages missing on either side,
// and deadlines that pass in the middle.
#include "harness.h"

#include <string.h>

#define COPY_PAGES (MESSAGE_COPY_MAX / PAGE_BYTES + 2)

static struct child *child;
static struct test_port port;
static char *source, *shadow; // the child's buffer area as this task sees it
static volatile uint64_t buffer_address, buffer_length;
static volatile unsigned child_result;

// The child: receives with one buffer and answers what it got.
static void sink(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    utcb_self()->copy_buffers[0] = (struct message_buffer){buffer_address, buffer_length};
    child_result = message_do(&message, TAG_RECEIVE);
    while (child_result == ERR_OK || child_result == (ERR_FAULT | IN_RECEIVE) ||
           child_result == (ERR_INVALID_RANGE | IN_RECEIVE)) {
        uint64_t tag = TAG_RECEIVE;
        if (child_result == ERR_OK) {
            message.words[0] = utcb_self()->items[0].address;
            message.words[1] = utcb_self()->items[0].length;
            message.words[2] = message.tag;
            tag = TAG_REPLY_RECEIVE | 3;
        }
        message.receive_from = (port_name_t)(uint64_t)argument;
        utcb_self()->copy_buffers[0] = (struct message_buffer){buffer_address, buffer_length};
        child_result = message_do(&message, tag);
    }
}

static void make_pair(uint64_t mapped_pages)
{
    child = child_create();
    port = port_make(0);
    source = pages_allocate(COPY_PAGES);
    shadow = pages_allocate(COPY_PAGES);
    for (uint64_t i = 0; i < COPY_PAGES * PAGE_BYTES; i++)
        source[i] = (char)(i * 31 + (i >> 12));
    if (mapped_pages)
        EXPECT_OK(memory_map(child->task, (uint64_t)shadow, CHILD_AREA, mapped_pages * PAGE_BYTES,
                             ACCESS_READ | ACCESS_WRITE, NULL));
    port_name_t there = child_give(child, move_receive(port.receive));
    buffer_address = CHILD_AREA;
    buffer_length = COPY_PAGES * PAGE_BYTES;
    child_start(child, sink, (void *)(uint64_t)there);
    EXPECT(child_waits(child, THREAD_RECEIVING));
}

static void drop_pair(void)
{
    child_destroy(child);
    right_drop(port.send);
    pages_free(source, COPY_PAGES);
    pages_free(shadow, COPY_PAGES);
}

static unsigned send_bytes(struct message *message, uint64_t address, uint64_t length)
{
    *message = (struct message){.destination = port.send, .id = 1};
    utcb_self()->items[0] =
        (struct message_item){.kind = ITEM_COPY, .address = address, .length = length};
    return message_do(message, TAG_CALL | TAG_ITEMS(1));
}

// Lets the child take another buffer: it reads it at its next receive.
static void use_buffer(uint64_t address, uint64_t length)
{
    struct message message;

    buffer_address = address;
    buffer_length = length;
    EXPECT_OK(send_bytes(&message, (uint64_t)source, 0));
    EXPECT(child_waits(child, THREAD_RECEIVING));
}

static void copy_and_check(uint64_t from, uint64_t to, uint64_t length)
{
    struct message message;

    use_buffer(CHILD_AREA + to, length);
    memset(shadow, 0x7e, COPY_PAGES * PAGE_BYTES);
    EXPECT_OK(send_bytes(&message, (uint64_t)source + from, length));
    EXPECT_EQUAL(message.words[0], CHILD_AREA + to);
    EXPECT_EQUAL(message.words[1], length);
    EXPECT_EQUAL(message.words[2], TAG_ITEMS(1) | TAG_REPLY);
    EXPECT(memcmp(shadow + to, source + from, length) == 0);
    EXPECT(to == 0 || shadow[to - 1] == 0x7e);
    EXPECT_EQUAL(shadow[to + length], 0x7e);
}

static void test_sizes(void)
{
    static const uint64_t lengths[] = {
        1, 7, 8, 4095, 4096, 4097, 16384, 65536, 65537, 300001, MESSAGE_COPY_MAX};

    make_pair(COPY_PAGES);
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        copy_and_check(0, 0, lengths[i]);
    drop_pair();
}

static void test_alignment(void)
{
    static const uint64_t offsets[] = {1, 63, 4095, 2048};

    make_pair(COPY_PAGES);
    for (unsigned from = 0; from < 4; from++)
        for (unsigned to = 0; to < 4; to++)
            copy_and_check(offsets[from], offsets[to], 9001);
    copy_and_check(4095, 1, 1);
    copy_and_check(4095, 4095, 2);
    copy_and_check(1, 4095, MESSAGE_COPY_MAX);
    drop_pair();
}

static void test_too_large(void)
{
    struct message message;

    make_pair(COPY_PAGES);
    EXPECT_EQUAL(send_bytes(&message, (uint64_t)source, MESSAGE_COPY_MAX + 1), ERR_TOO_LARGE);
    EXPECT_EQUAL(send_bytes(&message, (uint64_t)source, UINT64_MAX), ERR_TOO_LARGE);
    use_buffer(CHILD_AREA, 100);
    EXPECT_EQUAL(send_bytes(&message, (uint64_t)source, 101), ERR_TOO_LARGE);
    EXPECT_OK(send_bytes(&message, (uint64_t)source, 100));
    use_buffer(CHILD_AREA, 0);
    EXPECT_EQUAL(send_bytes(&message, (uint64_t)source, 1), ERR_TOO_LARGE);
    // All items together.
    use_buffer(CHILD_AREA, COPY_PAGES * PAGE_BYTES);
    utcb_self()->items[0] = message_copy_item(source, MESSAGE_COPY_MAX);
    utcb_self()->items[1] = message_copy_item(source, 1);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_ITEMS(2)), ERR_TOO_LARGE);
    // An unknown kind.
    utcb_self()->items[0].kind = 0;
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_ITEMS(1)), ERR_INVALID_ARGUMENT);
    EXPECT_OK(send_bytes(&message, (uint64_t)source, 10));
    drop_pair();
}

static void test_bad_source(void)
{
    static const uint64_t missing[] = {SCRATCH, 0};
    static const uint64_t bad[] = {USER_END, 0xffff800000000000ull, 0xffffffffffffff00ull,
                                   0x0000800000000000ull, USER_END - 100};
    struct message message;

    make_pair(COPY_PAGES);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        EXPECT_EQUAL(send_bytes(&message, bad[i], 4096), ERR_INVALID_RANGE);
    for (unsigned i = 0; i < sizeof missing / sizeof missing[0]; i++)
        EXPECT_EQUAL(send_bytes(&message, missing[i], 4096), ERR_FAULT);
    EXPECT_OK(send_bytes(&message, (uint64_t)source, 10));
    drop_pair();
}

// The receiver's buffer is bad: the receiver is told, and the sender waits on.
static void test_bad_buffer(void)
{
    static const uint64_t bad[] = {SCRATCH, 0xffff800000000000ull};
    struct message message;

    make_pair(COPY_PAGES);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        use_buffer(bad[i], PAGE_BYTES);
        // The child mends its buffer when told.
        buffer_address = CHILD_AREA;
        memset(shadow, 0, 64);
        EXPECT_OK(send_bytes(&message, (uint64_t)source, 64));
        EXPECT_EQUAL(message.words[1], 64);
        EXPECT(memcmp(shadow, source, 64) == 0);
    }
    // Read-only is as bad.
    EXPECT_OK(memory_map(child->task, (uint64_t)shadow, CHILD_AREA + (64ull << 20), PAGE_BYTES,
                         ACCESS_READ, NULL));
    use_buffer(CHILD_AREA + (64ull << 20), PAGE_BYTES);
    buffer_address = CHILD_AREA;
    memset(shadow, 0, 64);
    EXPECT_OK(send_bytes(&message, (uint64_t)source, 64));
    EXPECT(memcmp(shadow, source, 64) == 0);
    drop_pair();
}

// --- Missing pages ------------------------------------------------------------------

static void test_receiver_pages_missing(void)
{
    struct test_pager pager;
    struct message message;

    make_pair(0);
    pager_start(&pager, PAGER_MAP, shadow, CHILD_AREA);
    pager_serves(&pager, child->thread);
    EXPECT_OK(send_bytes(&message, (uint64_t)source + 5, 20 * PAGE_BYTES));
    EXPECT_EQUAL(pager.faults, 20);
    EXPECT_EQUAL(message.words[1], 20 * PAGE_BYTES);
    EXPECT(memcmp(shadow, source + 5, 20 * PAGE_BYTES) == 0);
    EXPECT_OK(send_bytes(&message, (uint64_t)source, MESSAGE_COPY_MAX));
    EXPECT(memcmp(shadow, source, MESSAGE_COPY_MAX) == 0);
    drop_pair();
    pager_stop(&pager);
}

static void test_receiver_pager_refuses(void)
{
    struct test_pager pager;
    struct message message;

    make_pair(0);
    pager_start(&pager, PAGER_REFUSE, shadow, CHILD_AREA);
    pager_serves(&pager, child->thread);
    message = (struct message){.destination = port.send};
    utcb_self()->items[0] = message_copy_item(source, 100);
    utcb_self()->send_deadline = clock_now_ns() + 10 * SHORT_TIME;
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_ITEMS(1) | TAG_SEND_DEADLINE), ERR_TIMED_OUT);
    EXPECT(pager.faults > 0);
    drop_pair();
    pager_stop(&pager);
}

// A sender with missing pages: a child whose faults a pager of this task answers.
static volatile unsigned sender_result;
static volatile uint64_t sender_deadline, sender_length;

static void missing_sender(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument};

    utcb_self()->items[0] = (struct message_item){
        .kind = ITEM_COPY, .address = CHILD_AREA + 3, .length = sender_length};
    utcb_self()->send_deadline = sender_deadline ? clock_now_ns() + sender_deadline : 0;
    sender_result =
        message_do(&message, TAG_SEND | TAG_ITEMS(1) | (sender_deadline ? TAG_SEND_DEADLINE : 0));
}

static unsigned receive_with(void *buffer, uint64_t length, uint64_t time)
{
    struct message message = {.receive_from = port.receive};

    utcb_self()->copy_buffers[0] = message_buffer(buffer, length);
    return message_do_within(&message, TAG_RECEIVE, time);
}

static void sender_pages_missing(enum pager_policy policy, uint64_t deadline, unsigned received,
                                 unsigned sent)
{
    struct test_pager pager;

    child = child_create();
    port = port_make(0);
    source = pages_allocate(40);
    shadow = pages_allocate(40);
    memset(source, 0x3c, 40 * PAGE_BYTES);
    pager_start(&pager, policy, source, CHILD_AREA);
    pager_serves(&pager, child->thread);
    sender_deadline = deadline;
    sender_length = 30 * PAGE_BYTES;
    sender_result = 999;
    child_start(child, missing_sender, (void *)(uint64_t)child_give(child, copy_send(port.send)));
    // Not over before the sender has given up, however slow the machine: it would wait for ever.
    EXPECT_EQUAL(receive_with(shadow, 40 * PAGE_BYTES, received ? 150 * SHORT_TIME : LONG_TIME),
                 received);
    child_join(child);
    EXPECT_EQUAL(sender_result, sent);
    if (sent == ERR_OK) {
        EXPECT_EQUAL(pager.faults, 31);
        EXPECT(memcmp(shadow, source + 3, sender_length) == 0);
    }
    // The receiver serves others, whatever the pager does.
    struct message message = {.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_SEND));
    EXPECT_OK(receive_with(NULL, 0, 0));
    child_destroy(child);
    port_drop(&port);
    pages_free(source, 40);
    pages_free(shadow, 40);
    pager_stop(&pager);
}

static void test_sender_pages_missing(void)
{
    sender_pages_missing(PAGER_MAP, 0, ERR_OK, ERR_OK);
    sender_pages_missing(PAGER_MAP, LONG_TIME, ERR_OK, ERR_OK);
}

static void test_sender_pager_refuses(void)
{
    sender_pages_missing(PAGER_REFUSE, 0, ERR_TIMED_OUT | IN_RECEIVE, ERR_FAULT);
}

static void test_sender_pager_silent(void)
{
    sender_pages_missing(PAGER_SILENT, 10 * SHORT_TIME, ERR_TIMED_OUT | IN_RECEIVE, ERR_TIMED_OUT);
}

// A pager that answers and brings nothing: bounded retries.
static void test_sender_pager_useless(void)
{
    sender_pages_missing(PAGER_WRONG, 0, ERR_TIMED_OUT | IN_RECEIVE, ERR_FAULT);
}

// --- Deadlines in the middle ------------------------------------------------------------

static void copy_for_ever(void *argument)
{
    struct message message = {.destination = port.send};
    unsigned result = ERR_OK;

    (void)argument;
    while (result != ERR_PEER_DIED) {
        utcb_self()->items[0] = message_copy_item(source, MESSAGE_COPY_MAX);
        message.destination = port.send;
        result = message_do(&message, TAG_SEND | TAG_ITEMS(1));
    }
}

// The receiver's deadline passes at every point of a long COPY to it: the copy
// comes as a whole, or the receive has timed out.
static void test_deadline_in_copy(bool sender_waits)
{
    port = port_make(0);
    source = pages_allocate(COPY_PAGES);
    shadow = pages_allocate(COPY_PAGES);
    memset(source, 0x55, COPY_PAGES * PAGE_BYTES);
    struct helper *sender = helper_start_priority(copy_for_ever, NULL, -1);
    unsigned came = 0, late = 0;
    for (uint64_t i = 0; i < 300; i++) {
        struct message message = {.receive_from = port.receive};
        if (sender_waits)
            EXPECT(helper_waits(sender, THREAD_SENDING));
        shadow[MESSAGE_COPY_MAX - 1] = 0;
        utcb_self()->copy_buffers[0] = message_buffer(shadow, MESSAGE_COPY_MAX);
        unsigned result = message_do_within(&message, TAG_RECEIVE, 1000 + i * 2000);
        came += result == ERR_OK;
        late += result == (ERR_TIMED_OUT | IN_RECEIVE);
        if (result == ERR_OK)
            EXPECT_EQUAL(shadow[MESSAGE_COPY_MAX - 1], 0x55);
    }
    EXPECT_EQUAL(came + late, 300);
    right_drop(port.receive);
    helper_join(sender);
    right_drop(port.send);
    pages_free(source, COPY_PAGES);
    pages_free(shadow, COPY_PAGES);
}

static void test_receive_deadline_in_copy(void)
{
    test_deadline_in_copy(false);
}

static void test_receive_deadline_sender_waits(void)
{
    test_deadline_in_copy(true);
}

static void copy_hastily(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < 200; i++) {
        struct message message = {.destination = port.send};
        utcb_self()->items[0] = message_copy_item(source, MESSAGE_COPY_MAX);
        unsigned result = message_do_within(&message, TAG_SEND | TAG_ITEMS(1), 1000 + i * 3000);
        EXPECT(result == ERR_OK || result == ERR_TIMED_OUT);
    }
}

// Likewise the deadline of a sender that waits, which passes while it is received from.
static void test_send_deadline_in_copy(void)
{
    port = port_make(0);
    source = pages_allocate(COPY_PAGES);
    shadow = pages_allocate(COPY_PAGES);
    struct helper *sender = helper_start(copy_hastily, NULL);
    while (!sender->done) {
        struct message message = {.receive_from = port.receive};
        utcb_self()->copy_buffers[0] = message_buffer(shadow, MESSAGE_COPY_MAX);
        unsigned result = message_do_within(&message, TAG_RECEIVE, 0);
        EXPECT(result == ERR_OK || result == (ERR_WOULD_BLOCK | IN_RECEIVE));
        if (result != ERR_OK)
            sleep_for(20000);
    }
    helper_join(sender);
    port_drop(&port);
    pages_free(source, COPY_PAGES);
    pages_free(shadow, COPY_PAGES);
}

static const struct test tests[] = {
    {"1 byte to 1 MiB", test_sizes, false},
    {"any alignment", test_alignment, false},
    {"too large", test_too_large, false},
    {"a source that is not there", test_bad_source, false},
    {"a buffer that is not there", test_bad_buffer, false},
    {"the receiver's pages are brought in", test_receiver_pages_missing, false},
    {"the receiver's pager refuses", test_receiver_pager_refuses, false},
    {"the sender's pages are brought in", test_sender_pages_missing, false},
    {"the sender's pager refuses", test_sender_pager_refuses, false},
    {"the sender's pager never answers", test_sender_pager_silent, false},
    {"the sender's pager answers without a page", test_sender_pager_useless, false},
    {"the receiver's deadline in a long copy", test_receive_deadline_in_copy, false},
    {"the receiver's deadline, senders waiting", test_receive_deadline_sender_waits, false},
    {"the sender's deadline in a long copy", test_send_deadline_in_copy, false},
    {NULL, NULL, false},
};
const struct test_group copy_tests = {"copy", tests};
