// SPDX-License-Identifier: BSD-2-Clause
// The longest stretch with interrupts off while heavy operations run. Counted
// in ticks of the time stamp counter, which are instructions when the machine
// is run with a clock that counts them; only then is the limit tested.
#include "harness.h"

#include <corvus/trace.h>
#include <corvus/vcpu.h>

#define LIMIT   50000
#define SENDERS 200
#define PAGES   400

static struct test_port port;
static volatile unsigned result;

// A clock that counts instructions gives the same for the same loop.
static bool counts_instructions(void)
{
    uint64_t shortest = UINT64_MAX, longest = 0;

    for (unsigned i = 0; i < 20; i++) {
        uint64_t start = processor_time(), rounds = 500;
        __asm__ volatile("1:\tdec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
        uint64_t time = processor_time() - start;
        shortest = time < shortest ? time : shortest;
        longest = time > longest ? time : longest;
    }
    return shortest >= 1000 && shortest < 1050;
}

static void begin(void)
{
    EXPECT_OK(host_trace_control(NAME_HOST, 0, HOST_MEASURE_IRQS_OFF));
}

static void end(const char *name)
{
    uint64_t longest = counter_read(COUNTER_IRQS_OFF_MAX);

    EXPECT_OK(host_trace_control(NAME_HOST, 0, 0));
    remark("irqs-off %s %llu", name, (unsigned long long)longest);
    EXPECT(longest > 0);
    if (counts_instructions())
        EXPECT(longest <= LIMIT);
}

static void copy_sink(void *argument)
{
    struct message message = {.receive_from = port.receive};

    utcb_self()->copy_buffers[0] = message_buffer(argument, MESSAGE_COPY_MAX);
    result = message_do(&message, TAG_RECEIVE);
}

static void test_copy(void)
{
    char *source = pages_allocate(256), *target = pages_allocate(256);

    port = port_make(0);
    struct helper *helper = helper_start(copy_sink, target);
    EXPECT(helper_waits(helper, THREAD_RECEIVING));
    begin();
    struct message message = {.destination = port.send};
    utcb_self()->items[0] = message_copy_item(source + 1, MESSAGE_COPY_MAX - 1);
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_ITEMS(1)));
    end("copy-1-MiB");
    helper_join(helper);
    EXPECT_OK(result);
    port_drop(&port);
    pages_free(source, 256);
    pages_free(target, 256);
}

// Thousands of mappings derived from a few hundred pages.
static void derive(struct child *child, void *pages, unsigned copies)
{
    for (uint64_t i = 0; i < copies; i++)
        EXPECT_OK(memory_map(child->task, (uint64_t)pages, CHILD_AREA + i * PAGES * PAGE_BYTES,
                             PAGES * PAGE_BYTES, ACCESS_READ, NULL));
}

static void test_unmap(void)
{
    struct child *child = child_create_with(3 << 20, 0);
    void *pages = pages_allocate(PAGES);

    begin();
    derive(child, pages, 10);
    end("map-4000");
    begin();
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGES * PAGE_BYTES, ACCESS_WRITE, NULL,
                           NULL, NULL));
    end("restrict-4000-derived");
    begin();
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)pages, PAGES * PAGE_BYTES, ACCESS_ALL, NULL,
                           NULL, NULL));
    end("unmap-4000-derived");
    child_destroy(child);
    pages_free(pages, PAGES);
}

// One page with thousands of mappings derived from it.
static void test_unmap_one(void)
{
    struct child *child = child_create_with(3 << 20, 0);
    void *page = pages_allocate(1);

    for (uint64_t i = 0; i < 3000; i++)
        EXPECT_OK(memory_map(child->task, (uint64_t)page, CHILD_AREA + i * PAGE_BYTES, PAGE_BYTES,
                             ACCESS_READ, NULL));
    begin();
    EXPECT_OK(
        memory_unmap(NAME_TASK_SELF, (uint64_t)page, PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL));
    end("unmap-3000-of-one-page");
    child_destroy(child);
    pages_free(page, 1);
}

static void test_task_end(void)
{
    struct child *child = child_create_with(4 << 20, 0);
    struct test_port sink = port_make(0);
    void *pages = pages_allocate(PAGES);
    uint64_t receive = PORT_NULL;

    derive(child, pages, 8);
    for (unsigned i = 0; i < 5000; i++)
        EXPECT_OK(task_insert_right(child->task, copy_send(sink.send), NULL));
    for (unsigned i = 0; i < 500; i++)
        EXPECT_OK(task_allocate_port(child->task, 0, &receive));
    // Its ports have messages with rights.
    port_name_t there = child_give(child, make_send(sink.receive));
    (void)there;
    struct test_port full = port_make(0);
    EXPECT_OK(port_set_backlog(full.receive, PORT_BACKLOG_MAX));
    for (unsigned i = 0; i < PORT_BACKLOG_MAX; i++) {
        struct message message = {.destination = full.send};
        for (unsigned r = 0; r < 8; r++)
            utcb_self()->rights[r] = make_send(sink.receive);
        EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(8) | 8));
    }
    (void)child_give(child, move_receive(full.receive));
    begin();
    EXPECT_OK(task_terminate(child->task));
    end("task-end");
    child_destroy(child);
    right_drop(full.send);
    port_drop(&sink);
    pages_free(pages, PAGES);
}

