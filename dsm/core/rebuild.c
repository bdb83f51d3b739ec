// SPDX-License-Identifier: BSD-2-Clause
// The directory, after a view: each member tells each other what it holds of the pages
// that the other now manages, or is backup of. What it has to say is written down when
// the view is adopted, so that it can be repeated; it changes no more, as pages do not
// move before the view is stable.
//
// The newest copy is the page. A page that was handed over and had not arrived belongs
// to who sent it, unless anybody has had what the other was to have; if the other is not
// there any more, it may have written: then the data are lost.
#include "dsm/core/internal.h"

#include <stdlib.h>

#define CHUNK_HELD 1024u // records of a chunk

static void hold(struct dsm *dsm, uint32_t slot, const struct wire_held *held)
{
    uint8_t bytes[WIRE_HELD_BYTES];

    wire_put_held(bytes, held);
    if (!outbox_append(&dsm->holdings[slot], bytes, sizeof bytes))
        dsm->holdings_short = true;
}

// To those who are responsible.
static void hold_bucket(struct dsm *dsm, uint32_t bucket, const struct wire_held *held)
{
    hold(dsm, dsm->place.manager[bucket], held);
    if (dsm->place.backup[bucket] != DSM_NOBODY)
        hold(dsm, dsm->place.backup[bucket], held);
}

static void hold_page(struct dsm_segment *segment, const struct wire_held *held)
{
    hold_bucket(segment->dsm, place_bucket(segment->link.key, held->page), held);
}

static void hold_copy(struct page *page, void *argument)
{
    struct dsm_segment *segment = page->segment;
    struct dsm *dsm = segment->dsm;
    struct wire_held held = {.segment = segment->link.key,
                             .generation = segment->generation,
                             .page = page->link.key,
                             .version = page->version};

    (void)argument;
    if (page->handed.node != 0 &&
        !view_has(&dsm->place.view, page->handed.node, page->handed.joined)) {
        held.flags |= HELD_MARK;
        page_drop_handed(page);
    }
    if (page->handed.node != 0) {
        held.flags |= HELD_HANDED;
        held.node = (uint8_t)page->handed.node;
        held.granted = (uint32_t)(page->handed.version - page->version);
    }
    if (page->access != DSM_NONE)
        held.flags |= HELD_COPY;
    if (page->owner)
        held.flags |= HELD_OWNER;
    if (page->version != 0)
        held.flags |= HELD_MARK;
    if (held.flags != 0)
        hold_page(segment, &held);
}

static void hold_mark(struct entry *entry, void *argument)
{
    struct wire_held held = {.flags = HELD_MARK,
                             .segment = entry->segment->link.key,
                             .generation = entry->segment->generation,
                             .page = entry->link.key};

    (void)argument;
    // Unless it says that it has written, the page is still zero.
    if (entry->first_node != 0 &&
        view_has(&entry->segment->dsm->place.view, entry->first_node, entry->first_joined)) {
        held.flags |= HELD_HANDED;
        held.node = (uint8_t)entry->first_node;
        held.granted = 1;
    }
    if (entry->written)
        hold_page(entry->segment, &held);
}

static void hold_segment(struct dsm_segment *segment, void *argument)
{
    struct dsm *dsm = segment->dsm;
    struct wire_held held = {.flags = HELD_SEGMENT,
                             .segment = segment->link.key,
                             .generation = segment->generation,
                             .page = segment->pages,
                             .version = segment->cut};

    for (uint32_t slot = 0; slot < dsm->place.view.count; slot++)
        hold(dsm, slot, &held);
    // Who comes with nothing knows nothing of what others have. The backup must know, too: it may
    // be the only one left when the manager dies.
    held.flags |= HELD_DOUBT;
    for (uint32_t bucket = 0; bucket < DSM_BUCKETS; bucket++)
        if ((segment->doubt[bucket / 64] & bit(bucket % 64)) != 0) {
            held.page = bucket;
            hold_bucket(dsm, bucket, &held);
        }
    pages_each(segment, hold_copy, argument);
    entries_each(segment, hold_mark, NULL);
}

