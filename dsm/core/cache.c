// SPDX-License-Identifier: BSD-2-Clause
// Towards the caches of this node: their requests, what they give back, and what they
// are asked for. Nothing that a cache says is believed beyond what it was given.
#include "dsm/core/internal.h"

#include <stdlib.h>

static uint8_t bit_of(const struct dsm_cache *cache)
{
    return (uint8_t)(1u << cache->number);
}

// --- To a cache ---------------------------------------------------------------------------

void cache_demand_again(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;

    page->unasked_at = dsm->now;
    for (unsigned i = 0; i < DSM_CACHES_MAX; i++)
        if ((page->unasked & 1u << i) != 0 &&
            dsm->operations->demand(dsm->context, page->segment->caches[i]->owner,
                                    page->demand_number, page->link.key, page->demand))
            page->unasked &= (uint8_t) ~(1u << i);
}

void cache_demand(struct page *page, uint8_t caches, enum dsm_demand what)
{
    page->awaited = page->unasked = caches;
    page->demand = what;
    page->demand_number = ++page->segment->dsm->last_demand;
    cache_demand_again(page);
    if (page->unasked != 0)
        page_watch(page);
}

void cache_fail(struct page *page, struct waiter *waiter, corvus_error_t reason)
{
    struct dsm *dsm = page->segment->dsm;

    page->segment->counters.failed++;
    dsm->operations->fail(dsm->context, waiter->cache->owner, waiter->sequence, page->link.key,
                          reason);
    free(waiter);
}

static void count_answer(struct page *page, const struct waiter *waiter)
{
    struct dsm_counters *counters = &page->segment->counters;

    if (waiter->remote)
        counters->wait_ns += page->segment->dsm->now - waiter->since;
    else
        counters->local++;
    if (page->prefetched)
        counters->prefetch_used++;
    page->prefetched = false;
}

// A cache that has the page to itself may write at once, if the node may.
static enum dsm_access access_to_give(const struct page *page, const struct waiter *waiter)
{
    if (waiter->access == DSM_WRITE)
        return DSM_WRITE;
    return page->access == DSM_WRITE && page->readers == 0 && page->wish.kind == 0 ? DSM_WRITE
                                                                                   : DSM_READ;
}

static void give(struct page *page, const struct waiter *waiter, enum dsm_access access)
{
    struct dsm *dsm = page->segment->dsm;
    uint8_t self = bit_of(waiter->cache);

    dsm->operations->provide(dsm->context, waiter->cache->owner, waiter->sequence, page->link.key,
                             page_bytes(page), access);
    if (access == DSM_WRITE) {
        page->writer = self;
        page_drop_backing(page);
    } else {
        page->readers |= self;
        // The cache gives it back when it is wanted.
        if (page->data != NULL && dsm->stored > dsm->settings.spare_pages)
            page_drop_backing(page);
    }
}

// Neighbours that were fetched ahead come along, if the cache welcomes them.
static void give_ahead(struct page *page, const struct waiter *waiter, enum dsm_access access)
{
    for (unsigned i = 1; i < waiter->count && i < DSM_BLOCK_PAGES; i++) {
        struct page *next = page_find(page->segment, page->link.key + i);
        if (next == NULL || next->access < access || next->backing == BACKING_NONE ||
            (next->readers | next->writer | next->awaited) != 0 || next->waiters != NULL ||
            next->wish.kind != 0)
            return;
        if (next->prefetched)
            page->segment->counters.prefetch_used++;
        next->prefetched = false;
        give(next, waiter, access);
    }
}

void cache_provide(struct page *page, struct waiter *waiter)
{
    struct dsm *dsm = page->segment->dsm;
    uint8_t self = bit_of(waiter->cache);

    count_answer(page, waiter);
    if (waiter->unlock && (page->readers & self) != 0) {
        dsm->operations->grant(dsm->context, waiter->cache->owner, waiter->sequence,
                               page->link.key);
        page->readers = 0;
        page->writer = self;
        page_drop_backing(page);
    } else {
        enum dsm_access access = access_to_give(page, waiter);
        give(page, waiter, access);
        if (!waiter->unlock)
            give_ahead(page, waiter, access);
    }
    free(waiter);
}

// --- From a cache --------------------------------------------------------------------------

