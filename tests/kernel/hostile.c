// SPDX-License-Identifier: BSD-2-Clause
// What a hostile program tries: combinations that once broke the kernel, or
// would if a check were missing. Each leaves everything as it was.
#include "harness.h"

#include <corvus/vcpu.h>

static struct test_port port;
static volatile unsigned result;
static volatile uint64_t counts[2];
static volatile bool stop;

// A message page stays where it is, whatever GS base the thread is given.
static void test_moved_message_page(void)
{
    struct vcpu_registers state = {0};
    size_t words = sizeof state / 8;
    uint64_t access = 99;
    struct helper *helper = helper_create(-1);
    uint64_t page = (uint64_t)helper->utcb;

    EXPECT_OK(thread_get_state(helper->thread, (uint64_t *)&state, &words));
    state.gs_base = (uint64_t)utcb_self();
    EXPECT_OK(thread_set_state(helper->thread, (uint64_t *)&state, sizeof state / 8));
    helper_destroy(helper);
    EXPECT_OK(memory_info(NAME_TASK_SELF, page, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, 0);
    EXPECT_OK(memory_info(NAME_TASK_SELF, (uint64_t)utcb_self(), &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, ACCESS_READ | ACCESS_WRITE);
}

// By a far jump: some emulators refuse user programs the far return.
static void to_selector(void *argument)
{
    struct __attribute__((packed)) {
        uint64_t ip;
        uint16_t selector;
    } target = {.selector = (uint16_t)(uint64_t)argument};

    // 0x48 is REX.W, which not every assembler knows by name.
    __asm__ volatile("lea 1f(%%rip), %%rcx\n\t"
                     "mov %%rcx, (%%rax)\n\t"
                     ".byte 0x48\n\t"
                     "ljmpl *(%%rax)\n"
                     "1:\tud2"
                     :
                     : "a"(&target)
                     : "rcx", "memory");
}

// No segment but its own: not the kernel's, none of 32 bits, no gate.
static void test_segments(void)
{
    struct test_pager handler;

    for (uint64_t selector = 0; selector < 0x60; selector++) {
        if (selector >> 3 == 0x23 >> 3 || selector >> 3 == 0x2b >> 3 || selector >> 3 == 0x33 >> 3)
            continue; // maybe the 64-bit user code segment
        struct child *child = child_create();
        pager_start(&handler, PAGER_REFUSE, NULL, 0);
        pager_serves(&handler, child->thread);
        child_start(child, to_selector, (void *)selector);
        EXPECT(child_waits(child, THREAD_TERMINATED));
        if (handler.last_exception.vector != 11)
            EXPECT_EQUAL(selector << 32 | handler.last_exception.vector, selector << 32 | 13);
        child_destroy(child);
        pager_stop(&handler);
    }
}

// --- Rights -----------------------------------------------------------------------------

static void receive_one(void *argument)
{
    struct message message = {.receive_from = port.receive};

    (void)argument;
    result = message_do(&message, TAG_RECEIVE);
}

static void test_moved_and_reply(void)
{
    struct test_port moving = port_make(0);

    port = port_make(0);
    for (unsigned i = 0; i < 2; i++) {
        struct helper *helper = i ? helper_start(receive_one, NULL) : NULL;
        if (helper)
            EXPECT(helper_waits(helper, THREAD_RECEIVING));
        utcb_self()->rights[0] = move_receive(moving.receive);
        utcb_self()->reply = make_send_once(moving.receive);
        struct message message = {.destination = port.send};
        EXPECT_EQUAL(
            message_do_within(&message, TAG_SEND | TAG_RIGHTS(1) | TAG_REPLY_RIGHT, SHORT_TIME),
            ERR_INVALID_ARGUMENT);
        EXPECT_EQUAL(right_kind(moving.receive), RIGHT_RECEIVE);
        helper_destroy(helper);
    }
    port_drop(&moving);
    port_drop(&port);
}

static void caller(void *argument)
{
    struct message message = {.destination = port.send};

    (void)argument;
    result = message_do(&message, TAG_CALL);
}

// A right that carries itself.
static void test_carries_itself(void)
{
    uint64_t name = PORT_NULL, used = 0, after = 0;

    port = port_make(0);
    struct helper *client = helper_start(caller, NULL);
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    EXPECT_OK(thread_save_reply(NAME_THREAD_MAIN, &name));
    utcb_self()->rights[0] = move_send_once((port_name_t)name);
    message = (struct message){.destination = (port_name_t)name};
    EXPECT(message_do(&message, TAG_SEND | TAG_RIGHTS(1)) != ERR_OK);
    EXPECT_EQUAL(right_kind((port_name_t)name), RIGHT_SEND_ONCE);
    right_drop((port_name_t)name);
    helper_join(client);
    // A send-once right, by a message and as the reply right.
    EXPECT_OK(task_insert_right(NAME_TASK_SELF, make_send_once(port.receive), &name));
    EXPECT_OK(task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, &used, NULL));
    utcb_self()->rights[0] = move_send_once((port_name_t)name);
    message = (struct message){.destination = (port_name_t)name};
    EXPECT(message_do(&message, TAG_SEND | TAG_RIGHTS(1)) != ERR_OK);
    utcb_self()->reply = move_send_once((port_name_t)name);
    message = (struct message){.destination = (port_name_t)name};
    EXPECT(message_do(&message, TAG_SEND | TAG_REPLY_RIGHT) != ERR_OK);
    EXPECT_OK(task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, &after, NULL));
    EXPECT_EQUAL(after, used);
    right_drop((port_name_t)name);
    port_drop(&port);
}

