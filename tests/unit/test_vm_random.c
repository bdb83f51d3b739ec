// SPDX-License-Identifier: BSD-2-Clause
// The VM server's core against a model: random mapping, sharing, copying, forking, snapshots,
// eviction, flushes and locks; every read must see what was written last to the page it means.
// sources: pagers/vm/core/frame.c pagers/vm/core/page.c pagers/vm/core/object.c
// sources: pagers/vm/core/evict.c pagers/vm/core/fault.c pagers/vm/core/manager.c
// sources: pagers/vm/core/map.c pagers/vm/core/copy.c tests/unit/vm/world.c
#include "tap.h"

#include "tests/unit/vm/world.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull // nanoseconds
#define STEPS  15000u
#define PAGERS 6u

// What a page of a map means: a cell, perhaps shared.
struct cell {
    unsigned references;
    uint64_t value;
};

static struct world world;
static struct cell *model[WORLD_MAPS][WORLD_PAGES]; // NULL: not mapped
static struct world_pager *pagers[PAGERS];
static struct cell *contents[PAGERS][WORLD_STORE];
static uint64_t next_value = 1;
static unsigned wrong;
static unsigned seed;

static unsigned pick(unsigned count)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 12) % count;
}

static struct cell *cell_make(uint64_t value)
{
    struct cell *cell = malloc(sizeof *cell);

    *cell = (struct cell){1, value};
    return cell;
}

static void cell_drop(struct cell **cell)
{
    if (*cell != NULL && --(*cell)->references == 0)
        free(*cell);
    *cell = NULL;
}

static struct cell *cell_share(struct cell *cell)
{
    cell->references++;
    return cell;
}

static void expect(bool holds, const char *what, unsigned map, unsigned page)
{
    if (!holds && wrong++ < 10)
        printf("# %s: map %u page %u seed %u\n", what, map, page, seed);
}

// --- Steps -----------------------------------------------------------------------------------

static bool range_free(unsigned map, unsigned page, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (model[map][page + i] != NULL)
            return false;
    return true;
}

static bool range_mapped(unsigned map, unsigned page, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (model[map][page + i] == NULL)
            return false;
    return true;
}

static void touch(unsigned map, unsigned page)
{
    bool write = pick(2);
    uint64_t value = next_value;
    corvus_error_t error =
        world_touch(&world, map, page, write ? ACCESS_WRITE | ACCESS_READ : ACCESS_READ, &value);

    if (model[map][page] == NULL) {
        expect(error == ERR_NOT_MAPPED, "a hole can be touched", map, page);
        return;
    }
    expect(error == ERR_OK, "a page cannot be touched", map, page);
    if (error != ERR_OK)
        return;
    if (write)
        model[map][page]->value = next_value++;
    else
        expect(value == model[map][page]->value, "wrong contents", map, page);
}

static void allocate(unsigned map, unsigned page, unsigned count)
{
    bool room = range_free(map, page, count);
    corvus_error_t error =
        vm_map_enter(&world.core, world.maps[map], world_address(page), count * PAGE_BYTES, NULL, 0,
                     ACCESS_READ | ACCESS_WRITE, ACCESS_ALL, pick(3));

    expect(error == (room ? ERR_OK : ERR_IN_USE), "allocate", map, page);
    for (unsigned i = 0; error == ERR_OK && i < count; i++)
        model[map][page + i] = cell_make(0);
}

static void map_object(unsigned map, unsigned page, unsigned count)
{
    unsigned number = pick(PAGERS), offset = pick(WORLD_STORE - count);
    struct vm_object *object = pagers[number]->object;
    bool private = pick(3) == 0;

    if (!range_free(map, page, count) || object == NULL)
        return;
    if (private)
        object = vm_object_copy(&world.core, object);
    corvus_error_t error =
        vm_map_enter(&world.core, world.maps[map], world_address(page), count * PAGE_BYTES, object,
                     offset * PAGE_BYTES, ACCESS_READ | ACCESS_WRITE, ACCESS_ALL, pick(3));
    if (private)
        vm_object_release(&world.core, object);
    expect(error == ERR_OK, "map", map, page);
    for (unsigned i = 0; i < count; i++)
        model[map][page + i] = private ? cell_make(contents[number][offset + i]->value)
                                       : cell_share(contents[number][offset + i]);
}

static void deallocate(unsigned map, unsigned page, unsigned count)
{
    expect(vm_map_remove(&world.core, world.maps[map], world_address(page), count * PAGE_BYTES) ==
               ERR_OK,
           "deallocate", map, page);
    for (unsigned i = 0; i < count; i++)
        cell_drop(&model[map][page + i]);
}

static void copy(unsigned map, unsigned page, unsigned count, unsigned to)
{
    bool mapped = range_mapped(map, page, count) && range_mapped(map, to, count);
    uint64_t values[WORLD_PAGES];
    corvus_error_t error = vm_map_copy(&world.core, world.maps[map], world_address(page),
                                       count * PAGE_BYTES, world_address(to));

    expect((error == ERR_OK) == mapped, "copy", map, page);
    for (unsigned i = 0; mapped && i < count; i++)
        values[i] = model[map][page + i]->value;
    for (unsigned i = 0; mapped && i < count; i++) {
        cell_drop(&model[map][to + i]);
        model[map][to + i] = cell_make(values[i]);
    }
}

