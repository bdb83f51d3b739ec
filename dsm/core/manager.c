// SPDX-License-Identifier: BSD-2-Clause
// The manager's side: who has copies of a page, and the transactions by which they
// move, one of a page at a time. The states are the model's (dsm/model/sc.pml):
//
//   IDLE --REQUEST--> INVALIDATING --INVALIDATED from all, MARKED--> GRANTING --DONE--> IDLE
//
// Reading needs no invalidation. A page is marked with the backup before it may first be
// written; where requester and manager are two nodes, both know of it and the mark may
// come later, but within the transaction.
#include "dsm/core/manager.h"

static struct dsm *dsm_of(const struct entry *entry)
{
    return entry->segment->dsm;
}

static uint32_t node_of(const struct entry *entry, uint8_t slot)
{
    return dsm_of(entry)->place.view.members[slot].node;
}

void entry_watch(struct entry *entry)
{
    struct dsm *dsm = dsm_of(entry);

    if (entry->prev_active != NULL) {
        *entry->prev_active = entry->next_active;
        if (entry->next_active != NULL)
            entry->next_active->prev_active = entry->prev_active;
        entry->prev_active = NULL;
    }
    if (entry->state == ENTRY_IDLE)
        return;
    entry->due = dsm->now + dsm->settings.repeat_ns;
    entry->next_active = dsm->active_entries;
    entry->prev_active = &dsm->active_entries;
    if (entry->next_active != NULL)
        entry->next_active->prev_active = &entry->next_active;
    dsm->active_entries = entry;
}

void manager_set_state(struct entry *entry, enum entry_state state)
{
    entry->state = state;
    entry_watch(entry);
}

void manager_put(struct entry *entry, uint8_t slot, enum wire_kind kind, struct wire_record record)
{
    record.kind = (uint8_t)kind;
    record.segment = entry->segment->link.key;
    record.generation = entry->segment->generation;
    record.page = entry->link.key;
    dsm_put(dsm_of(entry), node_of(entry, slot), &record, NULL);
}

static bool is_writing(const struct entry *entry)
{
    return (entry->request.flags & WIRE_WRITE) != 0;
}

// --- Steps -----------------------------------------------------------------------------------

static void put_error(struct entry *entry, const struct request *request, corvus_error_t reason)
{
    manager_put(entry, request->slot, WIRE_ERROR,
                (struct wire_record){.serial = request->serial, .version = (uint64_t)reason});
}

static void put_invalidations(struct entry *entry)
{
    for (uint8_t slot = 0; slot < DSM_MEMBERS_MAX; slot++)
        if ((entry->unacknowledged & bit(slot)) != 0)
            manager_put(
                entry, slot, WIRE_INVALIDATE,
                (struct wire_record){.txn = entry->txn,
                                     .node = (uint16_t)node_of(entry, entry->request.slot)});
}

static void put_mark(struct entry *entry)
{
    uint8_t backup = place_backup(dsm_of(entry), entry->segment->link.key, entry->link.key);

    manager_put(entry, backup, WIRE_MARK,
                (struct wire_record){.txn = entry->txn,
                                     .node = (uint16_t)node_of(entry, entry->request.slot)});
}

// The requester has a copy of the version that is the page's, and was not asked to drop it.
static bool no_data_needed(const struct entry *entry)
{
    const struct request *request = &entry->request;

    return (request->flags & WIRE_HAVE) != 0 && request->version == entry->version &&
           (entry->copies & bit(request->slot)) != 0;
}

static void put_grant(struct entry *entry)
{
    const struct request *request = &entry->request;
    bool write = is_writing(entry);
    struct wire_record record = {.txn = entry->txn,
                                 .serial = request->serial,
                                 .version = entry->version + write,
                                 .node = (uint16_t)node_of(entry, request->slot),
                                 .flags = request->flags & (WIRE_WRITE | WIRE_PREFETCH)};

    if (entry->migrate)
        record.flags |= WIRE_MIGRATE;
    if (entry->owner == DSM_NOBODY) {
        record.flags |= WIRE_ZERO;
        manager_put(entry, request->slot, WIRE_GRANT, record);
    } else if (entry->owner == request->slot) {
        manager_put(entry, request->slot, WIRE_GRANT, record);
    } else {
        if (write && no_data_needed(entry))
            record.flags |= WIRE_HAVE;
        manager_put(entry, entry->owner, WIRE_FORWARD, record);
    }
}

static void set_first_writer(struct entry *entry, uint8_t slot)
{
    const struct member *member = &dsm_of(entry)->place.view.members[slot];

    if (entry->written)
        return;
    entry->written = true;
    entry->first_node = member->node;
    entry->first_joined = member->joined;
}

static void grant(struct entry *entry)
{
    if (is_writing(entry))
        set_first_writer(entry, entry->request.slot);
    put_grant(entry);
    // From now on it may have one.
    if (!is_writing(entry))
        entry->copies |= bit(entry->request.slot);
    manager_set_state(entry, ENTRY_GRANTING);
}

