// SPDX-License-Identifier: BSD-2-Clause
// A node's copy, towards managers and other nodes' copies: what arrives, what is handed
// out. Transactions of a page have growing numbers within a view, so that what comes
// twice or late is known.
//
// Who hands a page over keeps it until it hears that it has arrived.
#include "dsm/core/internal.h"

static struct dsm *dsm_of(const struct page *page)
{
    return page->segment->dsm;
}

static void put(const struct page *page, uint32_t node, enum wire_kind kind,
                struct wire_record record, const void *data)
{
    record.kind = (uint8_t)kind;
    record.segment = page->segment->link.key;
    record.generation = page->segment->generation;
    record.page = page->link.key;
    record.extra = data != NULL ? DSM_PAGE_BYTES : 0;
    dsm_put(dsm_of(page), node, &record, data);
}

static uint32_t manager_of(const struct page *page)
{
    return place_manager(dsm_of(page), page->segment->link.key, page->link.key);
}

void transfer_ask(struct page *page)
{
    struct wire_record record = {
        .serial = page->serial, .version = page->version, .node = (uint16_t)page->requested_count};

    if (page->requested == DSM_WRITE)
        record.flags |= WIRE_WRITE;
    if (page->access != DSM_NONE)
        record.flags |= WIRE_HAVE;
    put(page, manager_of(page), WIRE_REQUEST, record, NULL);
}

// --- Handing out --------------------------------------------------------------------------

static void put_gone(const struct page *page, uint64_t txn)
{
    put(page, manager_of(page), WIRE_GONE, (struct wire_record){.txn = txn}, NULL);
}

static void put_data(const struct page *page, uint32_t node, struct wire_record record,
                     enum backing backing, const void *data)
{
    if ((record.flags & WIRE_HAVE) != 0) {
        put(page, node, WIRE_DATA, record, NULL);
        return;
    }
    if (backing == BACKING_ZERO)
        record.flags |= WIRE_ZERO;
    else
        page->segment->counters.data_sent++;
    put(page, node, WIRE_DATA, record, backing == BACKING_ZERO ? NULL : data);
}

static void invalidated(struct page *page)
{
    uint32_t writer = page->wish.node;

    if (page->access != DSM_NONE) {
        page->segment->counters.invalidations++;
        record_event(page, DSM_EVENT_DROP, writer);
    }
    // What was fetched ahead was not used.
    if (page->prefetched)
        page->segment->reading.window = 1;
    page->access = DSM_NONE;
    page->owner = page->prefetched = false;
    page_drop_backing(page);
    put(page, manager_of(page), WIRE_INVALIDATED, (struct wire_record){.txn = page->wish.txn},
        NULL);
}

static void send_copy(struct page *page)
{
    const struct wish *wish = &page->wish;
    struct wire_record record = {.txn = wish->txn,
                                 .serial = wish->serial,
                                 .version = page->version,
                                 .flags = wish->flags & WIRE_PREFETCH};

    put_data(page, wish->node, record, page->backing, page_bytes(page));
    record_event(page, DSM_EVENT_SEND, wish->node);
    page->access = DSM_READ;
    // The caches have it, and give it back when it is wanted.
    if (page->readers != 0 && page->data != NULL &&
        dsm_of(page)->stored > dsm_of(page)->settings.spare_pages)
        page_drop_backing(page);
}

// False: no memory.
static bool hand_over(struct page *page)
{
    struct dsm *dsm = dsm_of(page);
    const struct wish *wish = &page->wish;
    struct buffer *data = page->data;
    uint8_t slot = view_slot(&dsm->place.view, wish->node);

    if (page->backing == BACKING_DATA && data == NULL)
        data = buffer_make(dsm, page->incoming);
    if (slot == DSM_NOBODY || (page->backing == BACKING_DATA && data == NULL))
        return false;
    page_drop_handed(page);
    page->handed.node = wish->node;
    page->handed.joined = dsm->place.view.members[slot].joined;
    page->handed.txn = wish->txn;
    page->handed.serial = wish->serial;
    page->handed.version = wish->version;
    page->handed.flags = wish->flags & (WIRE_WRITE | WIRE_MIGRATE);
    if (!page->changed)
        page->handed.flags |= WIRE_CLEAN;
    page->handed.backing = page->backing;
    page->handed.data = data;
    page->handed.at = dsm->now;
    // What was fetched ahead was not used.
    if (page->prefetched)
        page->segment->writing.window = 1;
    page->data = NULL;
    page->access = DSM_NONE;
    page->owner = page->changed = page->prefetched = false;
    page_drop_backing(page);
    page->segment->counters.surrendered++;
    record_event(page, DSM_EVENT_SURRENDER, wish->node);
    return true;
}