corvus_error_t dsm_cache_open(struct dsm *dsm, uint64_t number, void *owner,
                              struct dsm_cache **cache)
{
    struct dsm_segment *segment = segment_find(dsm, number);

    if (segment == NULL || !segment->open)
        return ERR_NOT_FOUND;
    for (unsigned i = 0; i < DSM_CACHES_MAX; i++) {
        if (segment->caches[i] != NULL)
            continue;
        *cache = calloc(1, sizeof **cache);
        if (*cache == NULL)
            return ERR_NO_MEMORY;
        **cache = (struct dsm_cache){.segment = segment, .owner = owner, .number = (uint8_t)i};
        segment->caches[i] = *cache;
        return ERR_OK;
    }
    return ERR_RIGHTS_FULL;
}

static void leave_page(struct page *page, void *argument)
{
    const struct dsm_cache *cache = argument;
    uint8_t self = bit_of(cache);

    for (struct waiter **place = &page->waiters; *place != NULL;) {
        struct waiter *waiter = *place;
        if (waiter->cache != cache) {
            place = &waiter->next;
            continue;
        }
        *place = waiter->next;
        free(waiter);
    }
    if (((page->readers | page->writer | page->awaited) & self) != 0) {
        page->readers &= (uint8_t)~self;
        page->writer &= (uint8_t)~self;
        page->awaited &= (uint8_t)~self;
        page->unasked &= (uint8_t)~self;
        if (!page->owner && !page_has_data(page))
            page->access = DSM_NONE;
    }
    page_run(page);
}

void dsm_cache_close(struct dsm_cache *cache)
{
    struct dsm_segment *segment = cache->segment;
    struct dsm *dsm = segment->dsm;

    dsm_enter(dsm);
    pages_each(segment, leave_page, cache);
    segment->caches[cache->number] = NULL;
    free(cache);
    dsm_leave(dsm);
}

// How many pages to ask other nodes for: twice as many each time that it goes on where the last
// request ended, half as many when not.
static uint32_t look_ahead(struct dsm_segment *segment, uint64_t page, bool write)
{
    struct ahead *ahead = write ? &segment->writing : &segment->reading;
    uint32_t window = ahead->window != 0 ? ahead->window : 1;

    if (page == ahead->next_expected)
        window = window < DSM_BLOCK_PAGES ? window * 2 : DSM_BLOCK_PAGES;
    else
        window = window > 1 ? window / 2 : 1;
    ahead->window = window;
    uint32_t in_block = DSM_BLOCK_PAGES - (uint32_t)(page % DSM_BLOCK_PAGES);
    uint32_t count = window < in_block ? window : in_block;
    if (count > segment->pages - page)
        count = (uint32_t)(segment->pages - page);
    // Fewer than these are not given ahead for writing.
    ahead->next_expected = page + (write && count < WRITES_MIN ? 1 : count);
    return count;
}

// Whether the page can be had without memory, or there is some, here or elsewhere.
static bool has_place(const struct dsm_segment *segment, uint64_t number)
{
    const struct page *page = page_find(segment, number);

    return (page != NULL && page->access != DSM_NONE) || !store_is_hopeless(segment->dsm);
}

static void ask(struct dsm_cache *cache, uint64_t sequence, uint64_t number, uint32_t count,
                enum dsm_access access, bool unlock)
{
    struct dsm_segment *segment = cache->segment;
    struct dsm *dsm = segment->dsm;
    struct page *page = NULL;
    struct waiter *waiter = NULL, **place;
    corvus_error_t reason = ERR_NO_MEMORY;

    if (number >= segment->pages)
        reason = ERR_INVALID_RANGE;
    else if (dsm->ended)
        reason = ERR_PEER_DIED;
    else if (has_place(segment, number) && (page = page_make(segment, number)) != NULL)
        waiter = malloc(sizeof *waiter);
    if (waiter == NULL) {
        segment->counters.failed++;
        dsm->operations->fail(dsm->context, cache->owner, sequence, number, reason);
        return;
    }
    *waiter = (struct waiter){.cache = cache,
                              .sequence = sequence,
                              .since = dsm->now,
                              .count = count,
                              .access = access,
                              .unlock = unlock};
    if (page->access == DSM_NONE && page->requested == DSM_NONE)
        page->requested_count = look_ahead(segment, number, access == DSM_WRITE);
    for (place = &page->waiters; *place != NULL; place = &(*place)->next)
        ;
    *place = waiter;
    page_run(page);
}

