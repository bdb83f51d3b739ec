// SPDX-License-Identifier: BSD-2-Clause
// Life and time of the core; messages in and out. What a function of dsm.h has to say
// to other nodes is collected, and goes in one message to each when the function ends;
// what this node says to itself takes the same way, without the network.
#include "dsm/core/internal.h"

#include "netipc/core/bytes.h"

#include <stdlib.h>
#include <string.h>

#define OUTBOX_ROOM 512u

static bool settings_are_sane(const struct dsm_settings *settings)
{
    return settings->node >= 1 && settings->node <= DSM_NODE_MAX && settings->cluster_size >= 1 &&
           settings->cluster_size <= DSM_NODE_MAX && settings->incarnation != 0;
}

static void set_defaults(struct dsm_settings *settings)
{
    if (settings->retry_ns == 0)
        settings->retry_ns = 100000000;
    if (settings->repeat_ns == 0)
        settings->repeat_ns = settings->retry_ns;
    if (settings->limit_ns == 0)
        settings->limit_ns = 30000000000ull;
    if (settings->hold_ns == 0)
        settings->hold_ns = 1000000;
    if (settings->spare_pages == 0)
        settings->spare_pages = 4096;
}

struct dsm *dsm_create(const struct dsm_settings *settings, const struct dsm_operations *operations,
                       void *context)
{
    if (!settings_are_sane(settings))
        return NULL;
    struct dsm *dsm = calloc(1, sizeof *dsm);
    if (dsm == NULL)
        return NULL;
    dsm->settings = *settings;
    set_defaults(&dsm->settings);
    dsm->operations = operations;
    dsm->context = context;
    dsm->life = settings->incarnation;
    dsm->reconsider = true;
    dsm->last_spare = &dsm->first_spare;
    dsm->last_arrived = &dsm->first_arrived;
    dsm->peers[settings->node] = (struct peer){.up = true, .known = true, .life = dsm->life};
    if (settings->trace_size != 0)
        dsm->trace = calloc(settings->trace_size, sizeof *dsm->trace);
    if ((settings->trace_size != 0 && dsm->trace == NULL) || !table_create(&dsm->segments)) {
        free(dsm->trace);
        free(dsm);
        return NULL;
    }
    return dsm;
}

static void free_segment(struct dsm_segment *segment, void *argument)
{
    (void)argument;
    segment_free(segment);
}

void dsm_destroy(struct dsm *dsm)
{
    segments_each(dsm, free_segment, NULL);
    table_destroy(&dsm->segments);
    rebuild_free(dsm);
    place_forget_history(dsm);
    for (uint32_t node = 0; node <= DSM_NODE_MAX; node++)
        free(dsm->peers[node].outbox.bytes);
    buffers_free(dsm);
    free(dsm->trace);
    free(dsm);
}

// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
uint64_t dsm_mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ number >> 27) * 0x94d049bb133111ebull;
    return number ^ number >> 31;
}

// --- Out ----------------------------------------------------------------------------------

static bool outbox_make_room(struct outbox *outbox, size_t count)
{
    size_t room = outbox->room != 0 ? outbox->room : OUTBOX_ROOM;

    while (room < outbox->used + count)
        room = room < DSM_MESSAGE_MAX && 2 * room > DSM_MESSAGE_MAX ? DSM_MESSAGE_MAX : 2 * room;
    if (room == outbox->room)
        return true;
    uint8_t *bytes = realloc(outbox->bytes, room);
    if (bytes == NULL)
        return false;
    outbox->bytes = bytes;
    outbox->room = room;
    return true;
}

bool outbox_append(struct outbox *outbox, const void *bytes, size_t count)
{
    if (count == 0)
        return true;
    if (!outbox_make_room(outbox, count))
        return false;
    memcpy(outbox->bytes + outbox->used, bytes, count);
    outbox->used += count;
    return true;
}

static void send_outbox(struct dsm *dsm, uint32_t node, struct outbox *outbox)
{
    struct wire_header header = {
        .node = dsm->settings.node, .life = dsm->life, .view = dsm->place.view.number};

    if (outbox->used > WIRE_HEADER_BYTES) {
        wire_put_header(outbox->bytes, &header);
        dsm->totals.messages_sent++;
        dsm->totals.bytes_sent += outbox->used;
        dsm->operations->send(dsm->context, node, outbox->bytes, outbox->used);
    }
    outbox->used = 0;
}

