// SPDX-License-Identifier: BSD-2-Clause
// The memory services: map, unmap and what they tell, over several tasks and
// both page sizes, and that what they say is what the processor does.
#include "harness.h"

#include <string.h>

#define READ_WRITE (ACCESS_READ | ACCESS_WRITE)

static char *pages;

static uint64_t access_at(port_name_t task, uint64_t address)
{
    uint64_t access = 99;

    EXPECT_OK(memory_info(task, address, &access, NULL, NULL, NULL));
    return access;
}

static corvus_error_t map_self(uint64_t source, uint64_t destination, uint64_t count,
                               uint64_t access)
{
    return memory_map(NAME_TASK_SELF, source, destination, count * PAGE_BYTES, access, NULL);
}

static corvus_error_t unmap_self(uint64_t address, uint64_t count, uint64_t flags)
{
    return memory_unmap(NAME_TASK_SELF, address, count * PAGE_BYTES, flags, NULL, NULL, NULL);
}

static void test_refused(void)
{
    uint64_t done = 99;
    struct child *child = child_create();

    pages = pages_allocate(4);
    uint64_t here = (uint64_t)pages;
    const struct {
        uint64_t source, destination, length, access;
        corvus_error_t error;
    } cases[] = {
        {here + 1, SCRATCH, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {here, SCRATCH + 1, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {here, SCRATCH, 1, ACCESS_READ, ERR_INVALID_RANGE},
        {here, SCRATCH, 0, ACCESS_READ, ERR_INVALID_RANGE},
        {here, USER_MAP_END, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {here, USER_MAP_END - PAGE_BYTES, 2 * PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {here, 0xffffffff80000000ull, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {0xffffffff80000000ull, SCRATCH, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {here, SCRATCH, UINT64_MAX - PAGE_BYTES + 1, ACCESS_READ, ERR_INVALID_RANGE},
        {here, SCRATCH, PAGE_BYTES, 0, ERR_INVALID_ARGUMENT},
        {here, SCRATCH, PAGE_BYTES, ACCESS_WRITE, ERR_INVALID_ARGUMENT},
        {here, SCRATCH, PAGE_BYTES, ACCESS_READ | 8, ERR_INVALID_ARGUMENT},
        {here, SCRATCH, PAGE_BYTES, ACCESS_READ | MEMORY_SELF, ERR_INVALID_ARGUMENT},
        {here, SCRATCH, PAGE_BYTES, ACCESS_READ | 1ull << 40, ERR_INVALID_ARGUMENT},
        {SCRATCH + (1 << 20), SCRATCH, PAGE_BYTES, ACCESS_READ, ERR_NOT_MAPPED},
        {here, SCRATCH, PAGE_BYTES, ACCESS_ALL, ERR_ACCESS_DENIED},
        {CLOCK_PAGE_ADDRESS, SCRATCH, PAGE_BYTES, ACCESS_READ, ERR_INVALID_RANGE},
        {(uint64_t)utcb_self(), SCRATCH, PAGE_BYTES, ACCESS_READ, ERR_ACCESS_DENIED},
        {here, CHILD_UTCB, PAGE_BYTES, ACCESS_READ, ERR_IN_USE},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        corvus_error_t error = memory_map(child->task, cases[i].source, cases[i].destination,
                                          cases[i].length, cases[i].access, &done);
        EXPECT_EQUAL(error | i << 16, cases[i].error | i << 16);
    }
    // Up to the first page that is missing.
    EXPECT_OK(map_self(here, SCRATCH, 4, ACCESS_READ));
    EXPECT_EQUAL(memory_map(child->task, SCRATCH, CHILD_AREA, 200 * PAGE_BYTES, ACCESS_READ, NULL),
                 ERR_NOT_MAPPED);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA + 3 * PAGE_BYTES), ACCESS_READ);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA + 20 * PAGE_BYTES), 0);
    EXPECT_EQUAL(
        memory_unmap(child->task, CHILD_AREA + 1, PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL),
        ERR_INVALID_RANGE);
    EXPECT_EQUAL(memory_unmap(child->task, CHILD_AREA, 0, ACCESS_ALL, NULL, NULL, NULL),
                 ERR_INVALID_RANGE);
    EXPECT_EQUAL(memory_unmap(child->task, CHILD_AREA, PAGE_BYTES, 8, NULL, NULL, NULL),
                 ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(memory_unmap(child->task, CHILD_AREA, PAGE_BYTES, MEMORY_GRANT, NULL, NULL, NULL),
                 ERR_INVALID_ARGUMENT);
    child_destroy(child);
    pages_free(pages, 4);
}

static void test_info(void)
{
    uint64_t access = 0, bytes = 0, derived = 0, root = 0;

    pages = pages_allocate(1);
    EXPECT_OK(memory_info(NAME_TASK_SELF, (uint64_t)pages, &access, &bytes, &derived, &root));
    EXPECT_EQUAL(access, READ_WRITE);
    EXPECT_EQUAL(bytes, PAGE_BYTES);
    EXPECT_EQUAL(derived, 0);
    EXPECT_EQUAL(root, 0);
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 1, ACCESS_READ));
    EXPECT_OK(memory_info(NAME_TASK_SELF, (uint64_t)pages, NULL, NULL, &derived, NULL));
    EXPECT_EQUAL(derived, 1);
    EXPECT_OK(memory_info(NAME_TASK_SELF, SCRATCH + 123, &access, NULL, &derived, NULL));
    EXPECT_EQUAL(access, ACCESS_READ);
    EXPECT_EQUAL(derived, 0);
    static const uint64_t nowhere[] = {SCRATCH + PAGE_BYTES,  0,         USER_END, 1ull << 63,
                                       0xffffffff80000000ull, UINT64_MAX};
    for (unsigned i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        EXPECT_EQUAL(access_at(NAME_TASK_SELF, nowhere[i]), 0);
    pages_free(pages, 1);
    EXPECT_EQUAL(access_at(NAME_TASK_SELF, SCRATCH), 0);
}

// main -> a -> b -> c: what is taken from one goes from all behind it.
static void map_on(void *argument)
{
    // In the child: hands its page at CHILD_AREA on to the task of that name.
    EXPECT_OK(memory_map((port_name_t)(uint64_t)argument, CHILD_AREA, CHILD_AREA, 2 * PAGE_BYTES,
                         READ_WRITE, NULL));
}

static void test_three_tasks(void)
{
    struct child *a = child_create(), *b = child_create(), *c = child_create();
    uint64_t count = 0;

    pages = pages_allocate(2);
    EXPECT_OK(memory_map(a->task, (uint64_t)pages, CHILD_AREA, 2 * PAGE_BYTES, READ_WRITE, NULL));
    child_start(a, map_on, (void *)(uint64_t)child_give(a, copy_send(b->task)));
    child_join(a);
    child_start(b, map_on, (void *)(uint64_t)child_give(b, copy_send(c->task)));
    child_join(b);
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA), READ_WRITE);
    // Write access is taken behind a, and only there.
    EXPECT_OK(memory_unmap(a->task, CHILD_AREA, PAGE_BYTES, ACCESS_WRITE, &count, NULL, NULL));
    EXPECT_EQUAL(count, 1);
    EXPECT_EQUAL(access_at(a->task, CHILD_AREA), READ_WRITE);
    EXPECT_EQUAL(access_at(b->task, CHILD_AREA), ACCESS_READ);
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA), ACCESS_READ);
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA + PAGE_BYTES), READ_WRITE);
    // b loses its own, and c with it.
    EXPECT_OK(
        memory_unmap(b->task, CHILD_AREA, PAGE_BYTES, ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL));
    EXPECT_EQUAL(access_at(a->task, CHILD_AREA), READ_WRITE);
    EXPECT_EQUAL(access_at(b->task, CHILD_AREA), 0);
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA), 0);
    // The task in the middle ends.
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA + PAGE_BYTES), READ_WRITE);
    child_destroy(b);
    EXPECT_EQUAL(access_at(c->task, CHILD_AREA + PAGE_BYTES), 0);
    EXPECT_EQUAL(access_at(a->task, CHILD_AREA + PAGE_BYTES), READ_WRITE);
    EXPECT_OK(unmap_self((uint64_t)pages, 2, ACCESS_ALL));
    EXPECT_EQUAL(access_at(a->task, CHILD_AREA + PAGE_BYTES), 0);
    child_destroy(c);
    child_destroy(a);
    pages_free(pages, 2);
}

