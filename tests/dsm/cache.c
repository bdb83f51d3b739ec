// SPDX-License-Identifier: BSD-2-Clause
// The world's caches, as a kernel's: they get pages, give them back when they are asked
// to or when they need room; and the accesses of programs, judged.
#include "tests/dsm/world.h"

#include <stdlib.h>
#include <string.h>

#define WORDS    (DSM_PAGE_BYTES / 8)
#define THINK_NS (30000u)

static void contents(uint64_t words[WORDS], uint32_t page, uint64_t version)
{
    if (version == 0) {
        memset(words, 0, DSM_PAGE_BYTES);
        return;
    }
    for (uint32_t i = 1; i < WORDS; i++)
        words[i] = (version + i) * 0x9e3779b97f4a7c15ull + page;
    words[0] = version;
}

// The checksum is all that is there: each word follows from the first.
static bool is_sound(const uint64_t words[WORDS], uint32_t page)
{
    if (words[0] == 0)
        return words[1] == 0 && words[WORDS - 1] == 0;
    for (uint32_t i = 1; i < WORDS; i++)
        if (words[i] != (words[0] + i) * 0x9e3779b97f4a7c15ull + page)
            return false;
    return true;
}

bool world_has_copy(const struct world *world, uint64_t view, uint64_t number)
{
    for (uint32_t n = 1; n <= world->count; n++) {
        const struct dsm *core = world->nodes[n].core;
        const struct dsm_segment *segment = core != NULL ? segment_find(core, SEGMENT) : NULL;
        const struct page *page = segment != NULL ? page_find(segment, number) : NULL;
        if (page != NULL && core->place.view.number == view && page->access != DSM_NONE &&
            page_has_data(page))
            return true;
    }
    return false;
}

// Nobody who knew whether it was ever written is left: see dsm/core/place.c.
static bool is_in_doubt(const struct world *world, uint32_t number)
{
    uint32_t bucket = place_bucket(SEGMENT, number);

    if (world->now <= world->doubt_until && (world->doubt[bucket / 64] & bit(bucket % 64)) != 0)
        return world->failures > 1;
    for (uint32_t n = 1; n <= world->count; n++) {
        const struct dsm *core = world->nodes[n].core;
        const struct dsm_segment *segment = core != NULL ? segment_find(core, SEGMENT) : NULL;
        if (segment != NULL && (segment->doubt[bucket / 64] & bit(bucket % 64)) != 0)
            return world->failures > 1;
    }
    return false;
}

// --- Accesses -----------------------------------------------------------------------------

static void go_on(struct world *world, struct event *event);

static void finished(struct cache *cache)
{
    struct world *world = cache->node->world;

    cache->waits = false;
    cache->accesses++;
    if (world->finished != NULL)
        world->finished(cache);
    if (world->automatic) {
        struct event *event = world_event(
            world, cache->node, world->now + 1 + world_random(world, THINK_NS), go_on, NULL, 0);
        event->cache = cache;
    }
}

// This is the moment at which the access is done.
static void perform(struct cache *cache)
{
    struct world *world = cache->node->world;
    uint32_t page = cache->page;
    uint64_t *words = cache->data[page];

    must(world, world->lies || is_sound(words, page), "a page is whole");
    must(world, world->lies || words[0] == world->version[page],
         "an access sees what was written last");
    cache->seen = words[0];
    cache->failed = false;
    if (cache->writes) {
        world->version[page] = cache->wrote = ++world->last_version;
        contents(words, page, world->version[page]);
        cache->changed[page] = true;
    }
    finished(cache);
}

static void to_core(struct cache *cache, void (*happen)(struct world *, struct event *),
                    uint64_t number, uint64_t page, uint64_t more, uint64_t flags)
{
    struct world *world = cache->node->world;
    uint64_t at = world->now + 1 + world_random(world, (uint32_t)world->faults.cache_delay_ns);

    if (at <= cache->to_core_at)
        at = cache->to_core_at + 1;
    cache->to_core_at = at;
    struct event *event =
        world_event(world, cache->node, at, happen, (flags & 4) != 0 ? cache->data[page] : NULL,
                    (flags & 4) != 0 ? DSM_PAGE_BYTES : 0);
    event->cache = cache;
    event->numbers[0] = number;
    event->numbers[1] = page;
    event->numbers[2] = more;
    event->numbers[3] = flags;
}

