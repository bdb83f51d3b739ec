// SPDX-License-Identifier: BSD-2-Clause
// Cache managers of this node and the core: a request of theirs is one of the core's caches, an
// answer of the core's is a message of the pager. The core gives pages one by one, and asks for
// them one by one; those of one answer are joined, for a request has one answer, and so are
// neighbours that a manager is asked for at once.
#include "dsm/server/pages.h"

#include <corvus/types.h>

#include <stdlib.h>
#include <string.h>

// What a manager was asked for by one message: pages that lie one behind the other, and the core's
// number of each.
struct demand {
    struct demand *next;
    uint64_t sequence, page;
    enum dsm_demand what;
    unsigned count;
    uint64_t numbers[DSM_BLOCK_PAGES];
};

struct cache {
    struct dsm_cache *core;
    struct memory_manager *manager;
    struct demand *demands;
    struct demand *asking; // not asked yet; NULL: none
    struct cache *next_asking;
    uint64_t told; // PAGER_CACHE_*
    bool idle;     // nobody uses it any more, it says
};

static struct cache *asking; // those with something that is not asked yet

struct cache_counts pages_cache_counts;

// The answer that is being joined.
static struct {
    struct cache *cache; // NULL: none
    uint64_t sequence, page;
    unsigned count;
    bool write, zero;
    uint8_t *data; // DSM_BLOCK_PAGES pages
} joined;

static void answer(void)
{
    struct cache *cache = joined.cache;
    uint64_t lock = joined.write ? 0 : ACCESS_WRITE;
    size_t bytes = (size_t)joined.count * DSM_PAGE_BYTES;

    if (cache == NULL)
        return;
    joined.cache = NULL;
    if (joined.zero)
        (void)memory_unavailable(cache->manager, joined.sequence, bytes, lock, PAGER_PRECIOUS);
    else
        (void)memory_provide(cache->manager, joined.sequence, joined.data, bytes, lock,
                             PAGER_PRECIOUS);
}

// --- What the core asks for ----------------------------------------------------------------------

static void stop_asking(struct cache *cache)
{
    struct cache **place = &asking;

    if (cache->asking == NULL)
        return;
    while (*place != cache)
        place = &(*place)->next_asking;
    *place = cache->next_asking;
    cache->asking = NULL;
}

// False: there was no memory for the question.
static bool ask(struct cache *cache)
{
    struct demand *one = cache->asking;
    corvus_error_t error;

    if (one == NULL)
        return true;
    uint64_t offset = one->page * DSM_PAGE_BYTES, length = (uint64_t)one->count * DSM_PAGE_BYTES;
    if (one->what == DSM_CLEAN)
        error = memory_lock(cache->manager, offset, length, ACCESS_WRITE,
                            PAGER_RETURN | PAGER_COMPLETE, &one->sequence);
    else
        error = memory_flush(cache->manager, offset, length, &one->sequence);
    if (error == ERR_NO_MEMORY)
        return false;
    stop_asking(cache);
    // A manager that cannot be reached ends, and with it what was asked of it.
    if (error != ERR_OK) {
        free(one);
        return true;
    }
    pages_cache_counts.demanded += one->count;
    pages_cache_counts.demand_messages++;
    one->next = cache->demands;
    cache->demands = one;
    return true;
}

static bool demand(void *context, void *owner, uint64_t number, uint64_t page, enum dsm_demand what)
{
    struct cache *cache = owner;
    struct demand *one = cache->asking;

    (void)context;
    // What a manager hears is in the core's order; of two managers it need not be.
    if (joined.cache == cache)
        answer();
    if (one != NULL &&
        (one->what != what || one->page + one->count != page || one->count == DSM_BLOCK_PAGES)) {
        if (!ask(cache))
            return false;
        one = NULL;
    }
    if (one == NULL) {
        one = calloc(1, sizeof *one);
        if (one == NULL)
            return false;
        one->page = page;
        one->what = what;
        cache->asking = one;
        cache->next_asking = asking;
        asking = cache;
    }
    one->numbers[one->count++] = number;
    return true;
}

// --- The core's answers --------------------------------------------------------------------------

