// SPDX-License-Identifier: BSD-2-Clause
// MAP and GRANT items: windows, offsets, access, limits.
#include "harness.h"

#include <string.h>

#define WINDOW (CHILD_AREA + (1ull << 30))

static struct child *child;
static struct test_port port;
static char *pages;
static volatile uint64_t window_address, window_length;
static volatile unsigned child_result;
static struct message_item volatile got[MESSAGE_ITEMS];

// The child: receives with that window, and answers with the first word of what came.
static void window_server(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    utcb_self()->map_window = (struct message_buffer){window_address, window_length};
    child_result = message_do(&message, TAG_RECEIVE);
    while (child_result == ERR_OK) {
        uint64_t items = (message.tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT;
        for (unsigned i = 0; i < items; i++)
            got[i] = utcb_self()->items[i];
        message.words[0] = items ? *(volatile uint64_t *)utcb_self()->items[0].address : 0;
        message.receive_from = (port_name_t)(uint64_t)argument;
        utcb_self()->map_window = (struct message_buffer){window_address, window_length};
        child_result = message_do(&message, TAG_REPLY_RECEIVE | 1);
    }
}

static void make_pair(void)
{
    child = child_create();
    port = port_make(0);
    pages = pages_allocate(100);
    for (uint64_t i = 0; i < 100; i++)
        *(uint64_t *)(pages + i * PAGE_BYTES) = 0x1000 + i;
    window_address = WINDOW;
    window_length = 128 * PAGE_BYTES;
    child_start(child, window_server,
                (void *)(uint64_t)child_give(child, move_receive(port.receive)));
    EXPECT(child_waits(child, THREAD_RECEIVING));
}

static void drop_pair(void)
{
    child_destroy(child);
    right_drop(port.send);
    pages_free(pages, 100);
}

static void use_window(uint64_t address, uint64_t length)
{
    struct message message = {.destination = port.send};

    window_address = address;
    window_length = length;
    EXPECT_OK(message_do(&message, TAG_CALL));
    EXPECT(child_waits(child, THREAD_RECEIVING));
}

static struct message_item item(uint32_t kind, uint64_t first, uint64_t count, uint64_t offset,
                                uint32_t access)
{
    return (struct message_item){.kind = kind,
                                 .access = access,
                                 .address = (uint64_t)pages + first * PAGE_BYTES,
                                 .length = count * PAGE_BYTES,
                                 .offset = offset};
}

static unsigned send_item(struct message_item sent, uint64_t *word)
{
    struct message message = {.destination = port.send};

    utcb_self()->items[0] = sent;
    unsigned result = message_do(&message, TAG_CALL | TAG_ITEMS(1));
    if (word)
        *word = message.words[0];
    return result;
}

static uint64_t access_at(uint64_t address)
{
    uint64_t access = 99;

    EXPECT_OK(memory_info(child->task, address, &access, NULL, NULL, NULL));
    return access;
}

static void test_map(void)
{
    uint64_t word = 0, derived = 0;

    make_pair();
    EXPECT_OK(send_item(item(ITEM_MAP, 3, 2, 0, ACCESS_READ | ACCESS_WRITE), &word));
    EXPECT_EQUAL(word, 0x1003);
    EXPECT_EQUAL(got[0].kind, ITEM_MAP);
    EXPECT_EQUAL(got[0].address, WINDOW);
    EXPECT_EQUAL(got[0].length, 2 * PAGE_BYTES);
    EXPECT_EQUAL(access_at(WINDOW), ACCESS_READ | ACCESS_WRITE);
    EXPECT_EQUAL(access_at(WINDOW + PAGE_BYTES), ACCESS_READ | ACCESS_WRITE);
    EXPECT_EQUAL(access_at(WINDOW + 2 * PAGE_BYTES), 0);
    // At an offset, with less access; what was there is replaced.
    EXPECT_OK(send_item(item(ITEM_MAP, 7, 1, PAGE_BYTES, ACCESS_READ), &word));
    EXPECT_EQUAL(word, 0x1007);
    EXPECT_EQUAL(access_at(WINDOW + PAGE_BYTES), ACCESS_READ);
    // Shared, and still the sender's.
    *(uint64_t *)(pages + 3 * PAGE_BYTES) = 0xfeed;
    EXPECT_OK(
        memory_info(NAME_TASK_SELF, (uint64_t)pages + 3 * PAGE_BYTES, NULL, NULL, &derived, NULL));
    EXPECT_EQUAL(derived, 1);
    drop_pair();
}

static void test_grant(void)
{
    uint64_t word = 0, access = 0;
    char *granted = pages_allocate(1);

    make_pair();
    // A page that this task has from itself, so that there is one to be granted.
    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)granted, SCRATCH, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    *(volatile uint64_t *)SCRATCH = 0x9999;
    struct message_item sent = item(ITEM_GRANT, 0, 1, 5 * PAGE_BYTES, ACCESS_READ | ACCESS_WRITE);
    sent.address = SCRATCH;
    EXPECT_OK(send_item(sent, &word));
    EXPECT_EQUAL(word, 0x9999);
    EXPECT_OK(memory_info(NAME_TASK_SELF, SCRATCH, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, 0);
    EXPECT_EQUAL(access_at(WINDOW + 5 * PAGE_BYTES), ACCESS_READ | ACCESS_WRITE);
    // It is derived from what it was derived from.
    EXPECT_OK(
        memory_unmap(NAME_TASK_SELF, (uint64_t)granted, PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL));
    EXPECT_EQUAL(access_at(WINDOW + 5 * PAGE_BYTES), 0);
    drop_pair();
    pages_free(granted, 1);
}

static void test_refused(void)
{
    make_pair();
    const uint32_t read = ACCESS_READ;
    struct message_item bad = item(ITEM_MAP, 0, 1, 0, read);
    const struct {
        struct message_item item;
        corvus_error_t error;
    } cases[] = {
        {item(ITEM_MAP, 0, 0, 0, read), ERR_INVALID_RANGE},
        {item(ITEM_MAP, 0, 1, 12, read), ERR_INVALID_RANGE},
        {item(ITEM_MAP, 0, 1, 128 * PAGE_BYTES, read), ERR_TOO_LARGE},
        {item(ITEM_MAP, 0, 2, 127 * PAGE_BYTES, read), ERR_TOO_LARGE},
        {item(ITEM_MAP, 0, 1, UINT64_MAX - PAGE_BYTES + 1, read), ERR_TOO_LARGE},
        {item(ITEM_MAP, 0, 65, 0, read), ERR_TOO_LARGE},
        {item(ITEM_GRANT, 0, 65, 0, read), ERR_TOO_LARGE},
        {item(ITEM_MAP, 0, 1, 0, 0), ERR_INVALID_RANGE},
        {item(ITEM_MAP, 0, 1, 0, 8 | read), ERR_INVALID_RANGE},
        {item(ITEM_MAP, 0, 1, 0, ACCESS_WRITE), ERR_INVALID_RANGE},
        {item(ITEM_MAP, 0, 1, 0, ACCESS_ALL), ERR_ACCESS_DENIED},
        {item(4, 0, 1, 0, read), ERR_INVALID_ARGUMENT},
        {item(0, 0, 1, 0, read), ERR_INVALID_ARGUMENT},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned result = send_item(cases[i].item, NULL);
        EXPECT_EQUAL(result | i << 16, cases[i].error | i << 16);
    }
    bad.address += 8;
    EXPECT_EQUAL(send_item(bad, NULL), ERR_INVALID_RANGE);
    bad.address = 0xffff800000000000ull;
    EXPECT_EQUAL(send_item(bad, NULL), ERR_INVALID_RANGE);
    bad.address = USER_END - PAGE_BYTES;
    EXPECT_EQUAL(send_item(bad, NULL), ERR_INVALID_RANGE);
    // Message pages are nobody's to give.
    bad.address = (uint64_t)utcb_self();
    unsigned pinned = send_item(bad, NULL);
    EXPECT(pinned == ERR_ACCESS_DENIED || pinned == ERR_INVALID_RANGE);
    EXPECT_EQUAL(access_at(WINDOW), 0);
    // No window; a window where none can be.
    use_window(0, 0);
    EXPECT_EQUAL(send_item(item(ITEM_MAP, 0, 1, 0, read), NULL), ERR_TOO_LARGE);
    use_window(CHILD_UTCB, PAGE_BYTES);
    EXPECT_EQUAL(send_item(item(ITEM_MAP, 0, 1, 0, read), NULL), ERR_IN_USE);
    drop_pair();
}

// No more than the sender has itself.
static void test_access(void)
{
    make_pair();
    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)pages, SCRATCH, PAGE_BYTES, ACCESS_READ, NULL));
    struct message_item sent = item(ITEM_MAP, 0, 1, 0, ACCESS_READ | ACCESS_WRITE);
    sent.address = SCRATCH;
    EXPECT_EQUAL(send_item(sent, NULL), ERR_ACCESS_DENIED);
    sent.access = ACCESS_READ | ACCESS_EXECUTE;
    EXPECT_EQUAL(send_item(sent, NULL), ERR_ACCESS_DENIED);
    sent.access = ACCESS_READ;
    EXPECT_OK(send_item(sent, NULL));
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, SCRATCH, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF, NULL,
                           NULL, NULL));
    EXPECT_EQUAL(access_at(WINDOW), 0);
    drop_pair();
}

