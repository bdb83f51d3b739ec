// SPDX-License-Identifier: BSD-2-Clause
// What tests of shared pages have in common: a world of nodes (tests/dsm/world.h) and one cache of
// each.
#pragma once

#include "tests/dsm/world.h"
#include "tap.h"

static struct world *world;

static inline struct cache *cache_of(uint32_t node)
{
    return &world->nodes[node].caches[0];
}

// Waits for its end. False: an error, or no end in five seconds.
static inline bool access_page(uint32_t node, uint32_t page, bool write)
{
    struct cache *cache = cache_of(node);

    cache_access(cache, page, write);
    for (unsigned i = 0; i < 5000 && cache->waits; i++)
        world_run(world, world->now + MILLISECOND);
    return !cache->waits && !cache->failed;
}

static inline struct dsm_counters counters(uint32_t node)
{
    struct dsm_counters result = {0};

    (void)dsm_segment_counters(world->nodes[node].core, SEGMENT, &result);
    return result;
}

// Nodes with a segment of 64 pages.
static inline void begin(uint32_t count)
{
    world = world_begin(count, 64, 1);
    tap_ok(world_settle(world), "the nodes agree on a view");
}
