// SPDX-License-Identifier: BSD-2-Clause
// The simulator of distributed shared memory: seeded runs of programs that read and write
// at random, on a network and nodes with faults.
//
//   sim [--seed N] [--runs N] [--actions N] [--seconds N] [--verbose 1]
//
// Runs seeds from N on until all were run or the time is over. TAP; a run that fails names
// its seed, with which it fails again.
#include "tests/dsm/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    uint64_t seed, runs, actions, seconds, verbose;
} settings = {.seed = 1, .runs = 100, .actions = 3000};

static struct {
    uint64_t accesses, faults, errors, messages, lost, kills, cuts, taken;
} totals;

static uint64_t accesses(const struct world *world)
{
    uint64_t sum = 0;

    for (uint32_t n = 1; n <= world->count; n++)
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            sum += world->nodes[n].caches[c].accesses;
    return sum;
}

// Whether a majority that knows what there was can go on together without a node: otherwise the
// segment itself, which is known to a majority, would be another.
static bool majority_knows(const struct world *world, uint32_t without)
{
    for (uint8_t side = 0; side < 2; side++) {
        uint32_t count = 0;
        bool first = false;
        for (uint32_t n = 1; n <= world->count; n++) {
            const struct dsm *core = n != without ? world->nodes[n].core : NULL;
            if (core == NULL || core->ended || core->joined == 0 || world->side[n] != side)
                continue;
            count++;
            first = first || n == 1;
        }
        if (count * 2 > world->count || (count * 2 == world->count && first))
            return true;
    }
    return false;
}

static void cut(struct world *world)
{
    for (uint32_t n = 1; n <= world->count; n++)
        world->side[n] = world_random(world, 3) == 0;
    if (!majority_knows(world, 0))
        memset(world->side, 0, sizeof world->side);
    totals.cuts++;
    world->failures += world->count;
    world_connect(world);
}

static void fault(struct world *world)
{
    uint32_t node = 1 + world_random(world, world->count), what = world_random(world, 8);

    if (what < 3 && majority_knows(world, node)) {
        totals.kills += world->nodes[node].core != NULL;
        world_kill(world, node);
    } else if (what < 6 && world->nodes[node].core == NULL) {
        world_start(world, node);
    } else if (what == 6) {
        cut(world);
    } else if (what == 7) {
        memset(world->side, 0, sizeof world->side);
        world_connect(world);
    }
}

static void set_faults(struct world *world, bool faulty)
{
    world->faults = (struct world_faults){.delay_ns = 100000, .cache_delay_ns = 10000};
    if (!faulty)
        return;
    world->faults.loss = world_random(world, 2) * world_random(world, 100);
    world->faults.doubles = world_random(world, 2) * world_random(world, 200);
    world->faults.delay_ns = 1000 + world_random(world, 1000000);
    world->faults.cache_delay_ns = 1000 + world_random(world, 300000);
}

// Everything is whole again; all who wait are answered, and all pages can be read or are lost.
static void rest(struct world *world)
{
    memset(world->side, 0, sizeof world->side);
    set_faults(world, false);
    for (uint32_t n = 1; n <= world->count; n++)
        if (world->nodes[n].core == NULL)
            world_start(world, n);
    world_connect(world);
    world->automatic = false;
    world_run(world, world->now + 2000 * MILLISECOND);
    must(world, world_settle(world), "the nodes agree on a view");
    world_run(world, world->now + 2000 * MILLISECOND);
    for (uint32_t n = 1; n <= world->count; n++)
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            must(world, !world->nodes[n].caches[c].waits, "every access ends");
}

// The segment is cut and grows again: its pages are zero then, also those that were lost.
static void cut_segment(struct world *world)
{
    uint32_t kept = world_random(world, world->pages + 1);

    world->generation++;
    for (uint32_t n = 1; n <= world->count; n++) {
        struct dsm *core = world->nodes[n].core;
        dsm_tick(core, world->now);
        must(world,
             dsm_segment_resize(core, SEGMENT, kept, world->generation) == ERR_OK &&
                 dsm_segment_resize(core, SEGMENT, world->pages, world->generation) == ERR_OK,
             "a segment is cut");
        world_after(&world->nodes[n]);
    }
    for (uint32_t page = kept; page < world->pages; page++) {
        world->version[page] = 0;
        world->doomed[page] = false;
    }
    world_run(world, world->now + 100 * MILLISECOND);
}