bool rebuild_begin(struct dsm *dsm)
{
    dsm->reports = calloc(dsm->place.view.count, sizeof *dsm->reports);
    dsm->holdings = calloc(dsm->place.view.count, sizeof *dsm->holdings);
    dsm->holdings_count = dsm->place.view.count;
    if (dsm->reports == NULL || dsm->holdings == NULL)
        return false;
    dsm->holdings_short = false;
    segments_each(dsm, hold_segment, NULL);
    return !dsm->holdings_short;
}

void rebuild_free(struct dsm *dsm)
{
    for (uint32_t slot = 0; dsm->holdings != NULL && slot < dsm->holdings_count; slot++)
        free(dsm->holdings[slot].bytes);
    free(dsm->holdings);
    free(dsm->reports);
    dsm->holdings = NULL;
    dsm->reports = NULL;
}

static void send_holdings(struct dsm *dsm, uint32_t slot)
{
    const struct outbox *holdings = &dsm->holdings[slot];
    uint32_t node = dsm->place.view.members[slot].node;
    size_t chunk = (size_t)CHUNK_HELD * WIRE_HELD_BYTES;
    size_t chunks = holdings->used == 0 ? 1 : (holdings->used + chunk - 1) / chunk;

    // It may not know the view yet.
    view_put(dsm, node);
    for (size_t i = 0; i < chunks; i++) {
        size_t left = holdings->used - i * chunk;
        struct wire_record record = {.kind = WIRE_HELD,
                                     .txn = dsm->place.view.number,
                                     .page = i,
                                     .version = chunks,
                                     .extra = (uint32_t)(left < chunk ? left : chunk)};
        dsm_put(dsm, node, &record, holdings->bytes != NULL ? holdings->bytes + i * chunk : NULL);
    }
}

void rebuild_send(struct dsm *dsm)
{
    for (uint32_t slot = 0; slot < dsm->place.view.count && dsm->holdings != NULL; slot++)
        send_holdings(dsm, slot);
}

// --- Hearing --------------------------------------------------------------------------------

static void merge_copy(struct entry *entry, const struct wire_held *held, uint8_t slot)
{
    if (entry->copies != 0 && held->version < entry->version) {
        entry->stale |= bit(slot);
        return;
    }
    if (entry->copies == 0 || held->version > entry->version) {
        entry->stale |= entry->copies;
        entry->copies = 0;
        entry->owner = DSM_NOBODY;
        entry->version = held->version;
    }
    entry->copies |= bit(slot);
    if ((held->flags & HELD_OWNER) != 0)
        entry->owner = slot;
}

static void merge(struct entry *entry, const struct wire_held *held, uint8_t slot)
{
    if (held->version > entry->known)
        entry->known = held->version;
    if ((held->flags & HELD_COPY) != 0)
        merge_copy(entry, held, slot);
    if ((held->flags & HELD_HANDED) != 0) {
        entry->handers |= bit(slot);
        if (held->version + held->granted > entry->handed_granted) {
            entry->handed_granted = held->version + held->granted;
            entry->handed_version = held->version;
            entry->handed_from = slot;
        }
    }
}

static void segment_heard(struct dsm_segment *segment, const struct wire_held *held)
{
    if ((held->flags & HELD_DOUBT) != 0) {
        uint32_t bucket = held->page % DSM_BUCKETS;
        segment->doubt[bucket / 64] |= bit(bucket % 64);
        return;
    }
    if (held->generation <= segment->generation)
        return;
    // This node has yet to hear that it was cut; if more than once, nobody knows how short it was.
    uint64_t length = held->generation == segment->generation + 1 ? held->version : 0;
    segment_cut(segment, length, held->generation, ERR_INVALID_RANGE);
    segment->pages = held->page;
}