// --- Accessed and dirty ---------------------------------------------------------------

static void touch(void *argument)
{
    volatile char *area = (volatile char *)CHILD_AREA;

    (void)argument;
    (void)area[1 * PAGE_BYTES];
    area[2 * PAGE_BYTES] = 1;
    area[65 * PAGE_BYTES] = 1;
}

static void ask(uint64_t address, uint64_t count, uint64_t expected_accessed,
                uint64_t expected_dirty)
{
    uint64_t accessed = 99, dirty = 99, mapped = 0;

    EXPECT_OK(
        memory_unmap(NAME_TASK_SELF, address, count * PAGE_BYTES, 0, &mapped, &accessed, &dirty));
    EXPECT_EQUAL(mapped, count);
    EXPECT_EQUAL(accessed, expected_accessed);
    EXPECT_EQUAL(dirty, expected_dirty);
}

static void test_accessed(void)
{
    struct child *child = child_create();

    pages = pages_allocate(70);
    (void)memory_unmap(NAME_TASK_SELF, (uint64_t)pages, 64 * PAGE_BYTES, 0, NULL, NULL, NULL);
    ask((uint64_t)pages, 64, 0, 0);
    EXPECT_OK(
        memory_map(child->task, (uint64_t)pages, CHILD_AREA, 70 * PAGE_BYTES, READ_WRITE, NULL));
    child_start(child, touch, NULL);
    child_join(child);
    ask((uint64_t)pages, 64, 6, 4);
    ask((uint64_t)pages, 64, 0, 0);
    // Here too, with the new bit numbers of another range.
    ((volatile char *)pages)[5 * PAGE_BYTES] = 1;
    ask((uint64_t)pages + 4 * PAGE_BYTES, 60, 2, 2);
    // Told once more when the child's mapping is taken.
    child->done = false;
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)pages, 64 * PAGE_BYTES, ACCESS_ALL, NULL, NULL,
                           NULL));
    ask((uint64_t)pages, 64, 0, 0);
    child_destroy(child);
    pages_free(pages, 70);
}