static void fork_map(unsigned map, unsigned child)
{
    if (world.maps[child] != NULL) {
        vm_map_destroy(&world.core, world.maps[child]);
        for (unsigned i = 0; i < WORLD_PAGES; i++)
            cell_drop(&model[child][i]);
        memset(world.tables[child], 0, sizeof world.tables[child]);
    }
    world.maps[child] = vm_map_fork(&world.core, world.maps[map]);
    for (unsigned i = 0; i < WORLD_PAGES; i++) {
        struct vm_entry *entry = vm_map_entry(world.maps[map], world_address(i));
        if (entry == NULL || entry->inheritance == VM_INHERIT_NONE)
            continue;
        model[child][i] = entry->inheritance == VM_INHERIT_SHARE ? cell_share(model[map][i])
                                                                 : cell_make(model[map][i]->value);
    }
}

// What a pager may ask for at any time.
static void pager_acts(struct world_pager *pager)
{
    unsigned page = pick(WORLD_STORE - 8), count = 1 + pick(8);
    uint64_t number = ++pager->own | PAGER_SEQUENCE_OWN, offset = page * PAGE_BYTES;

    if (pager->object == NULL)
        return;
    switch (pick(4)) {
    case 0:
        vm_flush_request(&world.core, pager->object, number, offset, count * PAGE_BYTES);
        break;
    case 1:
        vm_clean_request(&world.core, pager->object, number, offset, count * PAGE_BYTES);
        break;
    case 2:
        vm_data_lock(&world.core, pager->object, number, offset, count * PAGE_BYTES,
                     pick(2) ? ACCESS_WRITE : ACCESS_ALL, PAGER_RETURN | PAGER_COMPLETE);
        break;
    default:
        vm_flush_request(&world.core, pager->object, number, 0, 0);
        break;
    }
}

static void step(void)
{
    unsigned map = pick(WORLD_MAPS / 2), count = 1 + pick(8), page = pick(WORLD_PAGES - 8);
    unsigned what = pick(100);

    // More memory is to be had at times.
    world.no_memory = world.present >= VM_PIECE_FRAMES && pick(2);
    world.core.now += SECOND;
    if (world.maps[map] == NULL)
        fork_map(0, map);
    if (what < 60)
        touch(map, page);
    else if (what < 68)
        allocate(map, page, count);
    else if (what < 76)
        map_object(map, page, count);
    else if (what < 81)
        deallocate(map, page, count);
    else if (what < 88)
        copy(map, page, count, pick(WORLD_PAGES - 8));
    else if (what < 90)
        fork_map(map, (map + 1 + pick(WORLD_MAPS / 2 - 1)) % (WORLD_MAPS / 2));
    else if (what < 97)
        pager_acts(pagers[pick(PAGERS)]);
    else
        (void)world_step(&world);
}

static bool run(unsigned from, uint32_t frames)
{
    seed = from;
    wrong = 0;
    world_open(&world, frames);
    world.maps[0] = vm_map_create(&world.core, WORLD_BASE, WORLD_BASE << 4);
    for (unsigned i = 0; i < PAGERS; i++) {
        pagers[i] = world_pager(&world, PAGER_REQUEST_LIMIT);
        pagers[i]->precious = i % 2;
        for (unsigned p = 0; p < WORLD_STORE; p++) {
            pagers[i]->locks[p] = i < 3 ? 0 : ACCESS_WRITE;
            contents[i][p] = cell_make(0);
        }
    }
    for (unsigned i = 0; i < STEPS && wrong == 0; i++)
        step();
    for (unsigned m = 0; m < WORLD_MAPS; m++) {
        if (world.maps[m] != NULL)
            vm_map_destroy(&world.core, world.maps[m]);
        for (unsigned p = 0; p < WORLD_PAGES; p++)
            cell_drop(&model[m][p]);
    }
    for (unsigned i = 0; i < PAGERS; i++) {
        vm_object_release(&world.core, pagers[i]->object);
        for (unsigned p = 0; p < WORLD_STORE; p++)
            cell_drop(&contents[i][p]);
    }
    world_settle(&world);
    const struct vm_core *core = &world.core;
    printf("# faults %llu copied %llu pushed %llu in %llu out %llu evicted %llu second %llu "
           "waited %llu unlocks %llu nonsense %llu\n",
           (unsigned long long)core->counters.faults, (unsigned long long)core->counters.copied,
           (unsigned long long)core->counters.pushed, (unsigned long long)core->counters.paged_in,
           (unsigned long long)core->counters.paged_out, (unsigned long long)core->counters.evicted,
           (unsigned long long)core->counters.second_chances,
           (unsigned long long)core->counters.waited_for_memory,
           (unsigned long long)core->counters.unlocks, (unsigned long long)core->counters.nonsense);
    bool clean = core->object_count == 0 && core->page_count == 0 && core->map_count == 0 &&
                 core->free_count == core->present_count && core->free_count == world.present &&
                 world.bad_pieces == 0 && core->counters.nonsense == 0;
    if (!clean)
        printf("# left: objects %llu pages %llu maps %llu, free frames %u of %u, bad pieces %u\n",
               (unsigned long long)core->object_count, (unsigned long long)core->page_count,
               (unsigned long long)core->map_count, core->free_count, core->present_count,
               world.bad_pieces);
    world_close(&world);
    return wrong == 0 && clean;
}

int main(void)
{
    tap_ok(run(1, 256), "much memory: contents are right, nothing is left");
    tap_ok(run(2, 40), "little memory: contents are right, nothing is left");
    tap_ok(run(3, 24), "very little memory: contents are right, nothing is left");
    bool all = true;
    for (unsigned from = 10; from < 20; from++)
        all &= run(from, 30 + from);
    tap_ok(all, "ten more seeds");
    return tap_end();
}