static void test_most(void)
{
    uint64_t word = 0;

    make_pair();
    EXPECT_OK(send_item(item(ITEM_MAP, 0, 64, 0, ACCESS_READ), &word));
    EXPECT_EQUAL(word, 0x1000);
    EXPECT_EQUAL(access_at(WINDOW + 63 * PAGE_BYTES), ACCESS_READ);
    // Four items, one of each place.
    for (unsigned i = 0; i < 4; i++)
        utcb_self()->items[i] = item(ITEM_MAP, 10 * i, 2, (64 + 2 * i) * PAGE_BYTES, ACCESS_READ);
    struct message message = {.destination = port.send};
    EXPECT_OK(message_do(&message, TAG_CALL | TAG_ITEMS(4)));
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQUAL(got[i].address, WINDOW + (64 + 2 * i) * PAGE_BYTES);
    EXPECT_EQUAL(access_at(WINDOW + 71 * PAGE_BYTES), ACCESS_READ);
    drop_pair();
}

// One item of several is bad: nothing has been mapped.
static void test_all_or_nothing(void)
{
    make_pair();
    utcb_self()->items[0] = item(ITEM_MAP, 0, 3, 0, ACCESS_READ);
    utcb_self()->items[1] = item(ITEM_MAP, 0, 3, 20 * PAGE_BYTES, ACCESS_ALL);
    struct message message = {.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_ITEMS(2)), ERR_ACCESS_DENIED);
    EXPECT_EQUAL(access_at(WINDOW), 0);
    // The window reaches into a page that cannot be replaced.
    use_window(CHILD_UTCB - 2 * PAGE_BYTES, 8 * PAGE_BYTES);
    EXPECT_EQUAL(send_item(item(ITEM_MAP, 0, 4, 0, ACCESS_READ), NULL), ERR_IN_USE);
    EXPECT_EQUAL(access_at(CHILD_UTCB - 2 * PAGE_BYTES), 0);
    EXPECT_EQUAL(access_at(CHILD_UTCB - PAGE_BYTES), 0);
    // Several kinds in one message, with rights that must not move either.
    use_window(CHILD_UTCB - PAGE_BYTES, 8 * PAGE_BYTES);
    struct test_port moving = port_make(0);
    utcb_self()->rights[0] = move_send(moving.send);
    utcb_self()->items[0] = item(ITEM_MAP, 0, 2, 0, ACCESS_READ);
    message = (struct message){.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_CALL | TAG_ITEMS(1) | TAG_RIGHTS(1)), ERR_IN_USE);
    EXPECT_EQUAL(right_kind(moving.send), RIGHT_SEND);
    port_drop(&moving);
    drop_pair();
}