// A COPY counts as access, as if the program had done it.
static void test_accessed_by_copy(void)
{
    struct test_port port = port_make(0);
    pages = pages_allocate(4);
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 4, READ_WRITE));
    (void)memory_unmap(NAME_TASK_SELF, SCRATCH, 4 * PAGE_BYTES, 0, NULL, NULL, NULL);
    struct message message = {.destination = port.send, .receive_from = port.receive};
    utcb_self()->items[0] = message_copy_item((void *)SCRATCH, 10);
    utcb_self()->copy_buffers[0] = message_buffer((void *)(SCRATCH + 2 * PAGE_BYTES), 10);
    // Sender and receiver are one thread only through a second one.
    EXPECT_EQUAL(message_do_within(&message, TAG_SEND | TAG_ITEMS(1), 0), ERR_WOULD_BLOCK);
    ask(SCRATCH, 4, 0, 0);
    EXPECT_OK(unmap_self(SCRATCH, 4, ACCESS_ALL | MEMORY_SELF));
    port_drop(&port);
    pages_free(pages, 4);
}

// --- Self, overlap, replacing ------------------------------------------------------------

static void test_self(void)
{
    pages = pages_allocate(8);
    for (unsigned i = 0; i < 8; i++)
        pages[i * PAGE_BYTES] = (char)(i + 1);
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 8, READ_WRITE));
    for (unsigned i = 0; i < 8; i++)
        EXPECT_EQUAL(((volatile char *)SCRATCH)[i * PAGE_BYTES], i + 1);
    // Onto itself: it stays what it is, whether that is called an error or not.
    corvus_error_t error = map_self(SCRATCH, SCRATCH, 8, ACCESS_READ);
    EXPECT(error == ERR_OK || error == ERR_IN_USE);
    EXPECT(access_at(NAME_TASK_SELF, SCRATCH) & ACCESS_READ);
    EXPECT_EQUAL(*(volatile char *)SCRATCH, 1);
    // The same again with less, and with more.
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 8, ACCESS_READ));
    EXPECT_EQUAL(access_at(NAME_TASK_SELF, SCRATCH), ACCESS_READ);
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 8, READ_WRITE));
    EXPECT_EQUAL(access_at(NAME_TASK_SELF, SCRATCH), READ_WRITE);
    // Something else replaces it.
    EXPECT_OK(map_self((uint64_t)pages + PAGE_BYTES, SCRATCH, 1, ACCESS_READ));
    EXPECT_EQUAL(*(volatile char *)SCRATCH, 2);
    // A page is not mapped over what it is derived from.
    EXPECT_EQUAL(map_self(SCRATCH, (uint64_t)pages + PAGE_BYTES, 1, ACCESS_READ), ERR_IN_USE);
    // An overlapping move up: pages in ascending order.
    EXPECT_OK(unmap_self(SCRATCH, 8, ACCESS_ALL | MEMORY_SELF));
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 4, READ_WRITE));
    error = map_self(SCRATCH, SCRATCH + 2 * PAGE_BYTES, 4, READ_WRITE);
    EXPECT(error == ERR_OK || error == ERR_IN_USE);
    EXPECT_EQUAL(((volatile char *)SCRATCH)[2 * PAGE_BYTES], 1);
    EXPECT_OK(unmap_self(SCRATCH, 8, ACCESS_ALL | MEMORY_SELF));
    pages_free(pages, 8);
}

