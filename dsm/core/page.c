// SPDX-License-Identifier: BSD-2-Clause
// A node's copy of a page, and who wants it: the caches of this node, in their order,
// and the manager, for other nodes. One thing at a time: while a cache has been asked to
// give way nothing else happens to the page.
#include "dsm/core/internal.h"

#include <stdlib.h>

static struct dsm *dsm_of(const struct page *page)
{
    return page->segment->dsm;
}

// --- Data -------------------------------------------------------------------------------

void page_drop_backing(struct page *page)
{
    buffer_drop(dsm_of(page), page->data);
    page->data = NULL;
    page->incoming = NULL;
    page->backing = BACKING_NONE;
}

bool page_set_backing(struct page *page, const void *data)
{
    struct buffer *buffer = NULL;

    if (data != NULL) {
        buffer = buffer_make(dsm_of(page), data);
        if (buffer == NULL)
            return false;
    }
    page_drop_backing(page);
    page->data = buffer;
    page->backing = data != NULL ? BACKING_DATA : BACKING_ZERO;
    return true;
}

const uint8_t *page_bytes(const struct page *page)
{
    if (page->backing != BACKING_DATA)
        return NULL;
    return page->data != NULL ? page->data->bytes : page->incoming;
}

bool page_has_data(const struct page *page)
{
    return page->backing != BACKING_NONE || (page->readers | page->writer) != 0;
}

void page_drop_handed(struct page *page)
{
    buffer_drop(dsm_of(page), page->handed.data);
    page->handed.data = NULL;
    page->handed.node = 0;
    page->handed.backing = BACKING_NONE;
}

void page_forget(struct page *page)
{
    uint8_t holders = page->readers | page->writer;

    page->access = DSM_NONE;
    page->owner = page->prefetched = page->changed = false;
    page->wish.kind = 0;
    page_drop_backing(page);
    page->readers = page->writer = 0;
    // What has been asked of a cache before may let it keep the page. What it returns is ignored.
    holders |= page->awaited;
    if (holders != 0)
        cache_demand(page, holders, DSM_FLUSH);
    store_watch(page);
}

// --- Time -------------------------------------------------------------------------------

static bool is_held(const struct page *page)
{
    const struct dsm *dsm = dsm_of(page);

    return page->wish.kind != 0 && page->fights >= FIGHTS_MIN &&
           dsm->now < page->came + dsm->settings.hold_ns;
}

void page_watch(struct page *page)
{
    struct dsm *dsm = dsm_of(page);
    uint64_t due = UINT64_MAX;

    if (page->prev_active != NULL) {
        *page->prev_active = page->next_active;
        if (page->next_active != NULL)
            page->next_active->prev_active = page->prev_active;
        page->prev_active = NULL;
    }
    if (page->waiters != NULL)
        due = page->requested_at + dsm->settings.repeat_ns;
    if (page->unasked != 0 && page->unasked_at + dsm->settings.repeat_ns < due)
        due = page->unasked_at + dsm->settings.repeat_ns;
    if (page->handed.node != 0 && page->handed.at + dsm->settings.repeat_ns < due)
        due = page->handed.at + dsm->settings.repeat_ns;
    if (is_held(page) && page->came + dsm->settings.hold_ns < due)
        due = page->came + dsm->settings.hold_ns;
    if (due == UINT64_MAX)
        return;
    page->due = due;
    page->next_active = dsm->active_pages;
    page->prev_active = &dsm->active_pages;
    if (page->next_active != NULL)
        page->next_active->prev_active = &page->next_active;
    dsm->active_pages = page;
}

static void drop_late_waiters(struct page *page)
{
    struct dsm *dsm = dsm_of(page);
    struct waiter **place = &page->waiters;

    while (*place != NULL) {
        struct waiter *waiter = *place;
        if (waiter->since + dsm->settings.limit_ns > dsm->now) {
            place = &waiter->next;
            continue;
        }
        *place = waiter->next;
        cache_fail(page, waiter, ERR_TIMED_OUT);
    }
}

void page_due(struct page *page)
{
    struct dsm *dsm = dsm_of(page);

    drop_late_waiters(page);
    if (page->waiters != NULL && page->requested_at + dsm->settings.repeat_ns <= dsm->now) {
        page->requested_at = dsm->now;
        if (page->requested != DSM_NONE && dsm->stable) {
            page->segment->counters.repeats++;
            transfer_ask(page);
        }
    }
    if (page->handed.node != 0 && page->handed.at + dsm->settings.repeat_ns <= dsm->now)
        transfer_resend(page, page->handed.txn);
    if (page->unasked != 0 && page->unasked_at + dsm->settings.repeat_ns <= dsm->now)
        cache_demand_again(page);
    page_run(page);
    page_watch(page);
}

