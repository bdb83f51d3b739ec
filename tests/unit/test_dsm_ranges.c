// SPDX-License-Identifier: BSD-2-Clause
// sources: tests/dsm/world.c tests/dsm/cache.c $(DSM_PAGES)
// Distributed shared memory on a model of caches and a network: long ranges, read or written in
// order, move many pages at a time, and others do not.
#include "dsm_scene.h"

#include <stdio.h>

static void test_reading_ahead(void)
{
    bool all = true;

    begin(2);
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(1, page, true) && all;
    uint64_t messages = world->messages;
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(2, page, false) && cache_of(2)->seen == page + 1 && all;
    printf("# %llu messages, %llu requests of the cache\n",
           (unsigned long long)(world->messages - messages),
           (unsigned long long)cache_of(2)->faults);
    tap_ok(all && counters(2).prefetched > 40 &&
               counters(2).prefetch_used == counters(2).prefetched,
           "neighbours of pages read in order come without being waited for");
    tap_ok(counters(2).waits < 20, "so most faults are satisfied without a message");
    tap_ok(world->messages - messages < 64, "there are fewer messages than pages");
    tap_ok(cache_of(2)->faults < 48, "and many pages come to the cache with the one it asked for");
    world_end(world);
}

// Pages that another node has written, and nobody else has read.
static void test_writing_over(void)
{
    bool all = true;

    begin(2);
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(1, page, true) && all;
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(2, page, true) && all;
    tap_ok(all && counters(2).waits < 24 && counters(1).surrendered == 64,
           "who writes pages in order that another node has gets many at once");
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(1, page, false) && cache_of(1)->seen == 65 + page && all;
    tap_ok(all, "and what it wrote is read there");
    world_end(world);
}

// Every eighth page is no order.
static void test_not_writing_over(void)
{
    bool all = true;

    begin(2);
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(1, page, true) && all;
    for (uint32_t page = 0; page < 64; page += 8)
        all = access_page(2, page, true) && all;
    tap_ok(all && counters(1).surrendered == 8,
           "who writes here and there gets the pages that it writes, and no others");
    world_end(world);
}

static void test_writing_ahead(void)
{
    bool all = true;

    begin(3);
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(1, page, true) && all;
    tap_ok(all && counters(1).waits < 20,
           "who writes pages in order that nobody wrote gets many at once");
    for (uint32_t page = 0; page < 64; page++)
        all = access_page(2, page, false) && cache_of(2)->seen == page + 1 && all;
    tap_ok(all, "which others read");
    world_end(world);
}

int main(void)
{
    test_reading_ahead();
    test_writing_ahead();
    test_writing_over();
    test_not_writing_over();
    return tap_end();
}