static void requested(struct world *world, struct event *event)
{
    struct dsm *core = event->node->core;

    dsm_tick(core, world->now);
    if (event->numbers[3] != 0)
        dsm_cache_unlock(event->cache->core, event->numbers[0], event->numbers[1]);
    else
        dsm_cache_request(event->cache->core, event->numbers[0], event->numbers[1],
                          1 + world_random(world, 8),
                          event->numbers[2] != 0 ? DSM_WRITE : DSM_READ);
    world_after(event->node);
}

void cache_access(struct cache *cache, uint32_t page, bool write)
{
    enum dsm_access wanted = write ? DSM_WRITE : DSM_READ;

    cache->page = page;
    cache->writes = write;
    cache->since = cache->node->world->now;
    if (cache->access[page] >= wanted) {
        perform(cache);
        return;
    }
    cache->waits = true;
    cache->faults++;
    to_core(cache, requested, ++cache->sequence, page, write,
            write && cache->access[page] == DSM_READ ? 1 : 0);
}

static void go_on(struct world *world, struct event *event)
{
    struct cache *cache = event->cache;

    if (!world->automatic || cache->waits)
        return;
    if (world_random(world, 1000) < world->evictions)
        cache_evict(cache, world_random(world, world->pages));
    uint32_t page = (cache->page + 1) % world->pages;
    if (world_random(world, 100) >= world->in_order_percent)
        page = world_random(world, world->pages);
    cache_access(cache, page, world_random(world, 100) < world->writes_percent);
}

// --- From the core --------------------------------------------------------------------------

static struct event *to_cache(struct cache *cache, void (*happen)(struct world *, struct event *),
                              const void *data)
{
    struct world *world = cache->node->world;
    uint64_t at = world->now + 1 + world_random(world, (uint32_t)world->faults.cache_delay_ns);

    if (at <= cache->from_core_at)
        at = cache->from_core_at + 1;
    cache->from_core_at = at;
    struct event *event =
        world_event(world, cache->node, at, happen, data, data != NULL ? DSM_PAGE_BYTES : 0);
    event->cache = cache;
    return event;
}

// The request that was waited for has been answered.
static void answered(struct cache *cache, uint64_t sequence, uint64_t page)
{
    if (!cache->waits || sequence != cache->sequence || page != cache->page)
        return;
    must(cache->node->world, cache->access[page] >= (cache->writes ? DSM_WRITE : DSM_READ),
         "an answer is enough");
    perform(cache);
}

static void provided(struct world *world, struct event *event)
{
    struct cache *cache = event->cache;
    uint64_t page = event->numbers[1];

    must(world, cache->access[page] == DSM_NONE, "what is there is not provided again");
    if (event->bytes != 0)
        memcpy(cache->data[page], event->data, DSM_PAGE_BYTES);
    else
        memset(cache->data[page], 0, DSM_PAGE_BYTES);
    cache->access[page] = (enum dsm_access)event->numbers[2];
    cache->changed[page] = false;
    answered(cache, event->numbers[0], page);
}

static void provide(void *context, void *owner, uint64_t sequence, uint64_t page, const void *data,
                    enum dsm_access access)
{
    (void)context;
    struct event *event = to_cache(owner, provided, data);
    event->numbers[0] = sequence;
    event->numbers[1] = page;
    event->numbers[2] = access;
}

static void granted(struct world *world, struct event *event)
{
    struct cache *cache = event->cache;
    uint64_t page = event->numbers[1];

    must(world, cache->access[page] == DSM_READ, "who may write now has the page");
    cache->access[page] = DSM_WRITE;
    answered(cache, event->numbers[0], page);
}

static void grant(void *context, void *owner, uint64_t sequence, uint64_t page)
{
    (void)context;
    struct event *event = to_cache(owner, granted, NULL);
    event->numbers[0] = sequence;
    event->numbers[1] = page;
}

static void failed(struct world *world, struct event *event)
{
    struct cache *cache = event->cache;
    corvus_error_t reason = (corvus_error_t)event->numbers[2];

    if (!cache->waits || event->numbers[0] != cache->sequence)
        return;
    must(world,
         world->lies || reason == ERR_FAULT || reason == ERR_PEER_DIED ||
             (reason == ERR_NO_MEMORY && world->memory_bytes != 0),
         "an error that can be");
    must(world,
         world->lies || reason != ERR_FAULT || world->doomed[cache->page] ||
             is_in_doubt(world, cache->page),
         "only pages that nobody has are errors");
    must(world, world->lies || reason != ERR_PEER_DIED || world->failures != 0,
         "a majority goes on");
    world->data_errors += reason == ERR_FAULT;
    cache->failed = true;
    cache->reason = reason;
    cache->errors++;
    finished(cache);
}

