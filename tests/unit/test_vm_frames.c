// SPDX-License-Identifier: BSD-2-Clause
// How the VM server's memory grows and shrinks: in pieces, when it is needed, down to one; what
// happens when there is none to be had.
// sources: pagers/vm/core/frame.c pagers/vm/core/page.c pagers/vm/core/object.c
// sources: pagers/vm/core/evict.c pagers/vm/core/fault.c pagers/vm/core/manager.c
// sources: pagers/vm/core/map.c pagers/vm/core/copy.c tests/unit/vm/world.c
#include "tap.h"

#include "tests/unit/vm/world.h"

#define FRAMES WORLD_FRAMES
#define ALL    WORLD_PAGES

static struct world world;

static void begin(uint32_t frames)
{
    world_open(&world, frames);
    world.maps[0] = vm_map_create(&world.core, WORLD_BASE, WORLD_BASE << 4);
    (void)vm_map_enter(&world.core, world.maps[0], WORLD_BASE, ALL * PAGE_BYTES, NULL, 0,
                       ACCESS_READ | ACCESS_WRITE, ACCESS_ALL, VM_INHERIT_COPY);
}

static void end(void)
{
    vm_map_destroy(&world.core, world.maps[0]);
    world.maps[0] = NULL;
    world_settle(&world);
}

// Writes numbers to the first pages. False: one could not be written to.
static bool write_pages(unsigned count)
{
    bool good = true;

    for (unsigned page = 0; page < count; page++) {
        uint64_t value = 100 + page;
        good &= world_touch(&world, 0, page, ACCESS_READ | ACCESS_WRITE, &value) == ERR_OK;
    }
    return good;
}

static bool read_pages(unsigned count)
{
    bool good = true;

    for (unsigned page = 0; page < count; page++) {
        uint64_t value = 0;
        good &= world_touch(&world, 0, page, ACCESS_READ, &value) == ERR_OK && value == 100 + page;
    }
    return good;
}

static void grows_and_shrinks(void)
{
    begin(FRAMES);
    tap_ok(world.present == 0 && world.core.present_count == 0, "no memory before the first fault");
    tap_ok(write_pages(1) && world.present == VM_PIECE_FRAMES, "then one piece");
    tap_ok(write_pages(ALL) && read_pages(ALL) && world.present > ALL && world.present < FRAMES,
           "more as they are needed, no more than that");
    tap_ok(world.core.counters.evicted == 0, "nothing is evicted while there is more to be had");
    end();
    tap_ok(world.present == VM_PIECE_FRAMES && world.core.free_count == VM_PIECE_FRAMES,
           "what is free goes back, but for one piece");
    tap_ok(world.bad_pieces == 0, "nothing was used that is not there");
    world_close(&world);
}

static void is_refused(void)
{
    begin(FRAMES);
    bool good = write_pages(1);
    world.no_memory = true;
    tap_ok(good && write_pages(ALL) && world.present == VM_PIECE_FRAMES &&
               world.core.counters.evicted >= ALL - VM_PIECE_FRAMES,
           "refused more, it evicts");
    tap_ok(read_pages(ALL), "contents are right");
    uint64_t after = world.core.grow_after;
    tap_ok(after > world.core.now && read_pages(ALL) && world.core.grow_after == after,
           "it does not ask again at once");
    world.no_memory = false;
    world.core.now = after;
    tap_ok(read_pages(ALL) && world.present > VM_PIECE_FRAMES, "but later, and gets it");
    end();
    tap_ok(world.present == VM_PIECE_FRAMES && world.bad_pieces == 0, "and gives it back");
    world_close(&world);
}

static void waits_for_some(void)
{
    struct world_fault fault;

    begin(FRAMES);
    world.no_memory = true;
    world_fault(&world, &fault, 0, 0, ACCESS_READ);
    tap_ok(fault.result == ERR_COUNT, "without any memory a fault waits");
    tap_ok(vm_next_deadline(&world.core) == world.core.grow_after &&
               world.core.grow_after > world.core.now,
           "and asks again in time");
    vm_tick(&world.core, world.core.grow_after);
    tap_ok(fault.result == ERR_COUNT && world.core.grow_after > world.core.now, "more than once");
    world.no_memory = false;
    vm_tick(&world.core, world.core.grow_after);
    tap_ok(fault.result == ERR_OK, "until there is some");
    world.no_memory = true;
    end();
    world_close(&world);
    begin(FRAMES);
    world.no_memory = true;
    world_fault(&world, &fault, 0, 0, ACCESS_READ);
    while (fault.result == ERR_COUNT && vm_next_deadline(&world.core) != VM_NEVER)
        vm_tick(&world.core, vm_next_deadline(&world.core));
    tap_ok(fault.result == ERR_NO_MEMORY && world.core.now >= PAGER_REQUEST_LIMIT,
           "or its time is over: NO_MEMORY");
    end();
    world_close(&world);
}

// More than there is memory for, while nobody would take what is evicted.
static void waits_for_a_pager(void)
{
    struct world_fault fault;
    unsigned page = 0;

    begin(VM_PIECE_FRAMES); // there is no more to be asked for
    world.no_default_pager = true;
    do
        world_fault(&world, &fault, 0, page++, ACCESS_READ | ACCESS_WRITE);
    while (fault.result == ERR_OK && page < ALL);
    tap_ok(fault.result == ERR_COUNT && page > 1 && world.core.counters.evicted == 0,
           "without a pager nothing is evicted: a fault waits");
    uint64_t after = vm_next_deadline(&world.core);
    tap_ok(after > world.core.now && after < PAGER_REQUEST_LIMIT, "and one is looked for again");
    vm_tick(&world.core, after);
    tap_ok(fault.result == ERR_COUNT && vm_next_deadline(&world.core) > after, "more than once");
    world.no_default_pager = false;
    vm_tick(&world.core, vm_next_deadline(&world.core));
    world_settle(&world);
    tap_ok(fault.result == ERR_OK && world.core.counters.evicted > 0,
           "until there is one, with no other event");
    end();
    world_close(&world);
}

int main(void)
{
    grows_and_shrinks();
    is_refused();
    waits_for_some();
    waits_for_a_pager();
    return tap_end();
}