void dsm_cache_request(struct dsm_cache *cache, uint64_t sequence, uint64_t page, uint32_t count,
                       enum dsm_access access)
{
    struct dsm_segment *segment = cache->segment;

    if (access == DSM_WRITE)
        segment->counters.write_faults++;
    else
        segment->counters.read_faults++;
    dsm_enter(segment->dsm);
    ask(cache, sequence, page, count, access == DSM_WRITE ? DSM_WRITE : DSM_READ, false);
    dsm_leave(segment->dsm);
}

void dsm_cache_unlock(struct dsm_cache *cache, uint64_t sequence, uint64_t page)
{
    cache->segment->counters.write_faults++;
    dsm_enter(cache->segment->dsm);
    ask(cache, sequence, page, 1, DSM_WRITE, true);
    dsm_leave(cache->segment->dsm);
}

// A copy for reading that no cache wants any more may go; the owner's must stay.
static void consider_dropping(struct page *page)
{
    const struct dsm *dsm = page->segment->dsm;

    if (page->owner || (page->readers | page->writer | page->awaited) != 0 ||
        page->requested != DSM_NONE || dsm->stored <= dsm->settings.spare_pages)
        return;
    page->access = DSM_NONE;
    page_drop_backing(page);
}

static void take_back(struct page *page, uint8_t self, const void *data, bool changed)
{
    bool newest = page->writer == self;

    if (page->access == DSM_NONE)
        return; // forgotten
    if (newest && changed)
        page->changed = true;
    if ((newest || page->backing == BACKING_NONE) && !page_set_backing(page, data)) {
        // As if the cache had died with it.
        page->segment->counters.failed++;
    }
}

void dsm_cache_return(struct dsm_cache *cache, uint64_t number, uint64_t page_number,
                      const void *data, bool kept, bool changed)
{
    struct dsm_segment *segment = cache->segment;
    struct page *page = page_find(segment, page_number);
    uint8_t self = bit_of(cache);
    bool asked =
        page != NULL && number != 0 && number == page->demand_number && (page->awaited & self) != 0;

    if (page == NULL || ((page->readers | page->writer) & self) == 0 ||
        (number != 0 && !asked && kept)) {
        segment->dsm->totals.malformed++;
        return;
    }
    // What it goes on writing to is no news.
    if (number == 0 && kept && page->writer == self)
        return;
    dsm_enter(segment->dsm);
    take_back(page, self, data, changed);
    if (page->writer == self) {
        page->writer = 0;
        page->readers |= self;
    }
    if (!kept)
        page->readers &= (uint8_t)~self;
    // That is all that was wanted; that it is done comes later, and is no news then.
    if (asked && kept == (page->demand == DSM_CLEAN))
        page->awaited &= (uint8_t)~self;
    consider_dropping(page);
    page_run(page);
    dsm_leave(segment->dsm);
}

void dsm_cache_done(struct dsm_cache *cache, uint64_t number, uint64_t page_number, bool held)
{
    struct dsm_segment *segment = cache->segment;
    struct page *page = page_find(segment, page_number);
    uint8_t self = bit_of(cache);

    if (page == NULL || number == 0 || number > page->demand_number) {
        segment->dsm->totals.malformed++;
        return;
    }
    if (number != page->demand_number || (page->awaited & self) == 0)
        return; // it has returned the page
    dsm_enter(segment->dsm);
    page->awaited &= (uint8_t)~self;
    // It says that it has the page, and has not returned it: asked the same again it might say so
    // for ever. What it does not give back now is lost.
    if (held && page->demand == DSM_CLEAN && ((page->readers | page->writer) & self) != 0 &&
        page->backing == BACKING_NONE) {
        segment->dsm->totals.malformed++;
        cache_demand(page, self, DSM_FLUSH);
        dsm_leave(segment->dsm);
        return;
    }
    // It has said that it returned what it had.
    if (!held || page->demand == DSM_FLUSH) {
        page->readers &= (uint8_t)~self;
        page->writer &= (uint8_t)~self;
    } else if (page->writer == self) {
        page->writer = 0;
        page->readers |= self;
    }
    if (page->awaited == 0) {
        if (page->access != DSM_NONE && !page_has_data(page) && !page->owner)
            page->access = DSM_NONE;
        page_run(page);
    }
    dsm_leave(segment->dsm);
}