static void fail(void *context, void *owner, uint64_t sequence, uint64_t page,
                 corvus_error_t reason)
{
    (void)context;
    struct event *event = to_cache(owner, failed, NULL);
    event->numbers[0] = sequence;
    event->numbers[1] = page;
    event->numbers[2] = (uint64_t)reason;
}

// --- Giving back ----------------------------------------------------------------------------

enum { KEPT = 1, CHANGED = 2, DATA = 4 };

static void returned(struct world *world, struct event *event);
static void done(struct world *world, struct event *event);

static bool gives_back(const struct event *event)
{
    return event->happen == returned || event->happen == done;
}

static void give_to_core(const struct event *event)
{
    if (event->happen == returned)
        dsm_cache_return(event->cache->core, event->numbers[0], event->numbers[1], event->data,
                         (event->numbers[3] & KEPT) != 0, (event->numbers[3] & CHANGED) != 0);
    else
        dsm_cache_done(event->cache->core, event->numbers[0], event->numbers[1],
                       event->numbers[2] != 0);
}

// What a cache says next, before anything else happens, it says with the same message.
static void give_together(struct world *world, struct event *event)
{
    struct dsm *core = event->node->core;
    struct event *more;

    dsm_tick(core, world->now);
    dsm_begin(core);
    give_to_core(event);
    while ((more = world_take_next(world, event->cache, gives_back)) != NULL) {
        give_to_core(more);
        free(more);
    }
    dsm_end(core);
    world_after(event->node);
}

static void returned(struct world *world, struct event *event)
{
    give_together(world, event);
}

static void done(struct world *world, struct event *event)
{
    give_together(world, event);
}

static void give_back(struct cache *cache, uint64_t number, uint64_t page, bool keep)
{
    uint64_t flags = DATA | (keep ? KEPT : 0) | (cache->changed[page] ? CHANGED : 0);

    cache->access[page] = keep ? DSM_READ : DSM_NONE;
    cache->changed[page] = false;
    to_core(cache, returned, number, page, 0, flags);
}

void cache_evict(struct cache *cache, uint32_t page)
{
    // Who waits for more access keeps the page.
    if (cache->access[page] != DSM_NONE && !(cache->waits && cache->page == page))
        give_back(cache, 0, page, false);
}

static void demanded(struct world *world, struct event *event)
{
    struct cache *cache = event->cache;
    uint64_t page = event->numbers[1];
    // A cache may also drop what it could keep.
    bool keep = event->numbers[2] == DSM_CLEAN && world_random(world, 8) != 0;

    if (cache->silent && event->numbers[2] == DSM_CLEAN) {
        to_core(cache, done, event->numbers[0], page, 1, 0);
        return;
    }
    if (cache->waits && cache->page == page && cache->access[page] != DSM_NONE)
        keep = event->numbers[2] == DSM_CLEAN;
    if (cache->access[page] == DSM_NONE)
        keep = false;
    else
        give_back(cache, event->numbers[0], page, keep);
    to_core(cache, done, event->numbers[0], page, keep, 0);
}

static bool demand(void *context, void *owner, uint64_t number, uint64_t page, enum dsm_demand what)
{
    const struct cache *cache = owner;

    (void)context;
    // Where memory is short, some messages find none.
    if (cache->node->world->memory_bytes != 0 && world_random(cache->node->world, 30) == 0)
        return false;
    struct event *event = to_cache(owner, demanded, NULL);
    event->numbers[0] = number;
    event->numbers[1] = page;
    event->numbers[2] = what;
    return true;
}

const struct dsm_operations world_operations = {
    .provide = provide, .grant = grant, .fail = fail, .demand = demand};

// --- Life --------------------------------------------------------------------------------------

static void begin_program(struct world *world, struct event *event)
{
    (void)world;
    if (!event->cache->waits)
        finished(event->cache);
}

void cache_open(struct cache *cache)
{
    struct world *world = cache->node->world;

    must(world, dsm_cache_open(cache->node->core, SEGMENT, cache, &cache->core) == ERR_OK,
         "a cache is opened");
    memset(cache->access, 0, sizeof cache->access);
    memset(cache->changed, 0, sizeof cache->changed);
    cache->waits = false;
    cache->to_core_at = cache->from_core_at = 0;
    struct event *event = world_event(world, cache->node, world->now + 1, begin_program, NULL, 0);
    event->cache = cache;
}

void cache_close(struct cache *cache)
{
    memset(cache->access, 0, sizeof cache->access);
    cache->waits = false;
    cache->core = NULL;
}