static void start_writing(struct entry *entry)
{
    struct dsm *dsm = dsm_of(entry);
    uint8_t backup = place_backup(dsm, entry->segment->link.key, entry->link.key);
    uint64_t others = entry->copies & ~bit(entry->request.slot);

    if (entry->owner != DSM_NOBODY)
        others &= ~bit(entry->owner);
    entry->unacknowledged = others;
    entry->unmarked = !entry->written && backup != DSM_NOBODY && backup != entry->request.slot;
    manager_set_state(entry, ENTRY_INVALIDATING);
    put_invalidations(entry);
    if (entry->unmarked)
        put_mark(entry);
}

// Nobody writes before the backup knows: manager and writer may be gone together.
static void go_on(struct entry *entry)
{
    if (entry->state == ENTRY_INVALIDATING && entry->unacknowledged == 0 && !entry->unmarked)
        grant(entry);
}

// --- Who reads and then writes ------------------------------------------------------------------

static void notice_reader(struct entry *entry)
{
    uint8_t slot = entry->request.slot;

    entry->migrate = false;
    if (entry->migrations >= MIGRATES_MIN && entry->owner != DSM_NOBODY &&
        entry->copies == bit(entry->owner) && entry->owner != slot &&
        (entry->request.flags & WIRE_PREFETCH) == 0) {
        entry->migrate = true;
        entry->request.flags |= WIRE_WRITE;
    }
    entry->last_reader = slot;
}

static void notice_writer(struct entry *entry)
{
    uint8_t slot = entry->request.slot, last = entry->last_writer;

    if (entry->migrate || last == DSM_NOBODY || last == slot)
        return;
    if (entry->last_reader == slot && (entry->copies & ~(bit(slot) | bit(last))) == 0) {
        if (entry->migrations < MIGRATES_MIN)
            entry->migrations++;
    } else {
        entry->migrations = 0;
    }
}

// --- Transactions --------------------------------------------------------------------------------

static bool is_in_doubt(const struct entry *entry)
{
    uint32_t bucket = place_bucket(entry->segment->link.key, entry->link.key);

    return !entry->written && entry->copies == 0 &&
           (entry->segment->doubt[bucket / 64] & bit(bucket % 64)) != 0;
}

static void start(struct entry *entry, const struct request *request)
{
    struct dsm *dsm = dsm_of(entry);

    if (entry->lost || is_in_doubt(entry)) {
        put_error(entry, request, ERR_FAULT);
        return;
    }
    entry->request = *request;
    entry->txn = ++dsm->last_txn;
    entry->unacknowledged = 0;
    entry->unmarked = entry->migrate = false;
    if (!is_writing(entry))
        notice_reader(entry);
    if (is_writing(entry)) {
        notice_writer(entry);
        start_writing(entry);
        go_on(entry);
    } else {
        grant(entry);
    }
}

// The first who waits, if the page is free.
void manager_next(struct entry *entry)
{
    struct request request;

    while (entry->state == ENTRY_IDLE && waiting_take(entry, &request))
        start(entry, &request);
}

// --- Messages ---------------------------------------------------------------------------------

// Who writes pages in order that nobody has written yet gets some at once. Not before the third:
// what was given to a node that dies may have been written, so it is lost then.
static void prefetch_zeroes(struct entry *main, const struct request *request, uint64_t end)
{
    for (unsigned i = 1; i < request->count && main->link.key + i < end; i++) {
        struct entry *entry = entry_make(main->segment, main->link.key + i);
        if (entry == NULL || entry->state != ENTRY_IDLE || entry->written || entry->lost ||
            entry->copies != 0 || is_in_doubt(entry))
            return;
        start(entry, &(struct request){.slot = request->slot, .flags = WIRE_PREFETCH | WIRE_WRITE});
    }
}

// Who writes pages in order that another node has, and nobody else, gets some at once, too.
static void prefetch_owned(struct entry *main, const struct request *request, uint64_t end)
{
    for (unsigned i = 1; i < request->count && main->link.key + i < end; i++) {
        struct entry *entry = entry_find(main->segment, main->link.key + i);
        if (entry == NULL || entry->state != ENTRY_IDLE || entry->owner != main->owner ||
            entry->copies != bit(entry->owner) || entry->lost)
            return;
        start(entry, &(struct request){.slot = request->slot, .flags = WIRE_PREFETCH | WIRE_WRITE});
    }
}

// The pages behind the one that is wanted, as far as the same node has them.
static void prefetch(struct entry *main, const struct request *request)
{
    uint64_t page = main->link.key;
    uint64_t end = page - page % DSM_BLOCK_PAGES + DSM_BLOCK_PAGES;

    if (is_writing(main) && main->owner == DSM_NOBODY && main->state != ENTRY_IDLE &&
        request->count >= WRITES_MIN)
        prefetch_zeroes(main, request, end);
    if ((request->flags & WIRE_WRITE) != 0 && main->owner != DSM_NOBODY &&
        main->owner != request->slot && main->state != ENTRY_IDLE && request->count >= WRITES_MIN)
        prefetch_owned(main, request, end);
    if (is_writing(main) || main->owner == DSM_NOBODY || main->state != ENTRY_GRANTING)
        return;
    for (unsigned i = 1; i < request->count && page + i < end; i++) {
        struct entry *entry = entry_find(main->segment, page + i);
        if (entry == NULL || entry->state != ENTRY_IDLE || entry->owner != main->owner ||
            (entry->copies & bit(request->slot)) != 0 || entry->lost)
            continue;
        start(entry, &(struct request){.slot = request->slot, .flags = WIRE_PREFETCH});
    }
}

