// SPDX-License-Identifier: BSD-2-Clause
// sources: init/page_allocator.c
// The owner of every page: areas of odd shapes, whole chunks kept whole, and a
// long random run compared with a plain model.
#include "init/page_allocator.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define MIB      (1ull << 20)
#define NO_LIMIT UINT64_MAX

static struct page_allocator allocator;
static void *tables;

static bool begin(const struct page_range *ranges, uint32_t count)
{
    free(tables);
    tables = calloc(1, page_allocator_bytes(ranges, count));
    return page_allocator_initialize(&allocator, ranges, count, tables);
}

static void test_areas(void)
{
    const struct page_range ranges[] = {
        {1 * MIB, 1 * MIB},
        {4 * MIB, 4 * MIB},
        {8 * MIB, 3 * MIB},
        {100 * MIB, 4096},
    };
    tap_ok(begin(ranges, 4), "areas are taken");
    tap_ok(allocator.pages == (8 * MIB + 4096) / 4096, "their pages are counted");
    tap_ok(allocator.area_count == 3, "adjoining ranges share an area");
    tap_ok(page_owned(&allocator, 1 * MIB, 256, PAGE_FREE), "free at first");
    tap_ok(page_owned(&allocator, 0, 256, PAGE_ABSENT), "the rest of a chunk is absent");
    tap_ok(!page_owned(&allocator, 50 * MIB, 1, PAGE_FREE), "nothing between areas");
    tap_ok(!page_owned(&allocator, 8 * MIB, UINT64_MAX, PAGE_FREE), "an absurd length");
    tap_ok(!page_is_large(&allocator, 1 * MIB) && page_is_large(&allocator, 4 * MIB),
           "a chunk with absent pages is divided from the start");
}

static void test_large_pages_last(void)
{
    const struct page_range ranges[] = {{1 * MIB, 1 * MIB}, {4 * MIB, 8 * MIB}};
    begin(ranges, 2);
    for (int i = 0; i < 256; i++)
        page_allocate_small(&allocator, 2, 1, NO_LIMIT);
    tap_ok(page_owned(&allocator, 1 * MIB, 256, 2), "small pages come from divided chunks first");
    tap_ok(page_allocate_small(&allocator, 2, 3, NO_LIMIT) != PAGE_NONE, "then a chunk is divided");
    tap_ok(page_allocate_large(&allocator, 3, 3, NO_LIMIT) != PAGE_NONE, "the others stay whole");
    tap_ok(page_allocate_large(&allocator, 3, 1, NO_LIMIT) == PAGE_NONE, "and then none is left");
    tap_ok(page_allocate_small(&allocator, 3, 509, NO_LIMIT) != PAGE_NONE, "a run that just fits");
    tap_ok(page_allocate_small(&allocator, 3, 1, NO_LIMIT) == PAGE_NONE, "full");
    tap_ok(allocator.free_pages == 0, "no page is free");
}

static void test_limits(void)
{
    const struct page_range ranges[] = {{2 * MIB, 2 * MIB}, {64 * MIB, 8 * MIB}};
    begin(ranges, 2);
    tap_ok(page_allocate_large(&allocator, 2, 1, 4 * MIB) == 2 * MIB, "a large page below 4 MiB");
    tap_ok(page_allocate_large(&allocator, 2, 1, 4 * MIB) == PAGE_NONE, "there was only one");
    tap_ok(page_allocate_small(&allocator, 2, 1, 4 * MIB) == PAGE_NONE, "and no small one");
    tap_ok(page_allocate_small(&allocator, 2, 513, NO_LIMIT) == PAGE_NONE &&
               page_allocate_small(&allocator, 2, 0, NO_LIMIT) == PAGE_NONE &&
               page_allocate_large(&allocator, 2, 0, NO_LIMIT) == PAGE_NONE,
           "counts out of range");
    tap_ok(page_allocate_large(&allocator, 2, UINT32_MAX, NO_LIMIT) == PAGE_NONE,
           "more than there is");
}

static void test_runs(void)
{
    const struct page_range ranges[] = {{2 * MIB, 4 * MIB}, {64 * MIB, 2 * MIB}};
    uint64_t cursor = 0, address = 0, pages = 0, run;
    begin(ranges, 2);
    page_set_owner(&allocator, 4 * MIB - 4096, 2, 5);
    page_set_owner(&allocator, 64 * MIB, 512, 5);
    tap_ok(page_next_run(&allocator, 5, &cursor, &address) == 1 && address == 4 * MIB - 4096,
           "a run ends with its chunk");
    while ((run = page_next_run(&allocator, 5, &cursor, &address)) != 0) {
        page_set_owner(&allocator, address, run, PAGE_FREE);
        pages += run;
    }
    tap_ok(pages == 513, "all other runs are found, across areas");
    tap_ok(page_count_owned(&allocator, 5) == 1, "and given back");
    tap_ok(page_allocate_large(&allocator, 6, 1, NO_LIMIT) == 4 * MIB,
           "a chunk all of whose pages came back is handed out as one");
}

static bool counts_match(void)
{
    uint64_t free_pages = 0;
    for (uint64_t i = 0; i < 4096; i++)
        free_pages += page_owned(&allocator, i * 4096, 1, PAGE_FREE);
    return free_pages == allocator.free_pages &&
           free_pages == page_count_owned(&allocator, PAGE_FREE);
}

// No page is ever handed out twice, and what all owners give back adds up.
static void test_random(unsigned seed)
{
    const struct page_range ranges[] = {{0, 3 * MIB}, {5 * MIB, 6 * MIB}, {13 * MIB, 3 * MIB}};
    static uint16_t model[4096];
    bool right = begin(ranges, 3);
    memset(model, 0, sizeof model);
    srand(seed);
    for (int step = 0; step < 3000 && right; step++) {
        uint32_t owner = 2 + (uint32_t)rand() % 5, count = 1 + (uint32_t)rand() % 20;
        if (rand() % 40 == 0) {
            uint64_t cursor = 0, address, run;
            while ((run = page_next_run(&allocator, owner, &cursor, &address)) != 0) {
                page_set_owner(&allocator, address, run, PAGE_FREE);
                memset(&model[address / 4096], 0, run * sizeof model[0]);
            }
            continue;
        }
        bool large = rand() % 8 == 0;
        uint64_t address = large ? page_allocate_large(&allocator, owner, 1, NO_LIMIT)
                                 : page_allocate_small(&allocator, owner, count, NO_LIMIT);
        for (uint64_t i = 0; address != PAGE_NONE && i < (large ? 512 : count); i++) {
            right = right && model[address / 4096 + i] == 0;
            model[address / 4096 + i] = (uint16_t)owner;
        }
    }
    tap_ok(right && counts_match(), "a random run");
}

int main(void)
{
    test_areas();
    test_large_pages_last();
    test_limits();
    test_runs();
    for (unsigned seed = 1; seed <= 5; seed++)
        test_random(seed);
    free(tables);
    return tap_end();
}
