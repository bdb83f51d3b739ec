// SPDX-License-Identifier: BSD-2-Clause
// Memory of the core and its bounds. A node that keeps more than it may offers pages that it owns
// and that none of its caches has to other nodes, the oldest first. Who has room asks the page's
// manager for it, as for any page that is to be written; so an offer is a hint, which may be lost
// and is then made again. Who has none refuses, and is left in peace for a while.
#include "dsm/core/internal.h"

// What an allocation takes besides: musl's has classes of sizes (mallocng, as of 1.2).
#define ROUNDED(bytes) ((bytes) + (bytes) / 7 + 16)
#define OFFERS_MAX     16u           // under way at a time
#define FULL_NS        1000000000ull // a node that has refused is not asked again for so long

void store_count(struct dsm *dsm, size_t bytes)
{
    dsm->used_bytes += ROUNDED(bytes);
}

void store_uncount(struct dsm *dsm, size_t bytes)
{
    dsm->used_bytes -= ROUNDED(bytes);
}

bool store_is_short(const struct dsm *dsm)
{
    return dsm->settings.memory_bytes != 0 && dsm->used_bytes >= dsm->settings.memory_bytes / 8 * 7;
}

bool dsm_is_crowded(const struct dsm *dsm)
{
    uint64_t limit = dsm->settings.memory_bytes;

    return limit != 0 && dsm->used_bytes >= limit / 16 * 15;
}

// So little of what it may have that pages of its own caches find room, too.
static bool has_room_for_others(const struct dsm *dsm)
{
    uint64_t limit = dsm->settings.memory_bytes;

    return limit == 0 || dsm->used_bytes < limit / 16 * 13;
}

// --- Pages that may be offered -------------------------------------------------------------------

static bool may_be_offered(const struct page *page)
{
    return page->owner && page->backing == BACKING_DATA && page->data != NULL &&
           (page->readers | page->writer | page->awaited) == 0 && page->waiters == NULL &&
           page->wish.kind == 0;
}

static void unlist(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;

    *page->prev_spare = page->next_spare;
    if (page->next_spare != NULL)
        page->next_spare->prev_spare = page->prev_spare;
    else
        dsm->last_spare = page->prev_spare;
    page->prev_spare = NULL;
    page->next_spare = NULL;
}

static void list(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;

    page->prev_spare = dsm->last_spare;
    *dsm->last_spare = page;
    dsm->last_spare = &page->next_spare;
}

static void end_offer(struct page *page)
{
    page->segment->dsm->offers -= page->offered;
    page->offered = false;
}

void store_forget(struct page *page)
{
    end_offer(page);
    if (page->prev_spare != NULL)
        unlist(page);
}

void store_watch(struct page *page)
{
    bool listed = page->prev_spare != NULL;

    if (may_be_offered(page) == listed)
        return;
    if (listed)
        store_forget(page);
    else
        list(page);
}

// --- Offers --------------------------------------------------------------------------------------

static void put(const struct page *page, uint32_t node, enum wire_kind kind)
{
    const struct wire_record record = {.kind = (uint8_t)kind,
                                       .segment = page->segment->link.key,
                                       .generation = page->segment->generation,
                                       .page = page->link.key};

    dsm_put(page->segment->dsm, node, &record, NULL);
}

// The next node, by turns, that is not known to be full. 0: none.
static uint32_t node_with_room(struct dsm *dsm)
{
    const struct view *view = &dsm->place.view;

    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t node = view->members[(dsm->last_offered + 1 + i) % view->count].node;
        if (node == dsm->settings.node || !dsm->peers[node].up ||
            dsm->peers[node].full_until > dsm->now)
            continue;
        dsm->last_offered = (dsm->last_offered + 1 + i) % view->count;
        return node;
    }
    return 0;
}

bool store_is_hopeless(struct dsm *dsm)
{
    const struct view *view = &dsm->place.view;

    if (!store_is_short(dsm))
        return false;
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t node = view->members[i].node;
        if (node != dsm->settings.node && dsm->peers[node].full_until <= dsm->now)
            return false;
    }
    return true;
}

static bool offer(struct page *page)
{
    struct dsm *dsm = page->segment->dsm;
    uint32_t node = node_with_room(dsm);

    if (node == 0)
        return false;
    dsm->offers += !page->offered;
    page->offered = true;
    page->offered_at = dsm->now;
    unlist(page);
    list(page);
    put(page, node, WIRE_OFFER);
    return true;
}

void store_relieve(struct dsm *dsm)
{
    while (dsm->stable && store_is_short(dsm) && dsm->first_spare != NULL) {
        struct page *page = dsm->first_spare;
        // A neighbour of a page that was asked for has gone to a cache.
        if (!may_be_offered(page)) {
            store_forget(page);
            continue;
        }
        // Those that were offered are at the end.
        bool again = page->offered && page->offered_at + dsm->settings.repeat_ns <= dsm->now;
        if (!again && (page->offered || dsm->offers >= OFFERS_MAX))
            return;
        if (!offer(page))
            return;
    }
}

uint64_t store_next(const struct dsm *dsm)
{
    if (!store_is_short(dsm) || dsm->first_spare == NULL)
        return UINT64_MAX;
    return dsm->now + dsm->settings.repeat_ns;
}

// --- The other side ------------------------------------------------------------------------------

static void offered(struct dsm_segment *segment, uint32_t from, const struct wire_record *record)
{
    struct dsm *dsm = segment->dsm;
    bool wanted = dsm->stable && record->page < segment->pages && has_room_for_others(dsm);
    struct page *page = wanted ? page_make(segment, record->page) : NULL;

    if (page == NULL) {
        struct wire_record answer = *record;
        answer.kind = WIRE_REFUSED;
        dsm_put(dsm, from, &answer, NULL);
        return;
    }
    // What it has asked for, and was not lost on the way, comes.
    bool asked = page->requested != DSM_NONE &&
                 (page->waiters != NULL || page->requested_at + dsm->settings.repeat_ns > dsm->now);
    if (page->access == DSM_WRITE || asked || page->wish.kind != 0)
        return;
    // Asked for as by a cache, for writing; nobody waits for it.
    page->requested = DSM_WRITE;
    page->requested_count = 1;
    page->serial = ++dsm->last_serial;
    page->requested_at = dsm->now;
    segment->counters.taken_over++;
    transfer_ask(page);
}

static void refused(struct dsm_segment *segment, uint32_t from, const struct wire_record *record)
{
    struct page *page = page_find(segment, record->page);

    segment->dsm->peers[from].full_until = segment->dsm->now + FULL_NS;
    if (page == NULL || page->prev_spare == NULL)
        return;
    end_offer(page);
}

void store_received(struct dsm_segment *segment, uint32_t from, const struct wire_record *record)
{
    if (record->kind == WIRE_OFFER)
        offered(segment, from, record);
    else
        refused(segment, from, record);
}