static void read_all(struct world *world)
{
    for (uint32_t page = 0; page < world->pages; page++)
        for (uint32_t n = 1; n <= world->count; n++) {
            struct cache *cache = &world->nodes[n].caches[page % WORLD_CACHES];
            cache_access(cache, page, page % 3 == n % 3);
            world_run(world, world->now + 100 * MILLISECOND);
            must(world, !cache->waits, "every page can be had, or is an error");
        }
}

static void count_run(const struct world *world)
{
    totals.accesses += accesses(world);
    totals.messages += world->messages;
    totals.lost += world->lost_pages;
    totals.errors += world->data_errors;
    for (uint32_t n = 1; n <= world->count; n++) {
        struct dsm_counters counters;
        if (dsm_segment_counters(world->nodes[n].core, SEGMENT, &counters) == ERR_OK)
            totals.taken += counters.taken_over;
    }
    for (uint32_t n = 1; n <= world->count; n++)
        for (unsigned c = 0; c < WORLD_CACHES; c++)
            totals.faults += world->nodes[n].caches[c].faults;
}

static void begin_programs(struct world *world)
{
    world->automatic = true;
    for (uint32_t n = 1; n <= world->count; n++)
        for (unsigned c = 0; c < WORLD_CACHES; c++) {
            struct cache *cache = &world->nodes[n].caches[c];
            if (world->nodes[n].core != NULL && !cache->waits)
                cache_access(cache, world_random(world, world->pages), false);
        }
}

// All nodes but the last may keep little: some kilobytes, of which what is known of pages is a
// part.
static void bound_memory(struct world *world)
{
    world->memory_bytes = 4096 + world_random(world, 24576);
    for (uint32_t n = 1; n < world->count; n++)
        world->nodes[n].core->settings.memory_bytes = world->memory_bytes;
}

static void run(uint64_t seed)
{
    uint32_t count = 1 + (uint32_t)(dsm_mix(seed) % 5);
    uint32_t pages = 1 + (uint32_t)(dsm_mix(seed + 1) % (seed % 2 == 0 ? 4 : WORLD_PAGES));
    struct world *world = world_begin(count, pages, seed);

    world->writes_percent = 5 + world_random(world, 70);
    world->evictions = world_random(world, 200);
    world->in_order_percent = world_random(world, 2) * world_random(world, 100);
    if (seed % 3 == 0)
        bound_memory(world);
    must(world, world_settle(world), "the nodes agree on their first view");
    for (unsigned phase = 0; phase < 4; phase++) {
        bool faulty = phase % 2 == 1;
        uint64_t until = accesses(world) + settings.actions, end = world->now + 60000 * MILLISECOND;
        set_faults(world, faulty);
        begin_programs(world);
        while (accesses(world) < until && world->now < end) {
            world_run(world, world->now + MILLISECOND);
            if (faulty && world_random(world, 60) == 0)
                fault(world);
        }
        rest(world);
        cut_segment(world);
    }
    read_all(world);
    count_run(world);
    if (settings.verbose != 0)
        printf("# seed %lu: %u nodes, %u pages, %lu accesses, %lu messages, %lu lost\n",
               (unsigned long)seed, count, pages, (unsigned long)accesses(world),
               (unsigned long)world->messages, (unsigned long)world->lost_pages);
    world_end(world);
}

static bool option(const char *name, const char *value)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--seed", &settings.seed},
                   {"--runs", &settings.runs},
                   {"--actions", &settings.actions},
                   {"--seconds", &settings.seconds},
                   {"--verbose", &settings.verbose}};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(name, options[i].name) == 0 && value != NULL) {
            *options[i].value = strtoull(value, NULL, 10);
            return true;
        }
    return false;
}

int main(int count, char **arguments)
{
    time_t begin = time(NULL);
    uint64_t done = 0;

    for (int i = 1; i < count; i += 2)
        if (!option(arguments[i], arguments[i + 1])) {
            fprintf(stderr, "sim: '%s' is no option with a number\n", arguments[i]);
            return 2;
        }
    while (done < settings.runs &&
           (settings.seconds == 0 || (uint64_t)(time(NULL) - begin) < settings.seconds))
        run(settings.seed + done++);
    printf("ok 1 - %lu runs from seed %lu\n"
           "# %lu accesses, %lu of them faults, %lu messages, %lu nodes killed, %lu cuts, "
           "%lu pages lost, %lu accesses told so, %lu pages taken over for want of memory\n1..1\n",
           (unsigned long)done, (unsigned long)settings.seed, (unsigned long)totals.accesses,
           (unsigned long)totals.faults, (unsigned long)totals.messages,
           (unsigned long)totals.kills, (unsigned long)totals.cuts, (unsigned long)totals.lost,
           (unsigned long)totals.errors, (unsigned long)totals.taken);
    return 0;
}