// Requests for the death of a timer end with it.
static void test_notice_on_timer(void)
{
    struct test_port told = port_make(0);
    port_name_t timer = PORT_NULL;

    port = port_make(0);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_OK(task_create_timer(NAME_TASK_SELF, 1, copy_send(port.send), &timer));
        EXPECT_OK(port_request_notification(timer, NOTIFY_DEAD_NAME, told.receive));
        right_drop(timer);
    }
    struct port_status status = {0};
    EXPECT_OK(port_status(told.receive, &status));
    EXPECT_EQUAL(status.send_once_rights, 0);
    port_drop(&told);
    port_drop(&port);
}

// --- Memory -----------------------------------------------------------------------------

static void window_to_utcb(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    // Two pages of room, then the message page, which cannot be replaced.
    utcb_self()->map_window = (struct message_buffer){CHILD_UTCB - 2 * PAGE_BYTES, 3 * PAGE_BYTES};
    result = message_do(&message, TAG_RECEIVE);
}

// The second item fails: what the first one granted is its sender's again.
static void test_items_given_back(void)
{
    struct child *child = child_create();
    void *page = pages_allocate(1);
    uint64_t access = 0;

    port = port_make(0);
    child_start(child, window_to_utcb,
                (void *)(uint64_t)child_give(child, move_receive(port.receive)));
    EXPECT(child_waits(child, THREAD_RECEIVING));
    EXPECT_OK(memory_map(NAME_TASK_SELF, (uint64_t)page, SCRATCH, PAGE_BYTES,
                         ACCESS_READ | ACCESS_WRITE, NULL));
    struct message_item *items = utcb_self()->items;
    items[0] = (struct message_item){.kind = ITEM_GRANT,
                                     .access = ACCESS_READ,
                                     .address = SCRATCH,
                                     .length = PAGE_BYTES,
                                     .offset = 0};
    items[1] = (struct message_item){.kind = ITEM_MAP,
                                     .access = ACCESS_READ,
                                     .address = (uint64_t)page,
                                     .length = PAGE_BYTES,
                                     .offset = 2 * PAGE_BYTES};
    struct message message = {.destination = port.send};
    EXPECT_EQUAL(message_do(&message, TAG_SEND | TAG_ITEMS(2)), ERR_IN_USE);
    EXPECT_OK(memory_info(NAME_TASK_SELF, SCRATCH, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, ACCESS_READ | ACCESS_WRITE);
    EXPECT_OK(memory_info(child->task, CHILD_UTCB - 2 * PAGE_BYTES, &access, NULL, NULL, NULL));
    EXPECT_EQUAL(access, 0);
    child_destroy(child);
    right_drop(port.send);
    pages_free(page, 1);
}

// --- Wake-ups ---------------------------------------------------------------------------

static void call_with_missing_page(void *argument)
{
    struct message message = {.destination = (port_name_t)(uint64_t)argument};

    utcb_self()->items[0] = message_copy_item((void *)CHILD_AREA, 64);
    result = message_do(&message, TAG_CALL | TAG_ITEMS(1));
}

// A server that is its client's pager too, on one port set: the fault of the
// client's own COPY reaches it while it waits for the COPY.
static void server_and_pager(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};
    static char buffer[64];

    utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
    unsigned error = message_do(&message, TAG_RECEIVE);
    while (error == ERR_OK && message.id == MESSAGE_ID_PAGE_FAULT) {
        counts[0]++;
        utcb_self()->items[0] = (struct message_item){.kind = ITEM_MAP,
                                                      .access = ACCESS_READ,
                                                      .address = counts[1],
                                                      .length = PAGE_BYTES,
                                                      .offset = CHILD_AREA};
        message.receive_from = (port_name_t)(uint64_t)argument;
        error = message_do(&message, TAG_REPLY_RECEIVE | TAG_ITEMS(1));
    }
    EXPECT_OK(error);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
}