static void request_received(struct dsm_segment *segment, uint8_t slot,
                             const struct wire_record *record)
{
    struct request request = {.slot = slot,
                              .flags = record->flags & (WIRE_WRITE | WIRE_HAVE),
                              .count = record->node,
                              .serial = record->serial,
                              .version = record->version};
    struct entry *entry = entry_make(segment, record->page);

    if (entry == NULL)
        return;
    if (entry->state == ENTRY_IDLE) {
        start(entry, &request);
        if (request.count > 1)
            prefetch(entry, &request);
    } else if (entry->state == ENTRY_SETTLING || entry->request.slot != slot ||
               entry->request.serial != record->serial) {
        waiting_add(entry, &request);
    }
}

static void invalidated_received(struct entry *entry, uint8_t slot)
{
    entry->unacknowledged &= ~bit(slot);
    entry->copies &= ~bit(slot);
    go_on(entry);
}

static void done_received(struct entry *entry, const struct wire_record *record)
{
    if (is_writing(entry)) {
        entry->version++;
        entry->owner = entry->request.slot;
        entry->copies = bit(entry->owner);
        if ((record->flags & WIRE_CLEAN) != 0 && entry->migrations != 0)
            entry->migrations = 0;
        entry->last_writer = entry->request.slot;
    }
    entry->request.serial = 0;
    waiting_drop(entry, entry->request.slot, is_writing(entry));
    manager_set_state(entry, ENTRY_IDLE);
    manager_next(entry);
}

static void marked_received(struct entry *entry)
{
    entry->unmarked = false;
    go_on(entry);
}

static void gone_received(struct entry *entry)
{
    struct request request = entry->request;

    manager_lose(entry);
    put_error(entry, &request, ERR_FAULT);
    manager_set_state(entry, ENTRY_IDLE);
    manager_next(entry);
}

static void mark_received(struct dsm *dsm, uint8_t from, struct dsm_segment *segment,
                          const struct wire_record *record)
{
    struct entry *entry = entry_make(segment, record->page);
    struct wire_record answer = *record;

    uint8_t slot = view_slot(&dsm->place.view, record->node);

    if (entry == NULL || slot == DSM_NOBODY)
        return;
    set_first_writer(entry, slot);
    answer.kind = WIRE_MARKED;
    dsm_put(dsm, dsm->place.view.members[from].node, &answer, NULL);
}

void manager_received(struct dsm *dsm, uint8_t slot, struct dsm_segment *segment,
                      const struct wire_record *record)
{
    if (record->kind == WIRE_MARK) {
        mark_received(dsm, slot, segment, record);
        return;
    }
    if (!place_is_manager(dsm, segment->link.key, record->page)) {
        // A DONE may be meant for the owner that was only.
        dsm->totals.malformed += record->kind != WIRE_DONE;
        return;
    }
    if (record->kind == WIRE_REQUEST) {
        request_received(segment, slot, record);
        return;
    }
    struct entry *entry = entry_find(segment, record->page);
    if (entry == NULL || entry->txn != record->txn)
        return; // of a transaction that is over
    switch (record->kind) {
    case WIRE_INVALIDATED:
        if (entry->state == ENTRY_INVALIDATING && (entry->unacknowledged & bit(slot)) != 0)
            invalidated_received(entry, slot);
        break;
    case WIRE_DONE:
        if (entry->state == ENTRY_GRANTING && slot == entry->request.slot &&
            entry->request.serial == record->serial)
            done_received(entry, record);
        break;
    case WIRE_MARKED:
        if (entry->unmarked && slot == place_backup(dsm, record->segment, record->page))
            marked_received(entry);
        break;
    case WIRE_GONE:
        if (entry->state == ENTRY_GRANTING && slot == entry->owner)
            gone_received(entry);
        break;
    case WIRE_SETTLED:
        if (entry->state == ENTRY_SETTLING && (entry->unsettled & bit(slot)) != 0)
            manager_settled(entry, slot, record);
        break;
    default:
        dsm->totals.malformed++;
        break;
    }
}

// Nothing has come for a while: what was said last is repeated.
void manager_due(struct entry *entry)
{
    entry->segment->counters.repeats++;
    switch (entry->state) {
    case ENTRY_INVALIDATING:
        put_invalidations(entry);
        break;
    case ENTRY_GRANTING:
        put_grant(entry);
        break;
    case ENTRY_SETTLING:
        manager_put_settle(entry);
        break;
    case ENTRY_IDLE:
        break;
    }
    if (entry->unmarked)
        put_mark(entry);
    entry_watch(entry);
}