// There may be many nodes, and each request ends here.
void dsm_send_all(struct dsm *dsm)
{
    for (uint32_t i = 0; i < sizeof dsm->filled / sizeof dsm->filled[0]; i++) {
        while (dsm->filled[i] != 0) {
            uint32_t node = i * 64 + (uint32_t)__builtin_ctzll(dsm->filled[i]);
            struct outbox *outbox = &dsm->peers[node].outbox;
            dsm->filled[i] &= dsm->filled[i] - 1;
            send_outbox(dsm, node, outbox);
        }
    }
}

// What this node tells itself has the view before each record.
static void put_to_self(struct dsm *dsm, const struct wire_record *record, const void *extra)
{
    uint8_t head[8 + WIRE_RECORD_BYTES];
    struct outbox *outbox = &dsm->peers[dsm->settings.node].outbox;

    store_u64(head, dsm->place.view.number);
    wire_put_record(head + 8, record);
    size_t before = outbox->used;
    if (!outbox_append(outbox, head, sizeof head) || !outbox_append(outbox, extra, record->extra))
        outbox->used = before;
}

void dsm_put(struct dsm *dsm, uint32_t node, const struct wire_record *record, const void *extra)
{
    static const uint8_t header[WIRE_HEADER_BYTES];
    uint8_t head[WIRE_RECORD_BYTES];
    struct outbox *outbox = &dsm->peers[node].outbox;

    if (node == dsm->settings.node) {
        put_to_self(dsm, record, extra);
        return;
    }
    if (!dsm->peers[node].up)
        return;
    if (outbox->used + sizeof head + record->extra > DSM_MESSAGE_MAX)
        send_outbox(dsm, node, outbox);
    if (outbox->used == 0 && !outbox_append(outbox, header, sizeof header))
        return;
    dsm->filled[node / 64] |= 1ull << node % 64;
    wire_put_record(head, record);
    // Without memory it is as if it had been lost on the way.
    size_t before = outbox->used;
    if (!outbox_append(outbox, head, sizeof head) || !outbox_append(outbox, extra, record->extra))
        outbox->used = before;
}

// --- In -----------------------------------------------------------------------------------

static bool is_of_page(const struct wire_record *record)
{
    return record->kind >= WIRE_REQUEST;
}

// The fixed size of what may be behind a record.
static bool extra_is_right(const struct wire_record *record)
{
    if (record->kind == WIRE_DATA && (record->flags & (WIRE_ZERO | WIRE_HAVE)) == 0)
        return record->extra == DSM_PAGE_BYTES;
    return !is_of_page(record) || record->extra == 0;
}

static void page_received(struct dsm *dsm, uint8_t slot, const struct wire_record *record,
                          const uint8_t *extra)
{
    uint32_t from = dsm->place.view.members[slot].node;

    if (record->page >= DSM_PAGES_MAX || !extra_is_right(record)) {
        dsm->totals.malformed++;
        return;
    }
    struct dsm_segment *segment = segment_find(dsm, record->segment);
    if (segment == NULL)
        segment = segment_make(dsm, record->segment, record->generation);
    if (segment == NULL || record->generation != segment->generation) {
        dsm->totals.stale++;
        return;
    }
    switch (record->kind) {
    case WIRE_FORWARD:
    case WIRE_DATA:
    case WIRE_GRANT:
    case WIRE_INVALIDATE:
    case WIRE_RESEND:
    case WIRE_ERROR:
    case WIRE_SETTLE:
        transfer_received(dsm, from, segment, record, extra);
        break;
    case WIRE_OFFER:
    case WIRE_REFUSED:
        store_received(segment, from, record);
        break;
    case WIRE_DONE:
        // To the owner that was, and to the manager.
        transfer_received(dsm, from, segment, record, extra);
        manager_received(dsm, slot, segment, record);
        break;
    default:
        manager_received(dsm, slot, segment, record);
        break;
    }
}

static void record_received(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                            const struct wire_record *record, const uint8_t *extra)
{
    if (!is_of_page(record)) {
        view_received(dsm, from, header, record, extra);
        return;
    }
    uint8_t slot = view_slot(&dsm->place.view, from);
    if (slot == DSM_NOBODY || dsm->place.view.members[slot].life != header->life ||
        header->view != dsm->place.view.number || !dsm->rebuilt) {
        dsm->totals.stale++;
        return;
    }
    // Who speaks of pages knows that all are ready.
    if (!dsm->stable)
        view_became_stable(dsm);
    page_received(dsm, slot, record, extra);
}