static void test_pager_is_server(void)
{
    struct child *child = child_create();
    struct test_port pager = port_make(0);
    void *page = pages_allocate(1);
    port_name_t set = PORT_NULL;

    port = port_make(0);
    counts[0] = 0;
    counts[1] = (uint64_t)page;
    result = 999;
    EXPECT_OK(port_set_allocate(&set));
    EXPECT_OK(port_enable(port.receive, set));
    EXPECT_OK(port_enable(pager.receive, set));
    EXPECT_OK(thread_set_pager(child->thread, copy_send(pager.send)));
    struct helper *server = helper_start(server_and_pager, (void *)(uint64_t)set);
    EXPECT(helper_waits(server, THREAD_RECEIVING));
    child_start(child, call_with_missing_page,
                (void *)(uint64_t)child_give(child, copy_send(port.send)));
    child_join(child);
    EXPECT_OK(result);
    EXPECT_EQUAL(counts[0], 1);
    helper_join(server);
    child_destroy(child);
    port_drop(&port);
    port_drop(&pager);
    right_drop(set);
    pages_free(page, 1);
}

static void receive_and_hold(void *argument)
{
    struct message message = {.receive_from = port.receive};

    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    counts[(uint64_t)argument] = message.id;
    if (message.tag & TAG_REPLY)
        EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
}

// Two receivers, a plain message, then a call before the first has run: both
// are served, by both.
static void test_two_receivers(void)
{
    port = port_make(0);
    counts[0] = counts[1] = 0;
    struct helper *a = helper_start_priority(receive_and_hold, (void *)0, -3);
    struct helper *b = helper_start_priority(receive_and_hold, (void *)1, -3);
    EXPECT(helper_waits(a, THREAD_RECEIVING));
    EXPECT(helper_waits(b, THREAD_RECEIVING));
    struct message message = {.destination = port.send, .id = 1};
    EXPECT_OK(message_do(&message, TAG_SEND));
    message = (struct message){.destination = port.send, .id = 2};
    EXPECT_OK(message_do_within(&message, TAG_CALL, LONG_TIME));
    helper_join(a);
    helper_join(b);
    EXPECT_EQUAL(counts[0] + counts[1], 3);
    port_drop(&port);
}

// --- Time -------------------------------------------------------------------------------

static void compute(void *argument)
{
    while (!stop)
        counts[(uint64_t)argument]++;
}

static void serve_once(void *argument)
{
    (void)argument;
    struct message message = {.receive_from = port.receive};
    EXPECT_OK(message_do(&message, TAG_RECEIVE));
    // Its client's equal becomes ready while the server, above both, runs.
    struct helper *other = helper_start_priority(compute, (void *)1, -8);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_REPLY));
    for (unsigned i = 0; i < 30; i++)
        sleep_for(10 * MILLISECOND);
    stop = true;
    helper_join(other);
}

static void call_and_compute(void *argument)
{
    caller(NULL);
    compute(argument);
}

static void test_slice_after_reply(void)
{
    port = port_make(0);
    stop = false;
    counts[0] = counts[1] = 0;
    struct helper *server = helper_start_priority(serve_once, NULL, -2);
    EXPECT(helper_waits(server, THREAD_RECEIVING));
    struct helper *client = helper_start_priority(call_and_compute, (void *)0, -8);
    helper_join(server);
    helper_join(client);
    EXPECT(counts[0] > 0);
    EXPECT(counts[1] > 0);
    port_drop(&port);
}

static const struct test tests[] = {
    {"a GS base that is another's message page", test_moved_message_page, false},
    {"other code segments", test_segments, false},
    {"a right moved that is also the reply right", test_moved_and_reply, false},
    {"a right that carries itself", test_carries_itself, false},
    {"death notices of timers", test_notice_on_timer, false},
    {"a second item that fails", test_items_given_back, false},
    {"a server that is its client's pager", test_pager_is_server, false},
    {"two receivers, two kinds of message", test_two_receivers, false},
    {"time slices after a reply", test_slice_after_reply, false},
    {NULL, NULL, false},
};
const struct test_group hostile_tests = {"hostile", tests};