bool pages_ask_managers(void)
{
    struct cache *next;

    for (struct cache *cache = asking; cache != NULL; cache = next) {
        next = cache->next_asking;
        (void)ask(cache);
    }
    return asking == NULL;
}

static void flush(void *context)
{
    (void)context;
    answer();
    (void)pages_ask_managers();
}

// What was said before goes first.
static void say_all(struct cache *cache)
{
    answer();
    (void)ask(cache);
}

static void begin_answer(struct cache *cache, uint64_t sequence, uint64_t page, bool write)
{
    say_all(cache);
    joined.cache = cache;
    joined.sequence = sequence;
    joined.page = page;
    joined.count = 0;
    joined.write = write;
    joined.zero = true;
}

static void provide(void *context, void *owner, uint64_t sequence, uint64_t page, const void *data,
                    enum dsm_access access)
{
    struct cache *cache = owner;

    if (joined.data == NULL)
        joined.data = malloc(DSM_BLOCK_PAGES * DSM_PAGE_BYTES);
    if (joined.cache != cache || joined.sequence != sequence ||
        page != joined.page + joined.count || joined.count == DSM_BLOCK_PAGES) {
        begin_answer(cache, sequence, page, access == DSM_WRITE);
    }
    (void)context;
    // All of one answer have the same access; who has less than the core gave asks again.
    joined.write = joined.write && access == DSM_WRITE;
    if (joined.data == NULL) {
        joined.cache = NULL;
        (void)memory_error(cache->manager, sequence, ERR_NO_MEMORY);
        return;
    }
    uint8_t *to = joined.data + (size_t)joined.count++ * DSM_PAGE_BYTES;
    if (data == NULL) {
        memset(to, 0, DSM_PAGE_BYTES);
    } else {
        memcpy(to, data, DSM_PAGE_BYTES);
        joined.zero = false;
    }
}

static void grant(void *context, void *owner, uint64_t sequence, uint64_t page)
{
    struct cache *cache = owner;

    (void)context, (void)page;
    say_all(cache);
    (void)memory_grant(cache->manager, sequence, 0);
}

static void fail(void *context, void *owner, uint64_t sequence, uint64_t page,
                 corvus_error_t reason)
{
    struct cache *cache = owner;

    (void)context, (void)page;
    say_all(cache);
    (void)memory_error(cache->manager, sequence, reason);
}

const struct dsm_operations pages_answers = {
    .provide = provide, .grant = grant, .fail = fail, .demand = demand, .flush = flush};

// --- What managers say ---------------------------------------------------------------------------

static void tell_time(void)
{
    dsm_tick(pages_core, clock_now_ns());
}

static bool follow(struct memory_manager *manager, const struct segment *segment)
{
    struct cache *cache = memory_manager_context(manager);
    uint64_t what = segment->named ? PAGER_CACHE_KEEP : PAGER_CACHE_IDLE;
    bool told = cache->told == what || memory_cache(manager, what) == ERR_OK;

    if (told)
        cache->told = what;
    return told;
}

bool pages_caches_follow(const struct segment *segment)
{
    struct memory_manager *manager = NULL;
    bool told = true;

    while ((manager = memory_manager_next(segment->object, manager)) != NULL)
        told &= follow(manager, segment);
    return told;
}

static corvus_error_t manager_init(struct memory_manager *manager)
{
    const struct segment *segment = memory_object_context(memory_manager_object(manager));
    struct cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return ERR_NO_MEMORY;
    cache->manager = manager;
    corvus_error_t error = dsm_cache_open(pages_core, segment->number, cache, &cache->core);
    if (error != ERR_OK) {
        free(cache);
        return error;
    }
    memory_manager_set_context(manager, cache);
    (void)follow(manager, segment); // untold it keeps less than it may
    return ERR_OK;
}

static void data_request(struct memory_manager *manager, const struct memory_request *request)
{
    struct cache *cache = memory_manager_context(manager);

    tell_time();
    dsm_cache_request(cache->core, request->sequence, request->offset / DSM_PAGE_BYTES,
                      (uint32_t)(request->length / DSM_PAGE_BYTES),
                      request->access & ACCESS_WRITE ? DSM_WRITE : DSM_READ);
}