static void test_large(void)
{
    char *large = large_page(0);
    uint64_t bytes = 0;

    if (large == NULL) {
        test_skip("no 2 MiB page");
        return;
    }
    make_pair();
    use_window(WINDOW, 64ull << 20);
    struct message_item sent = {.kind = ITEM_MAP,
                                .access = ACCESS_READ,
                                .address = (uint64_t)large,
                                .length = LARGE_PAGE_BYTES,
                                .offset = LARGE_PAGE_BYTES};
    *(uint64_t *)large = 0x1a46e;
    uint64_t word = 0;
    EXPECT_OK(send_item(sent, &word));
    EXPECT_EQUAL(word, 0x1a46e);
    EXPECT_OK(memory_info(child->task, WINDOW + LARGE_PAGE_BYTES, NULL, &bytes, NULL, NULL));
    EXPECT_EQUAL(bytes, LARGE_PAGE_BYTES);
    // The same misaligned is 512 pages: too many.
    sent.offset = PAGE_BYTES;
    unsigned result = send_item(sent, NULL);
    EXPECT_EQUAL(result, ERR_TOO_LARGE);
    drop_pair();
}

static const struct test tests[] = {
    {"MAP shares pages", test_map, false},
    {"GRANT moves a page", test_grant, false},
    {"items that are refused", test_refused, false},
    {"no more access than the sender has", test_access, false},
    {"the most in one message", test_most, false},
    {"all or nothing", test_all_or_nothing, false},
    {"a page of 2 MiB", test_large, false},
    {NULL, NULL, false},
};
const struct test_group item_tests = {"item", tests};