static void test_full_port_end(void)
{
    struct test_port sink = port_make(0);

    port = port_make(0);
    EXPECT_OK(port_set_backlog(port.receive, PORT_BACKLOG_MAX));
    for (unsigned i = 0; i < PORT_BACKLOG_MAX; i++) {
        struct message message = {.destination = port.send};
        for (unsigned r = 0; r < 8; r++)
            utcb_self()->rights[r] = make_send(sink.receive);
        EXPECT_OK(message_do(&message, TAG_SEND | TAG_RIGHTS(8) | 64));
    }
    begin();
    right_drop(port.receive);
    end("port-end-1024-messages");
    right_drop(port.send);
    port_drop(&sink);
}

// Threads of a child that all wait to send to one port. Their code is one
// system call, with registers set from outside: they need no stack.
static const char one_call[] __attribute__((section(".text.one_call"))) = {
    0x0f, 0x05,             // syscall
    (char)0xeb, (char)0xfe, // jmp to itself
};

static void test_waiting_senders_end(void)
{
    struct child *child = child_create_with(3 << 20, 0);
    uint64_t queued = 0;
    port_name_t thread = PORT_NULL;

    port = port_make(0);
    uint64_t there = child_give(child, copy_send(port.send));
    for (uint64_t i = 0; i < SENDERS; i++) {
        struct vcpu_registers state = {0};
        uint64_t utcb = CHILD_UTCB + (i + 1) * PAGE_BYTES;
        EXPECT_OK(task_create_thread(child->task, utcb, 1, &thread, NULL));
        state.rip = (uint64_t)one_call;
        state.rax = TAG_CALL;
        state.rdi = there;
        state.gs_base = utcb;
        EXPECT_OK(thread_set_state(thread, (uint64_t *)&state, sizeof state / 8));
        EXPECT_OK(thread_resume(thread));
        right_drop(thread);
    }
    for (unsigned i = 0; i < 1000 && queued < SENDERS; i++) {
        sleep_for(MILLISECOND);
        EXPECT_OK(port_messages(port.receive, &queued));
    }
    EXPECT_EQUAL(queued, SENDERS);
    begin();
    right_drop(port.receive);
    end("port-end-200-senders");
    begin();
    child_destroy(child);
    end("task-end-200-threads");
    right_drop(port.send);
}

static void window_sink(void *argument)
{
    struct message message = {.receive_from = (port_name_t)(uint64_t)argument};

    utcb_self()->map_window = (struct message_buffer){CHILD_AREA, 4ull << 30};
    while (message_do(&message, TAG_RECEIVE) == ERR_OK)
        message.receive_from = (port_name_t)(uint64_t)argument;
}

static void test_map_items(void)
{
    struct child *child = child_create_with(1 << 20, 0);
    void *pages = pages_allocate(64);

    port = port_make(0);
    child_start(child, window_sink,
                (void *)(uint64_t)child_give(child, move_receive(port.receive)));
    EXPECT(child_waits(child, THREAD_RECEIVING));
    begin();
    for (unsigned round = 0; round < 3; round++) {
        struct message message = {.destination = port.send};
        utcb_self()->items[0] = (struct message_item){.kind = ITEM_MAP,
                                                      .access = ACCESS_READ,
                                                      .address = (uint64_t)pages,
                                                      .length = 64 * PAGE_BYTES,
                                                      .offset = round * 0x20000};
        EXPECT_OK(message_do(&message, TAG_SEND | TAG_ITEMS(1)));
    }
    end("map-item-64-pages");
    // All four items.
    begin();
    struct message message = {.destination = port.send};
    for (unsigned i = 0; i < 4; i++)
        utcb_self()->items[i] = (struct message_item){.kind = ITEM_MAP,
                                                      .access = ACCESS_READ,
                                                      .address = (uint64_t)pages,
                                                      .length = 64 * PAGE_BYTES,
                                                      .offset = (1ull << 30) + i * 0x40000};
    EXPECT_OK(message_do(&message, TAG_SEND | TAG_ITEMS(4)));
    end("map-items-4x64-pages");
    child_destroy(child);
    right_drop(port.send);
    pages_free(pages, 64);
}

static const struct test tests[] = {
    {"a COPY of 1 MiB", test_copy, false},
    {"mapping and unmapping thousands of pages", test_unmap, false},
    {"unmapping one page with thousands of mappings", test_unmap_one, false},
    {"the end of a task with much of everything", test_task_end, false},
    {"the end of a port with a thousand messages", test_full_port_end, false},
    {"the end of a port with hundreds of senders", test_waiting_senders_end, false},
    {"MAP items of 64 pages", test_map_items, false},
    {NULL, NULL, false},
};
const struct test_group latency_tests = {"latency", tests};