static void test_grant(void)
{
    struct child *child = child_create();
    uint64_t before = 0, after = 0;

    pages = pages_allocate(3);
    EXPECT_OK(map_self((uint64_t)pages, SCRATCH, 3, READ_WRITE));
    EXPECT_OK(task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, NULL, &before));
    EXPECT_OK(memory_map(child->task, SCRATCH, CHILD_AREA, 3 * PAGE_BYTES,
                         ACCESS_READ | MEMORY_GRANT, NULL));
    EXPECT_OK(task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, NULL, &after));
    EXPECT_EQUAL(before - after, 3);
    EXPECT_EQUAL(access_at(NAME_TASK_SELF, SCRATCH), 0);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA), ACCESS_READ);
    EXPECT_OK(unmap_self((uint64_t)pages, 3, ACCESS_ALL));
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA), 0);
    child_destroy(child);
    pages_free(pages, 3);
}

// --- 2 MiB ------------------------------------------------------------------------------

static void test_large(void)
{
    char *large = large_page(1);
    struct child *child;
    uint64_t bytes = 0, mapped = 0, accessed = 0, dirty = 0;

    if (large == NULL) {
        test_skip("no 2 MiB page");
        return;
    }
    child = child_create();
    EXPECT_OK(
        memory_map(child->task, (uint64_t)large, CHILD_AREA, LARGE_PAGE_BYTES, READ_WRITE, NULL));
    EXPECT_OK(memory_info(child->task, CHILD_AREA + 12345, NULL, &bytes, NULL, NULL));
    EXPECT_EQUAL(bytes, LARGE_PAGE_BYTES);
    EXPECT_OK(task_info(child->task, NULL, NULL, NULL, NULL, NULL, &mapped));
    EXPECT(mapped >= 512);
    // One part of it elsewhere, as a small page.
    EXPECT_OK(memory_map(child->task, (uint64_t)large + 7 * PAGE_BYTES,
                         CHILD_AREA + LARGE_PAGE_BYTES, PAGE_BYTES, ACCESS_READ, NULL));
    EXPECT_OK(memory_info(child->task, CHILD_AREA + LARGE_PAGE_BYTES, NULL, &bytes, NULL, NULL));
    EXPECT_EQUAL(bytes, PAGE_BYTES);
    // Unmapping that part takes what was derived from it, the whole child page too.
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)large + 7 * PAGE_BYTES, PAGE_BYTES, ACCESS_ALL,
                           NULL, NULL, NULL));
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA + LARGE_PAGE_BYTES), 0);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA), 0);
    // Mapped, split by a hole in the child.
    EXPECT_OK(
        memory_map(child->task, (uint64_t)large, CHILD_AREA, LARGE_PAGE_BYTES, READ_WRITE, NULL));
    EXPECT_OK(memory_unmap(child->task, CHILD_AREA + 3 * PAGE_BYTES, PAGE_BYTES,
                           ACCESS_ALL | MEMORY_SELF, &mapped, NULL, NULL));
    EXPECT_EQUAL(mapped, 1);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA + 3 * PAGE_BYTES), 0);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA + 2 * PAGE_BYTES), READ_WRITE);
    EXPECT_OK(memory_info(child->task, CHILD_AREA + 4 * PAGE_BYTES, NULL, &bytes, NULL, NULL));
    EXPECT_EQUAL(bytes, PAGE_BYTES);
    // Accessed: one record for the page.
    (void)memory_unmap(NAME_TASK_SELF, (uint64_t)large, LARGE_PAGE_BYTES, 0, NULL, NULL, NULL);
    *(volatile char *)(large + 70 * PAGE_BYTES) = 1;
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)large, LARGE_PAGE_BYTES, 0, &mapped, &accessed,
                           &dirty));
    EXPECT_EQUAL(mapped, 512);
    EXPECT_EQUAL(dirty, UINT64_MAX);
    EXPECT_OK(memory_unmap(NAME_TASK_SELF, (uint64_t)large, LARGE_PAGE_BYTES, ACCESS_ALL, NULL,
                           NULL, NULL));
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA), 0);
    child_destroy(child);
}