static void put_handed(struct page *page, uint8_t more_flags)
{
    struct wire_record record = {.txn = page->handed.txn,
                                 .serial = page->handed.serial,
                                 .version = page->handed.version,
                                 .flags = page->handed.flags | more_flags};
    const struct buffer *data = page->handed.data;

    put_data(page, page->handed.node, record, page->handed.backing,
             data != NULL ? data->bytes : NULL);
}

bool transfer_fulfil(struct page *page)
{
    if (page->wish.kind == WIRE_INVALIDATE) {
        invalidated(page);
    } else if (page->backing == BACKING_NONE) {
        page->access = DSM_NONE;
        page->owner = false;
        put_gone(page, page->wish.txn);
    } else if ((page->wish.flags & WIRE_WRITE) != 0) {
        if (!hand_over(page))
            return false;
        put_handed(page, page->wish.flags & WIRE_HAVE);
    } else {
        send_copy(page);
    }
    page->wish.kind = 0;
    return true;
}

void transfer_resend(struct page *page, uint64_t txn)
{
    struct dsm *dsm = dsm_of(page);

    page->handed.at = dsm->now;
    // Of a view before: the manager will say what becomes of it.
    if (page->handed.txn == 0 || page->handed.txn != txn || !dsm->stable)
        return;
    page->segment->counters.repeats++;
    put_handed(page, 0);
}

static void wished(struct page *page, const struct wire_record *record)
{
    struct dsm *dsm = dsm_of(page);

    page->txn = record->txn;
    page->wish = (struct wish){.kind = record->kind,
                               .flags = record->flags,
                               .node = record->node,
                               .txn = record->txn,
                               .version = record->version,
                               .serial = record->serial};
    if (page->access == DSM_WRITE) {
        bool soon = dsm->now < page->came + dsm->settings.hold_ns;
        page->fights = soon ? page->fights + 1 : 0;
        page->segment->counters.holds += page->fights >= FIGHTS_MIN;
    }
    page_run(page);
}

// The page has arrived there, as its new owner told this node, but the manager has not heard so.
static void remind(struct page *page, const struct wire_record *record)
{
    struct wire_record reminder = {.txn = record->txn,
                                   .serial = record->serial,
                                   .version = record->version,
                                   .flags = WIRE_WRITE | WIRE_HAVE};

    put(page, record->node, WIRE_DATA, reminder, NULL);
}

static void forward_received(struct dsm_segment *segment, const struct wire_record *record)
{
    struct page *page = page_make(segment, record->page);

    if (page == NULL || record->txn < page->txn || page->wish.kind != 0)
        return;
    if (record->txn == page->txn) {
        // Once more: what was sent has not been heard of.
        if (page->handed.node != 0)
            transfer_resend(page, record->txn);
        else if (page->owner)
            wished(page, record);
        else if ((record->flags & WIRE_WRITE) != 0)
            remind(page, record);
        return;
    }
    if (!page->owner) {
        page->txn = record->txn;
        put_gone(page, record->txn);
        return;
    }
    wished(page, record);
}

