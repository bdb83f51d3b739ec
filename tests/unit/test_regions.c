// SPDX-License-Identifier: BSD-2-Clause
// sources: init/regions.c
// A child's memory by address: joining, cutting, and a long random run compared
// with a plain model.
#include "init/regions.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define PAGES 256

static struct regions regions;

static void add(uint64_t address, uint64_t physical, uint64_t bytes, uint32_t access)
{
    regions_reserve(&regions, 1);
    regions_add(&regions, (struct region){address, physical, bytes, access});
}

static void test_joining(void)
{
    add(0x1000, 0x10000, 0x1000, 3);
    add(0x3000, 0x12000, 0x1000, 3);
    tap_ok(regions.count == 2, "two regions with a gap");
    add(0x2000, 0x11000, 0x1000, 3);
    tap_ok(regions.count == 1 && regions.array[0].bytes == 0x3000, "the gap is filled: one");
    add(0x4000, 0x13000, 0x1000, 1);
    tap_ok(regions.count == 2, "other access, other region");
    add(0x5000, 0x20000, 0x1000, 1);
    tap_ok(regions.count == 3, "other memory, other region");
    tap_ok(regions_find(&regions, 0x2fff)->address == 0x1000 &&
               regions_find(&regions, 0x6000) == NULL && regions_find(&regions, 0xfff) == NULL,
           "found by address");
    tap_ok(regions_cover(&regions, 0x1000, 0x5000) && !regions_cover(&regions, 0x1000, 0x5001) &&
               !regions_cover(&regions, 0, 0x2000),
           "covered or not");
    tap_ok(regions_touch(&regions, 0, 0x1001) && !regions_touch(&regions, 0, 0x1000) &&
               !regions_touch(&regions, 0x6000, 0x1000),
           "touched or not");
    regions_clear(&regions);
}

static void test_cutting(void)
{
    add(0x1000, 0x10000, 0x5000, 3);
    regions_reserve(&regions, 1);
    struct region piece = regions_cut(&regions, 0x2000, 0x1000);
    tap_ok(piece.address == 0x2000 && piece.physical == 0x11000 && piece.bytes == 0x1000,
           "a piece out of the middle");
    tap_ok(regions.count == 2 && regions.array[1].address == 0x3000 &&
               regions.array[1].physical == 0x12000 && regions.array[1].bytes == 0x3000,
           "leaves two");
    piece = regions_cut(&regions, 0, 0x100000);
    tap_ok(piece.address == 0x1000 && piece.bytes == 0x1000, "the first of several");
    piece = regions_cut(&regions, 0, 0x100000);
    tap_ok(piece.address == 0x3000 && piece.bytes == 0x3000, "the next");
    piece = regions_cut(&regions, 0, 0x100000);
    tap_ok(piece.bytes == 0 && regions.count == 0, "none left");
    regions_clear(&regions);
}

static bool same_as(const uint64_t *model)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        const struct region *region = regions_find(&regions, page * 4096);
        uint64_t physical = region == NULL ? 0 : region->physical + page * 4096 - region->address;
        if (physical != model[page])
            return false;
    }
    return true;
}

static void test_random(void)
{
    static uint64_t model[PAGES];
    bool right = true;
    srand(1);
    for (int step = 0; step < 20000 && right; step++) {
        uint64_t first = (uint64_t)rand() % PAGES, count = 1 + (uint64_t)rand() % 8;
        if (first + count > PAGES)
            continue;
        uint64_t physical = (1 + (uint64_t)rand() % 1000) * 4096;
        bool touched = false;
        for (uint64_t i = 0; i < count; i++)
            touched |= model[first + i] != 0;
        right = regions_touch(&regions, first * 4096, count * 4096) == touched;
        if (!touched && rand() % 2) {
            add(first * 4096, physical, count * 4096, 3);
            for (uint64_t i = 0; i < count; i++)
                model[first + i] = physical + i * 4096;
        } else {
            do
                regions_reserve(&regions, 1);
            while (regions_cut(&regions, first * 4096, count * 4096).bytes != 0);
            memset(&model[first], 0, count * sizeof model[0]);
        }
        right = right && same_as(model);
    }
    tap_ok(right, "20000 random additions and cuts");
    regions_clear(&regions);
}

static void test_wrap(void)
{
    add(0xfffff000, 0x5000, 4096, 3);
    tap_ok(regions_cover(&regions, 0xfffff000, 4096), "a region covers itself");
    tap_ok(!regions_cover(&regions, 0ull - 8, 16), "nothing covers the end of all addresses");
    regions_clear(&regions);
}

int main(void)
{
    test_joining();
    test_cutting();
    test_random();
    test_wrap();
    return tap_end();
}