// A 2 MiB page from which something is derived cannot be unmapped in part.
static void test_large_derived(void)
{
    uint64_t large = (uint64_t)large_page(1), bytes = 0;

    if (large == 0) {
        test_skip("no 2 MiB page");
        return;
    }
    struct child *child = child_create();
    EXPECT_OK(memory_map(child->task, large, CHILD_AREA, PAGE_BYTES, ACCESS_READ, NULL));
    EXPECT_EQUAL(unmap_self(large + 9 * PAGE_BYTES, 1, ACCESS_ALL | MEMORY_SELF), ERR_IN_USE);
    EXPECT_OK(memory_info(NAME_TASK_SELF, large + 9 * PAGE_BYTES, NULL, &bytes, NULL, NULL));
    EXPECT_EQUAL(bytes, LARGE_PAGE_BYTES);
    EXPECT_EQUAL(access_at(child->task, CHILD_AREA), ACCESS_READ);
    child_destroy(child);
}

// Other tasks' page tables are not reached through a wrong task port.
static void test_guest_task(void)
{
    port_name_t guest = PORT_NULL;

    pages = pages_allocate(1);
    EXPECT_OK(task_create(NAME_TASK_SELF, CHILD_QUOTA, TASK_GUEST, &guest, NULL));
    EXPECT_OK(memory_map(guest, (uint64_t)pages, CHILD_AREA, PAGE_BYTES, ACCESS_READ, NULL));
    EXPECT_EQUAL(access_at(guest, CHILD_AREA), ACCESS_READ);
    EXPECT_EQUAL(access_at(guest, CLOCK_PAGE_ADDRESS), 0);
    EXPECT_EQUAL(task_create_thread(guest, CHILD_UTCB, 1, &(port_name_t){0}, NULL),
                 ERR_INVALID_RIGHT);
    EXPECT_OK(task_terminate(guest));
    right_drop(guest);
    pages_free(pages, 1);
}

static const struct test tests[] = {
    {"what is refused", test_refused, false},
    {"what memory_info tells", test_info, false},
    {"through three tasks", test_three_tasks, false},
    {"accessed and dirty", test_accessed, false},
    {"a copy that did not happen is no access", test_accessed_by_copy, false},
    {"inside one task: overlap, replacing, access", test_self, false},
    {"grant", test_grant, false},
    {"pages of 2 MiB", test_large, false},
    {"a page of 2 MiB in use cannot be split", test_large_derived, false},
    {"into a guest task", test_guest_task, false},
    {NULL, NULL, false},
};
const struct test_group map_tests = {"map", tests};