// From before the segment was cut, but not of what was cut off.
static bool generation_fits(const struct dsm_segment *segment, const struct wire_held *held)
{
    return held->generation == segment->generation ||
           (held->generation + 1 == segment->generation && held->page < segment->cut);
}

// False: no memory; it will be repeated.
static bool held_heard(struct dsm *dsm, uint8_t slot, const struct wire_held *held)
{
    struct dsm_segment *segment = segment_find(dsm, held->segment);

    if (segment == NULL)
        segment = segment_make(dsm, held->segment, held->generation);
    if (segment == NULL)
        return false;
    if ((held->flags & HELD_SEGMENT) != 0) {
        if (held->page <= DSM_PAGES_MAX && held->version <= DSM_PAGES_MAX)
            segment_heard(segment, held);
        return true;
    }
    if (held->page >= DSM_PAGES_MAX || !generation_fits(segment, held))
        return true;
    struct entry *entry = entry_make(segment, held->page);
    if (entry == NULL)
        return false;
    if ((held->flags & HELD_MARK) != 0)
        entry->written = true;
    if (place_is_manager(dsm, held->segment, held->page))
        merge(entry, held, slot);
    return true;
}

static bool all_heard(const struct dsm *dsm)
{
    for (uint32_t slot = 0; slot < dsm->place.view.count; slot++)
        if (!dsm->reports[slot].whole)
            return false;
    return true;
}

void rebuild_received(struct dsm *dsm, uint8_t slot, const struct wire_record *record,
                      const uint8_t *extra)
{
    struct wire_held held;

    if (dsm->reports == NULL || record->version == 0 || record->version > DSM_CHUNKS ||
        record->page >= record->version || record->extra % WIRE_HELD_BYTES != 0) {
        dsm->totals.malformed++;
        return;
    }
    struct report *report = &dsm->reports[slot];
    if (report->whole || (report->seen[record->page / 64] & bit(record->page % 64)) != 0)
        return;
    // Merging the same twice changes nothing.
    for (uint32_t i = 0; i < record->extra; i += WIRE_HELD_BYTES) {
        wire_get_held(extra + i, &held);
        if (!held_heard(dsm, slot, &held))
            return;
    }
    report->seen[record->page / 64] |= bit(record->page % 64);
    report->whole = ++report->count == record->version;
    if (!dsm->rebuilt && all_heard(dsm))
        view_rebuilt(dsm);
}

// --- Deciding -------------------------------------------------------------------------------

static void decide(struct entry *entry, void *argument)
{
    const struct dsm *dsm = argument;
    bool handed_is_newest = entry->handed_granted > entry->known;

    if (!place_is_manager(dsm, entry->segment->link.key, entry->link.key))
        return;
    entry->settle = DSM_NOBODY;
    if (handed_is_newest) {
        // The other may still have the copy that it wanted to write.
        if (entry->version != entry->handed_version) {
            entry->stale |= entry->copies;
            entry->copies = 0;
        }
        entry->version = entry->handed_version;
        entry->settle = entry->handed_from;
        entry->owner = DSM_NOBODY;
        entry->copies |= bit(entry->handed_from);
    } else if (entry->copies != 0 && entry->version >= entry->known) {
        if (entry->owner == DSM_NOBODY && entry->written)
            entry->settle = (uint8_t)__builtin_ctzll(entry->copies);
    } else {
        entry->stale |= entry->copies;
        entry->copies = 0;
        entry->owner = DSM_NOBODY;
        if (entry->written)
            manager_lose(entry);
    }
    entry->unsettled = entry->stale | entry->handers;
    if (entry->settle != DSM_NOBODY)
        entry->unsettled |= bit(entry->settle);
    if (entry->unsettled != 0)
        manager_settle(entry);
}

static void decide_segment(struct dsm_segment *segment, void *argument)
{
    entries_each(segment, decide, argument);
}

void rebuild_end(struct dsm *dsm)
{
    segments_each(dsm, decide_segment, dsm);
}
