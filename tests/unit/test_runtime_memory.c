// SPDX-License-Identifier: BSD-2-Clause
// The runtime's table of anonymous memory, against hooks that keep a page map
// of their own and refuse what init would refuse.
// sources: lib/memory.c
#include "tap.h"

#include "lib/hooks.h"
#include "lib/lock.h"
#include "lib/memory.h"

#include <corvus/types.h>

#include <stdlib.h>

#define PAGES 4096u // of the region's start; the tests use no more
#define TURNS 20000u

static uint8_t pages[PAGES]; // access + 1 of pages given, 0: none
static uint64_t pages_given, pages_limit = UINT64_MAX;
static bool hooks_misused;

void thread_pause(void)
{
}

static bool range(uint64_t address, uint64_t length, uint64_t *first, uint64_t *end)
{
    *first = (address - RUNTIME_MEMORY_START) / PAGE_BYTES;
    *end = *first + length / PAGE_BYTES;
    return *end <= PAGES;
}

static corvus_error_t allocate(uint64_t address, uint64_t length, uint64_t access)
{
    uint64_t first, end;

    if (!range(address, length, &first, &end) || pages_given + (end - first) > pages_limit)
        return ERR_NO_MEMORY;
    for (uint64_t i = first; i < end; i++) {
        hooks_misused |= pages[i] != 0;
        pages[i] = (uint8_t)(access + 1);
    }
    pages_given += end - first;
    return ERR_OK;
}

static corvus_error_t release(uint64_t address, uint64_t length)
{
    uint64_t first, end;

    if (!range(address, length, &first, &end))
        return ERR_INVALID_RANGE;
    for (uint64_t i = first; i < end; i++) {
        hooks_misused |= pages[i] == 0;
        pages[i] = 0;
    }
    pages_given -= end - first;
    return ERR_OK;
}

static corvus_error_t protect(uint64_t address, uint64_t length, uint64_t access)
{
    uint64_t first, end;

    if (!range(address, length, &first, &end))
        return ERR_INVALID_RANGE;
    for (uint64_t i = first; i < end; i++) {
        hooks_misused |= pages[i] == 0;
        pages[i] = (uint8_t)(access + 1);
    }
    return ERR_OK;
}

const struct runtime_hooks runtime_hooks = {
    .memory_allocate = allocate,
    .memory_free = release,
    .memory_protect = protect,
};

static uint8_t page_at(uint64_t address)
{
    return pages[(address - RUNTIME_MEMORY_START) / PAGE_BYTES];
}

#define READ_WRITE (ACCESS_READ | ACCESS_WRITE)

static void test_simple(void)
{
    uint64_t a, b;

    tap_ok(memory_map_anywhere(3 * PAGE_BYTES, READ_WRITE, &a) == ERR_OK && page_at(a) != 0,
           "memory with access has pages");
    tap_ok(memory_map_anywhere(8 * PAGE_BYTES, 0, &b) == ERR_OK && page_at(b) == 0,
           "memory without access has none");
    tap_ok(a + 3 * PAGE_BYTES <= b || b + 8 * PAGE_BYTES <= a, "ranges do not overlap");
    tap_ok(memory_protect_range(b + PAGE_BYTES, 7 * PAGE_BYTES, READ_WRITE) == ERR_OK &&
               page_at(b) == 0 && page_at(b + PAGE_BYTES) != 0,
           "a stack above its guard page");
    tap_ok(memory_protect_range(b + 2 * PAGE_BYTES, PAGE_BYTES, ACCESS_READ) == ERR_OK &&
               page_at(b + 2 * PAGE_BYTES) == ACCESS_READ + 1,
           "access can be taken away in the middle");
    tap_ok(memory_unmap_range(b, 8 * PAGE_BYTES) == ERR_OK && pages_given == 3,
           "an unmapped range gives all its pages back");
    tap_ok(memory_protect_range(b, PAGE_BYTES, ACCESS_READ) == ERR_NOT_MAPPED,
           "what is not mapped has no access to change");
    tap_ok(memory_unmap_range(a, 3 * PAGE_BYTES) == ERR_OK && pages_given == 0, "nothing is left");
}

static void test_arguments(void)
{
    uint64_t a;

    tap_ok(memory_map_anywhere(0, READ_WRITE, &a) == ERR_INVALID_RANGE, "empty");
    tap_ok(memory_map_anywhere(UINT64_MAX & ~4095ull, READ_WRITE, &a) == ERR_INVALID_RANGE,
           "larger than the region");
    tap_ok(memory_unmap_range(RUNTIME_MEMORY_START + 1, PAGE_BYTES) == ERR_INVALID_RANGE,
           "misaligned");
    tap_ok(memory_unmap_range(0x400000, PAGE_BYTES) == ERR_INVALID_RANGE, "outside");
    tap_ok(memory_unmap_range(RUNTIME_MEMORY_END - PAGE_BYTES, 2 * PAGE_BYTES) == ERR_INVALID_RANGE,
           "across the end");
    pages_limit = 4;
    tap_ok(memory_map_anywhere(5 * PAGE_BYTES, READ_WRITE, &a) == ERR_NO_MEMORY, "out of pages");
    pages_limit = UINT64_MAX;
    tap_ok(memory_map_anywhere(4 * PAGE_BYTES, READ_WRITE, &a) == ERR_OK, "and not since then");
    tap_ok(memory_unmap_range(a, 4 * PAGE_BYTES) == ERR_OK && pages_given == 0, "nothing is left");
}

static void one_random_step(uint64_t *blocks, unsigned count)
{
    unsigned i = (unsigned)rand() % count;
    uint64_t part = (uint64_t)(rand() % 8) * PAGE_BYTES;
    static const uint64_t accesses[] = {0, ACCESS_READ, READ_WRITE};
    uint64_t access = accesses[rand() % 3];

    if (blocks[i] == 0)
        (void)memory_map_anywhere(8 * PAGE_BYTES, access, &blocks[i]);
    else if (rand() % 2 == 0)
        (void)memory_protect_range(blocks[i] + part, PAGE_BYTES, access);
    else if (memory_unmap_range(blocks[i], 8 * PAGE_BYTES) == ERR_OK)
        blocks[i] = 0;
}

static void test_random(void)
{
    uint64_t blocks[64] = {0};

    srand(1);
    for (unsigned i = 0; i < TURNS; i++)
        one_random_step(blocks, 64);
    for (unsigned i = 0; i < 64; i++)
        if (blocks[i] != 0)
            (void)memory_unmap_range(blocks[i], 8 * PAGE_BYTES);
    tap_ok(pages_given == 0, "after many random steps nothing is left");
    tap_ok(!hooks_misused, "no page was given twice, or changed or freed without being there");
}

static void test_full_table(void)
{
    uint64_t a, holes = 0;

    // Every second page of a range gone: the table fills up, and says so.
    tap_ok(memory_map_anywhere(PAGES / 2 * PAGE_BYTES, READ_WRITE, &a) == ERR_OK, "a large range");
    while (holes < PAGES / 4 &&
           memory_protect_range(a + 2 * holes * PAGE_BYTES, PAGE_BYTES, ACCESS_READ) == ERR_OK)
        holes++;
    tap_ok(holes < PAGES / 4, "too many areas are refused");
    tap_ok(memory_unmap_range(a, PAGES / 2 * PAGE_BYTES) == ERR_OK && pages_given == 0,
           "a full table still lets go");
}

int main(void)
{
    test_simple();
    test_arguments();
    test_random();
    test_full_table();
    return tap_end();
}