static void invalidate_received(struct dsm_segment *segment, const struct wire_record *record)
{
    struct page *page = page_find(segment, record->page);

    if (page == NULL) {
        struct wire_record answer = *record;
        answer.kind = WIRE_INVALIDATED;
        dsm_put(segment->dsm, place_manager(segment->dsm, segment->link.key, record->page), &answer,
                NULL);
        return;
    }
    if (record->txn < page->txn || page->wish.kind != 0)
        return;
    if (record->txn == page->txn)
        put(page, manager_of(page), WIRE_INVALIDATED, (struct wire_record){.txn = record->txn},
            NULL);
    else
        wished(page, record);
}

// --- Getting ----------------------------------------------------------------------------------

static void put_done(const struct page *page, uint32_t from, const struct wire_record *record)
{
    struct wire_record done = {
        .txn = record->txn, .serial = record->serial, .flags = record->flags & WIRE_CLEAN};
    uint32_t manager = manager_of(page);

    put(page, manager, WIRE_DONE, done, NULL);
    if (from != manager && (record->flags & WIRE_WRITE) != 0)
        put(page, from, WIRE_DONE, done, NULL);
}

static void count_arrival(struct page *page, uint32_t from, const struct wire_record *record,
                          bool data)
{
    struct dsm_counters *counters = &page->segment->counters;
    bool write = (record->flags & WIRE_WRITE) != 0;

    if (data)
        counters->data_received++;
    else if ((record->flags & WIRE_ZERO) != 0)
        counters->zeroes++;
    else if (write)
        counters->upgrades++;
    if ((record->flags & WIRE_PREFETCH) != 0)
        counters->prefetched++;
    if ((record->flags & WIRE_MIGRATE) != 0)
        counters->migrations++;
    record_event(page, write ? DSM_EVENT_OWN : DSM_EVENT_READ,
                 from != dsm_of(page)->settings.node ? from : 0);
}

// `kept`: a copy of the data, or NULL.
static void accept(struct page *page, uint32_t from, const struct wire_record *record,
                   const uint8_t *data, struct buffer *kept)
{
    bool write = (record->flags & WIRE_WRITE) != 0;

    page->txn = record->txn;
    page->version = record->version;
    page->owner = page->owner || write;
    page->prefetched = (record->flags & WIRE_PREFETCH) != 0 && page->waiters == NULL;
    page->changed = false;
    page->came = dsm_of(page)->now;
    page_drop_handed(page);
    bool had = page->access != DSM_NONE && page_has_data(page);
    page->access = write ? DSM_WRITE : page->owner ? page->access : DSM_READ;
    if (page->requested <= page->access)
        page->requested = DSM_NONE;
    count_arrival(page, from, record, data != NULL);
    put_done(page, from, record);
    if ((record->flags & WIRE_ZERO) != 0 && !had) {
        page_drop_backing(page);
        page->backing = BACKING_ZERO;
    } else if (data != NULL && !had) {
        page_drop_backing(page);
        page->backing = BACKING_DATA;
        page->incoming = kept == NULL ? data : NULL;
        page->data = kept;
        kept = NULL;
    }
    buffer_drop(dsm_of(page), kept);
    arrival_add(page);
}

static void data_received(struct dsm_segment *segment, uint32_t from,
                          const struct wire_record *record, const uint8_t *extra)
{
    struct page *page = page_make(segment, record->page);
    bool data = (record->flags & (WIRE_ZERO | WIRE_HAVE)) == 0;

    if (page == NULL)
        return;
    if (record->txn <= page->txn) {
        put_done(page, from, record);
        return;
    }
    // Wishes and answers of one page come one after the other.
    if (page->wish.kind != 0)
        return;
    if (record->kind == WIRE_DATA && (record->flags & WIRE_HAVE) != 0 &&
        (page->access == DSM_NONE || !page_has_data(page))) {
        put(page, from, WIRE_RESEND, (struct wire_record){.txn = record->txn}, NULL);
        return;
    }
    if (record->kind == WIRE_GRANT && (record->flags & WIRE_ZERO) == 0 &&
        (!page->owner || !page_has_data(page))) {
        page->txn = record->txn;
        page_forget(page); // also what caches may still have
        put_gone(page, record->txn);
        return;
    }
    if (record->kind != WIRE_DATA || !data)
        extra = NULL;
    // Who has sent a page to be owned keeps it until there is room for it here.
    struct buffer *kept = NULL;
    if (extra != NULL && (record->flags & WIRE_WRITE) != 0 && page->waiters == NULL) {
        kept = buffer_make(segment->dsm, extra);
        if (kept == NULL)
            return;
    }
    accept(page, from, record, extra, kept);
}