// --- Waiting ----------------------------------------------------------------------------

void page_fail(struct page *page, corvus_error_t reason)
{
    while (page->waiters != NULL) {
        struct waiter *waiter = page->waiters;
        page->waiters = waiter->next;
        cache_fail(page, waiter, reason);
    }
    page->requested = DSM_NONE;
}

static enum dsm_access wanted_access(const struct page *page)
{
    enum dsm_access wanted = DSM_NONE;

    for (const struct waiter *waiter = page->waiters; waiter != NULL; waiter = waiter->next)
        if (waiter->access > wanted)
            wanted = waiter->access;
    return wanted;
}

// Asks the manager for what the node has not.
static void request(struct page *page)
{
    struct dsm *dsm = dsm_of(page);
    enum dsm_access wanted = wanted_access(page);

    if (wanted <= page->access || page->requested >= wanted)
        return;
    for (struct waiter *waiter = page->waiters; waiter != NULL; waiter = waiter->next)
        waiter->remote = true;
    if (!dsm->stable)
        return; // all is asked when it is
    page->requested = wanted;
    page->serial = ++dsm->last_serial;
    page->requested_at = dsm->now;
    page->segment->counters.waits++;
    transfer_ask(page);
}

// --- Running ------------------------------------------------------------------------------

// Whether the caches' copies allow what is wished; if not they are asked to give way.
static bool caches_allow_wish(struct page *page)
{
    uint8_t holders = page->readers | page->writer;
    bool reading = page->wish.kind == WIRE_FORWARD && (page->wish.flags & WIRE_WRITE) == 0;

    if (!reading) {
        if (holders != 0)
            cache_demand(page, holders, DSM_FLUSH);
        return holders == 0;
    }
    if (page->writer != 0) {
        cache_demand(page, page->writer, DSM_CLEAN);
        return false;
    }
    if (page->backing == BACKING_NONE && page->readers != 0) {
        cache_demand(page, (uint8_t)(page->readers & -page->readers), DSM_CLEAN);
        return false;
    }
    return true;
}

// Likewise for one of the node's own caches.
static bool caches_allow(struct page *page, const struct waiter *waiter)
{
    uint8_t self = (uint8_t)(1u << waiter->cache->number);
    uint8_t holders = page->readers | page->writer;
    bool keeps = waiter->unlock && (page->readers & self) != 0;

    if (waiter->access == DSM_WRITE) {
        uint8_t others = keeps ? holders & (uint8_t)~self : holders;
        if (others != 0)
            cache_demand(page, others, DSM_FLUSH);
        return others == 0;
    }
    // It asks for what it has: it is to come again.
    if ((holders & self) != 0) {
        cache_demand(page, self, DSM_FLUSH);
        return false;
    }
    if (page->writer != 0) {
        cache_demand(page, page->writer, DSM_CLEAN);
        return false;
    }
    if (page->backing == BACKING_NONE && page->readers != 0) {
        cache_demand(page, (uint8_t)(page->readers & -page->readers), DSM_CLEAN);
        return false;
    }
    return true;
}

// A cache died with the newest data: the manager is to find out.
static void lose_copy(struct page *page)
{
    page->access = DSM_NONE;
    page->owner = false;
}

// Serves the first cache that waits. False: not now.
static bool serve(struct page *page)
{
    struct waiter *waiter = page->waiters;

    if (!caches_allow(page, waiter))
        return false;
    if (!page_has_data(page)) {
        lose_copy(page);
        return true;
    }
    page->waiters = waiter->next;
    cache_provide(page, waiter);
    return true;
}

void page_run(struct page *page)
{
    // It does not go to who is dead: a view is to come. Should it not come, for the link was only
    // away for a moment, the manager says the same again, and then it is yet to be done.
    if (page->wish.kind != 0 && !dsm_of(page)->peers[page->wish.node].up) {
        page->wish.kind = 0;
        page->txn = page->wish.txn - 1;
    }
    while (page->awaited == 0) {
        struct waiter *waiter = page->waiters;
        bool servable = waiter != NULL && waiter->access <= page->access;

        // Whoever waited for another node has the page once, before it goes again.
        if (servable && (waiter->remote || page->wish.kind == 0)) {
            if (!serve(page))
                break;
        } else if (page->wish.kind != 0 && !is_held(page)) {
            if (!caches_allow_wish(page) || !transfer_fulfil(page))
                break;
        } else if (servable) {
            if (!serve(page))
                break;
        } else {
            break;
        }
    }
    request(page);
    page_watch(page);
    store_watch(page);
}