static void data_unlock(struct memory_manager *manager, const struct memory_request *request)
{
    struct cache *cache = memory_manager_context(manager);

    tell_time();
    if (request->length != DSM_PAGE_BYTES)
        (void)memory_error(manager, request->sequence, ERR_INVALID_ARGUMENT);
    else if (request->access & ACCESS_WRITE)
        dsm_cache_unlock(cache->core, request->sequence, request->offset / DSM_PAGE_BYTES);
    else
        (void)memory_grant(manager, request->sequence, ACCESS_WRITE); // it reads already
}

// NULL: the manager was not asked that.
static struct demand **find_demand(struct cache *cache, uint64_t sequence)
{
    struct demand **place = &cache->demands;

    while (*place != NULL && (*place)->sequence != sequence)
        place = &(*place)->next;
    return *place == NULL ? NULL : place;
}

// 0: its own wish.
static uint64_t number_of(const struct demand *demand, uint64_t page)
{
    bool asked = demand != NULL && page >= demand->page && page - demand->page < demand->count;

    return asked ? demand->numbers[page - demand->page] : 0;
}

// What it returns together goes on together.
static void data_write(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                       const void *data, size_t bytes, bool kept, bool changed)
{
    struct cache *cache = memory_manager_context(manager);
    struct demand **place = find_demand(cache, sequence);

    tell_time();
    pages_cache_counts.returned += bytes / DSM_PAGE_BYTES;
    pages_cache_counts.return_messages++;
    dsm_begin(pages_core);
    for (size_t at = 0; at < bytes; at += DSM_PAGE_BYTES) {
        uint64_t page = (offset + at) / DSM_PAGE_BYTES;
        dsm_cache_return(cache->core, number_of(place != NULL ? *place : NULL, page), page,
                         (const uint8_t *)data + at, kept, changed);
    }
    dsm_end(pages_core);
}

static void lock_completed(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                           uint64_t length, uint64_t held)
{
    struct cache *cache = memory_manager_context(manager);
    struct demand **place = find_demand(cache, sequence), *demand;

    (void)offset, (void)length; // as they were asked
    if (place == NULL)
        return;
    demand = *place;
    *place = demand->next;
    tell_time();
    dsm_begin(pages_core);
    for (unsigned i = 0; i < demand->count; i++)
        dsm_cache_done(cache->core, demand->numbers[i], demand->page + i, (held >> i & 1) != 0);
    dsm_end(pages_core);
    free(demand);
}

// What is in no use on any node, and has no name, ends, and the pages of all caches with it.
static void idle(struct memory_manager *manager)
{
    const struct memory_object *object = memory_manager_object(manager);
    struct segment *segment = memory_object_context(object);
    struct cache *cache = memory_manager_context(manager);

    cache->idle = cache->told == PAGER_CACHE_IDLE;
    manager = NULL;
    while ((manager = memory_manager_next(object, manager)) != NULL) {
        cache = memory_manager_context(manager);
        if (!cache->idle)
            return;
    }
    pages_idle(segment);
}

static void close_cache(struct cache *cache)
{
    if (joined.cache == cache)
        joined.cache = NULL;
    struct demand *unasked = cache->asking;
    stop_asking(cache);
    free(unasked);
    while (cache->demands != NULL) {
        struct demand *demand = cache->demands;
        cache->demands = demand->next;
        free(demand);
    }
    free(cache);
}

static void terminate(struct memory_manager *manager, bool died)
{
    struct cache *cache = memory_manager_context(manager);

    (void)died;
    if (cache == NULL)
        return;
    tell_time();
    dsm_cache_close(cache->core);
    close_cache(cache);
}

void pages_cache_closed(struct memory_manager *manager)
{
    terminate(manager, true);
}

const struct memory_object_functions pages_functions = {
    .init = manager_init,
    .data_request = data_request,
    .data_write = data_write,
    .data_unlock = data_unlock,
    .lock_completed = lock_completed,
    .idle = idle,
    .terminate = terminate,
};