static void error_received(struct dsm_segment *segment, const struct wire_record *record)
{
    struct page *page = page_find(segment, record->page);

    if (page == NULL || page->requested == DSM_NONE || page->serial != record->serial ||
        record->version == ERR_OK || record->version >= ERR_COUNT)
        return;
    page_fail(page, (corvus_error_t)record->version);
    page_watch(page);
}

// After a view: this copy is the page from now on, or goes.
static void settle_received(struct dsm_segment *segment, const struct wire_record *record)
{
    // Of version 0 all are zeroes, whoever has them.
    bool zeroes = (record->flags & WIRE_OWN) != 0 && record->version == 0;
    struct page *page =
        zeroes ? page_make(segment, record->page) : page_find(segment, record->page);
    struct wire_record answer = {.txn = record->txn};

    if (page == NULL && zeroes)
        return;
    if (page == NULL) {
        answer = *record;
        answer.kind = WIRE_SETTLED;
        answer.flags = 0;
        dsm_put(segment->dsm, place_manager(segment->dsm, segment->link.key, record->page), &answer,
                NULL);
        return;
    }
    if (record->txn > page->txn) {
        page->txn = record->txn;
        if ((record->flags & WIRE_OWN) != 0 && page->handed.node != 0) {
            page->data = page->handed.data;
            page->backing = page->handed.backing;
            page->handed.data = NULL;
            page->access = DSM_READ;
        }
        page_drop_handed(page);
        if (zeroes && !page_has_data(page)) {
            page->backing = BACKING_ZERO;
            page->access = DSM_READ;
        }
        if ((record->flags & WIRE_OWN) != 0 && page->access != DSM_NONE && page_has_data(page)) {
            page->owner = true;
            page->segment->counters.recovered++;
            record_event(page, DSM_EVENT_RECOVER, 0);
        }
        if ((record->flags & WIRE_HAVE) != 0)
            page_forget(page);
    }
    if (record->txn == page->txn) {
        answer.flags = page->owner ? WIRE_OWN : 0;
        put(page, manager_of(page), WIRE_SETTLED, answer, NULL);
        page_run(page);
    }
}

static void done_received(struct dsm_segment *segment, uint32_t from,
                          const struct wire_record *record)
{
    struct page *page = page_find(segment, record->page);

    if (page == NULL || page->handed.node != from || page->handed.txn != record->txn)
        return;
    page->version = page->handed.version;
    page_drop_handed(page);
    page_watch(page);
}

void transfer_received(struct dsm *dsm, uint32_t from, struct dsm_segment *segment,
                       const struct wire_record *record, const uint8_t *extra)
{
    uint32_t manager = place_manager(dsm, segment->link.key, record->page);
    bool from_manager =
        record->kind != WIRE_DATA && record->kind != WIRE_DONE && record->kind != WIRE_RESEND;
    struct page *page;

    if ((from_manager && from != manager) || record->node > DSM_NODE_MAX) {
        dsm->totals.malformed++;
        return;
    }
    switch (record->kind) {
    case WIRE_FORWARD:
        forward_received(segment, record);
        break;
    case WIRE_INVALIDATE:
        invalidate_received(segment, record);
        break;
    case WIRE_DATA:
    case WIRE_GRANT:
        data_received(segment, from, record, extra);
        break;
    case WIRE_ERROR:
        error_received(segment, record);
        break;
    case WIRE_SETTLE:
        settle_received(segment, record);
        break;
    case WIRE_DONE:
        done_received(segment, from, record);
        break;
    default: // RESEND
        page = page_find(segment, record->page);
        if (page != NULL && page->handed.node == from)
            transfer_resend(page, record->txn);
        break;
    }
}