void dsm_received(struct dsm *dsm, uint32_t node, const void *data, size_t bytes)
{
    const uint8_t *in = data, *extra;
    struct wire_header header;
    struct wire_record record;

    if (!wire_get_header(in, bytes, &header) || header.node != node || node == 0 ||
        node > DSM_NODE_MAX || node == dsm->settings.node) {
        dsm->totals.malformed++;
        return;
    }
    dsm_enter(dsm);
    dsm->totals.messages_received++;
    in += WIRE_HEADER_BYTES;
    bytes -= WIRE_HEADER_BYTES;
    while (bytes != 0) {
        if (!wire_get_record(&in, &bytes, &record, &extra)) {
            dsm->totals.malformed++;
            break;
        }
        record_received(dsm, node, &header, &record, extra);
    }
    arrivals_show(dsm);
    dsm_leave(dsm);
}

// What this node has told itself, and what it then tells itself.
static void receive_own(struct dsm *dsm)
{
    uint32_t self = dsm->settings.node;
    struct outbox *outbox = &dsm->peers[self].outbox;

    while (outbox->used != 0) {
        struct outbox taken = *outbox;
        const uint8_t *in = taken.bytes, *extra;
        size_t left = taken.used;
        struct wire_record record;

        *outbox = (struct outbox){0};
        while (left != 0) {
            struct wire_header header = {.node = self, .life = dsm->life, .view = load_u64(in)};
            in += 8;
            left -= 8;
            if (!wire_get_record(&in, &left, &record, &extra))
                break;
            record_received(dsm, self, &header, &record, extra);
        }
        arrivals_show(dsm);
        // Pages in it have been shown to operations; there it stays until `flush`.
        if (dsm->operations->flush != NULL)
            dsm->operations->flush(dsm->context);
        if (outbox->bytes == NULL)
            *outbox = (struct outbox){.bytes = taken.bytes, .room = taken.room};
        else
            free(taken.bytes);
    }
}

void dsm_enter(struct dsm *dsm)
{
    dsm->depth++;
}

void dsm_leave(struct dsm *dsm)
{
    if (dsm->depth == 1) {
        store_relieve(dsm);
        do {
            receive_own(dsm);
            view_consider(dsm);
        } while (dsm->peers[dsm->settings.node].outbox.used != 0);
        if (dsm->operations->flush != NULL)
            dsm->operations->flush(dsm->context);
        dsm_send_all(dsm);
        buffers_collect(dsm);
    }
    dsm->depth--;
}

void dsm_begin(struct dsm *dsm)
{
    dsm_enter(dsm);
}

void dsm_end(struct dsm *dsm)
{
    dsm_leave(dsm);
}

// --- Time -----------------------------------------------------------------------------------

static void pages_tick(struct dsm *dsm)
{
    struct page *next;

    for (struct page *page = dsm->active_pages; page != NULL; page = next) {
        next = page->next_active;
        if (page->due <= dsm->now)
            page_due(page);
    }
}

static void entries_tick(struct dsm *dsm)
{
    struct entry *next;

    for (struct entry *entry = dsm->active_entries; entry != NULL; entry = next) {
        next = entry->next_active;
        if (entry->due <= dsm->now)
            manager_due(entry);
    }
}

void dsm_tick(struct dsm *dsm, uint64_t now_ns)
{
    if (now_ns > dsm->now)
        dsm->now = now_ns;
    dsm_enter(dsm);
    view_tick(dsm);
    pages_tick(dsm);
    entries_tick(dsm);
    dsm_leave(dsm);
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

uint64_t dsm_next(const struct dsm *dsm)
{
    uint64_t next = earlier(earlier(dsm->hello_due, dsm->view_due), store_next(dsm));

    if (dsm->proposal.active) {
        next = earlier(next, dsm->proposal.due);
        // Waits only for the fence.
        if (!dsm->proposal.sent && dsm->proposal.fence > dsm->now)
            next = earlier(next, dsm->proposal.fence);
    }
    for (const struct page *page = dsm->active_pages; page != NULL; page = page->next_active)
        next = earlier(next, page->due);
    for (const struct entry *entry = dsm->active_entries; entry != NULL; entry = entry->next_active)
        next = earlier(next, entry->due);
    return next;
}
