// SPDX-License-Identifier: BSD-2-Clause
// Wired pages: they stay, each is counted once however often its range is wired, and none is left
// wired when the range is not.
// sources: pagers/vm/core/frame.c pagers/vm/core/page.c pagers/vm/core/object.c
// sources: pagers/vm/core/evict.c pagers/vm/core/fault.c pagers/vm/core/manager.c
// sources: pagers/vm/core/map.c pagers/vm/core/copy.c tests/unit/vm/world.c
#include "tap.h"

#include "tests/unit/vm/world.h"

#define FRAMES 48u
#define ALL    WORLD_PAGES

static struct world world;
static struct vm_page *found;

static void got(struct vm_core *core, struct vm_fault *fault, corvus_error_t error,
                struct vm_page *page, uint64_t access)
{
    (void)core;
    (void)fault;
    (void)access;
    found = error == ERR_OK ? page : NULL;
}

// The page at that place, brought in to be written to.
static struct vm_page *bring(unsigned page)
{
    struct vm_fault fault = {
        .map = world.maps[0],
        .address = world_address(page),
        .access = ACCESS_READ | ACCESS_WRITE,
        .done = got,
    };

    found = NULL;
    vm_fault_start(&world.core, &fault);
    while (found == NULL && world_step(&world))
        ;
    return found;
}

static bool wire(unsigned first, unsigned count)
{
    bool good = true;

    for (unsigned page = first; page < first + count; page++)
        good &= vm_map_wire_page(&world.core, world.maps[0], world_address(page), bring(page)) ==
                ERR_OK;
    return good;
}

static bool unwire(unsigned first, unsigned count)
{
    return vm_map_unwire(&world.core, world.maps[0], world_address(first), count * PAGE_BYTES) ==
           ERR_OK;
}

// Whether these pages are wired so many times.
static bool wired(unsigned first, unsigned count, unsigned times)
{
    bool all = true;

    for (unsigned page = first; page < first + count; page++)
        all &= bring(page)->wired == times;
    return all;
}

static unsigned count_entries(void)
{
    unsigned count = 0;

    for (const struct vm_entry *e = world.maps[0]->entries; e != NULL; e = e->next)
        count++;
    return count;
}

static bool touch_all(void)
{
    bool good = true;

    for (unsigned page = 0; page < ALL; page++) {
        uint64_t value = page;
        good &= world_touch(&world, 0, page, ACCESS_READ | ACCESS_WRITE, &value) == ERR_OK;
    }
    return good;
}

int main(void)
{
    world_open(&world, FRAMES);
    world.maps[0] = vm_map_create(&world.core, WORLD_BASE, WORLD_BASE << 4);
    (void)vm_map_enter(&world.core, world.maps[0], WORLD_BASE, ALL * PAGE_BYTES, NULL, 0,
                       ACCESS_READ | ACCESS_WRITE, ACCESS_ALL, VM_INHERIT_COPY);
    tap_ok(wire(0, 4) && wired(0, 4, 1) && wired(4, 1, 0), "a range is wired");
    tap_ok(count_entries() == 2, "it is one entry");
    tap_ok(wire(0, 4) && wired(0, 4, 1), "again: each page counts once");
    tap_ok(wire(8, 2) && wire(6, 6) && wired(6, 6, 1) && wired(4, 2, 0), "ranges that overlap");
    uint32_t frame = bring(2)->frame;
    tap_ok(touch_all() && bring(2)->frame == frame && wired(0, 4, 1) &&
               world.core.counters.evicted > FRAMES,
           "wired pages stay when others go");
    tap_ok(unwire(0, 4) && unwire(6, 6) && wired(0, 12, 0), "unwired, none is left wired");
    uint64_t before = world.core.counters.paged_in;
    tap_ok(touch_all() && touch_all() && world.core.counters.paged_in > before + 2 * (ALL - FRAMES),
           "and they go like others");
    tap_ok(wire(20, 4) && vm_map_remove(&world.core, world.maps[0], world_address(21),
                                        2 * PAGE_BYTES) == ERR_OK,
           "a hole in a wired range");
    tap_ok(wired(20, 1, 1) && wired(23, 1, 1), "leaves what is around it");
    tap_ok(!unwire(20, 4) && unwire(20, 1) && unwire(23, 1) && wired(20, 1, 0) && wired(23, 1, 0),
           "which is unwired by itself");
    vm_map_destroy(&world.core, world.maps[0]);
    world.maps[0] = NULL;
    world_settle(&world);
    tap_ok(world.core.page_count == 0 && world.core.free_count == world.core.present_count,
           "nothing is left");
    world_close(&world);
    return tap_end();
}
