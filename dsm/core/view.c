// SPDX-License-Identifier: BSD-2-Clause
// Who is there. The lowest node of those that can be reached proposes a view whenever
// they are not the present one's members. It first has all of them promise to adopt no
// lower one (PREPARE, PROMISE), and learns thereby the latest view that any of them has
// adopted; as all views are majorities, nothing later has ever worked. Members of that
// view keep what they hold; all others join with nothing. Then the view is sent (VIEW),
// each tells each manager what it holds (HELD), says that it has heard from all (READY),
// and when all have, the view is STABLE and pages move again.
#include "dsm/core/view.h"

#include <string.h>

uint8_t view_slot(const struct view *view, uint32_t node)
{
    for (uint32_t slot = 0; slot < view->count; slot++)
        if (view->members[slot].node == node)
            return (uint8_t)slot;
    return DSM_NOBODY;
}

bool view_has(const struct view *view, uint32_t node, uint64_t joined)
{
    uint8_t slot = view_slot(view, node);

    return slot != DSM_NOBODY && view->members[slot].joined == joined;
}

bool dsm_quorum(const struct dsm *dsm, uint32_t count, bool first)
{
    uint32_t size = dsm->settings.cluster_size;

    return count * 2 > size || (count * 2 == size && first);
}

bool dsm_has_majority(const struct dsm *dsm)
{
    uint32_t count = 0;

    for (uint32_t node = 1; node <= DSM_NODE_MAX; node++)
        count += dsm->peers[node].up;
    return dsm_quorum(dsm, count, dsm->peers[1].up);
}

bool dsm_is_stable(const struct dsm *dsm)
{
    return dsm->stable;
}

void view_tell(struct dsm *dsm)
{
    if (dsm->operations->view_changed != NULL)
        dsm->operations->view_changed(dsm->context, dsm->place.view.number, dsm->stable,
                                      !dsm->ended);
}

// --- Hello ------------------------------------------------------------------------------------

void view_hello(struct dsm *dsm, uint32_t node)
{
    const struct peer *peer = &dsm->peers[node];
    struct wire_record record = {.kind = WIRE_HELLO,
                                 .txn = dsm->promised,
                                 .version = peer->known ? peer->life : 0,
                                 .serial = dsm->place.view.number};

    if (view_slot(&dsm->place.view, node) != DSM_NOBODY)
        record.flags = WIRE_OWN;
    if (node != dsm->settings.node)
        dsm_put(dsm, node, &record, NULL);
}

void view_heard(struct dsm *dsm, struct peer *peer, uint64_t number)
{
    if ((peer->view == 0) != (number == 0))
        dsm->reconsider = true;
    peer->view = number;
}

static bool is_leap(const struct dsm *dsm, uint64_t number)
{
    return number > dsm->promised && number - dsm->promised > VIEW_LEAP_MAX;
}

static void hello_received(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                           const struct wire_record *record)
{
    struct peer *peer = &dsm->peers[from];

    if (!peer->up || header->life < peer->life)
        return;
    if (is_leap(dsm, record->txn) || is_leap(dsm, record->serial)) {
        dsm->totals.malformed++;
        return;
    }
    if (!peer->known || peer->life != header->life)
        dsm->reconsider = true;
    peer->known = true;
    peer->life = header->life;
    view_heard(dsm, peer, record->serial);
    if (record->txn > peer->promised) {
        peer->promised = record->txn;
        dsm->reconsider = true;
    }
    // It is in a later view, without this node.
    if ((record->flags & WIRE_OWN) == 0 && dsm->place.view.number != 0 &&
        record->serial > dsm->place.view.number)
        view_start_over(dsm);
    if (record->version != dsm->life)
        view_hello(dsm, from);
}

void dsm_node_up(struct dsm *dsm, uint32_t node)
{
    if (node == 0 || node > DSM_NODE_MAX || node == dsm->settings.node || dsm->peers[node].up)
        return;
    dsm_enter(dsm);
    dsm->peers[node].up = true;
    dsm->peers[node].known = false;
    dsm->peers[node].gone_at = dsm->now;
    dsm->reconsider = true;
    view_hello(dsm, node);
    dsm_leave(dsm);
}

void dsm_node_down(struct dsm *dsm, uint32_t node)
{
    if (node == 0 || node > DSM_NODE_MAX || node == dsm->settings.node || !dsm->peers[node].up)
        return;
    dsm_enter(dsm);
    dsm->peers[node].up = false;
    dsm->peers[node].known = false;
    dsm->peers[node].view = 0;
    dsm->peers[node].gone_at = dsm->now;
    dsm->peers[node].outbox.used = 0;
    dsm->reconsider = true;
    dsm_leave(dsm);
}

// --- Adopting ------------------------------------------------------------------------------------

static void drop_entry_work(struct entry *entry, void *argument)
{
    (void)argument;
    entry_free(entry);
}

static void renew_page(struct page *page, void *argument)
{
    (void)argument;
    page->wish.kind = 0;
    page->txn = page->handed.txn = 0;
    // Nothing is known of it but that it was heard of.
    if (page->access == DSM_NONE && page->version == 0 && page->waiters == NULL &&
        page->awaited == 0 && page->handed.node == 0)
        page_free(page);
}

static void renew_segment(struct dsm_segment *segment, void *argument)
{
    pages_each(segment, renew_page, argument);
    entries_each(segment, drop_entry_work, argument);
}

// Whether anybody in the view brings what it held before.
static bool anybody_keeps(const struct view *view)
{
    for (uint32_t i = 0; i < view->count; i++)
        if (view->members[i].joined != view->number)
            return true;
    return false;
}

static void clear_doubt(struct dsm_segment *segment, void *argument)
{
    (void)argument;
    memset(segment->doubt, 0, sizeof segment->doubt);
}

static void adopt(struct dsm *dsm, const struct view *view, uint32_t proposer, uint8_t slot)
{
    bool was_none = dsm->place.view.number == 0;
    bool comes_empty = view->members[slot].joined == view->number;

    dsm_send_all(dsm); // what is on its way belongs to the view before
    rebuild_free(dsm);
    // The view before has not worked, for it waited for this node; and there was nothing to know.
    if (!was_none && !dsm->rebuilt && !anybody_keeps(&dsm->place.view))
        place_forget_last(dsm);
    if (comes_empty && !was_none)
        view_forget(dsm, ERR_OK);
    dsm->place.view = *view;
    place_make(&dsm->place);
    dsm->slot = slot;
    for (uint32_t i = 0; i < view->count; i++) {
        struct peer *peer = &dsm->peers[view->members[i].node];
        peer->view = view->number;
        if (!peer->up || !peer->known)
            peer->gone_at = dsm->now;
    }
    dsm->joined = view->members[slot].joined;
    dsm->promised = view->number;
    dsm->coordinator = proposer;
    dsm->stable = dsm->rebuilt = false;
    dsm->totals.views++;
    dsm->view_due = dsm->now + dsm->settings.retry_ns;
    if (comes_empty && anybody_keeps(view))
        segments_each(dsm, clear_doubt, NULL);
    place_doubt(dsm);
    view_tell(dsm);
    if (!rebuild_begin(dsm)) {
        // As if it had died and come again.
        view_start_over(dsm);
        return;
    }
    segments_each(dsm, renew_segment, NULL);
    place_remember(dsm);
    rebuild_send(dsm);
}

// A majority, its proposer among it, of whom nobody has come later than now.
static bool is_sane(const struct dsm *dsm, const struct view *view, uint32_t proposer)
{
    for (uint32_t i = 0; i < view->count; i++)
        if (view->members[i].joined > view->number || view->members[i].joined == 0)
            return false;
    return proposer == (view->number & 0xff) && view_slot(view, proposer) != DSM_NOBODY &&
           dsm_quorum(dsm, view->count, view_slot(view, 1) != DSM_NOBODY);
}

static void view_message(struct dsm *dsm, uint32_t from, const struct wire_record *record,
                         const uint8_t *extra)
{
    struct view view = {.number = record->txn};

    if (!view_members_read(&view, extra, record->extra) || !is_sane(dsm, &view, record->node)) {
        dsm->totals.malformed++;
        return;
    }
    uint8_t slot = view_slot(&view, dsm->settings.node);
    if (dsm->ended || slot == DSM_NOBODY || view.members[slot].life != dsm->life)
        return;
    // The proposer has to hear that it needs a higher number: this node may have followed another,
    // or itself, by mistake, and not be asked again.
    if (view.number > dsm->place.view.number && view.number < dsm->promised)
        view_hello(dsm, from);
    if (view.number < dsm->promised)
        return;
    // It was sent when all had promised, this node, too: to it or, since then, to a later one.
    if (view.number > dsm->place.view.number && view.number == dsm->promised)
        adopt(dsm, &view, record->node, slot);
    else if (view.number == dsm->place.view.number && dsm->rebuilt)
        view_put_plain(dsm, dsm->coordinator, WIRE_READY, view.number);
}

// This node has heard from all.
void view_rebuilt(struct dsm *dsm)
{
    dsm->rebuilt = true;
    view_put_plain(dsm, dsm->coordinator, WIRE_READY, dsm->place.view.number);
}

static void ask_again(struct page *page, void *argument)
{
    (void)argument;
    page->requested = DSM_NONE;
    page_run(page);
}

static void ask_all_again(struct dsm_segment *segment, void *argument)
{
    pages_each(segment, ask_again, argument);
}

void view_became_stable(struct dsm *dsm)
{
    dsm->stable = true;
    // Of the views before this one nothing can be in doubt any more.
    place_forget_history(dsm);
    place_remember(dsm);
    view_tell(dsm);
    rebuild_end(dsm);
    rebuild_free(dsm);
    segments_each(dsm, ask_all_again, NULL);
}

// --- In and by time ----------------------------------------------------------------------------

void view_received(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                   const struct wire_record *record, const uint8_t *extra)
{
    switch (record->kind) {
    case WIRE_HELLO:
        hello_received(dsm, from, header, record);
        break;
    case WIRE_PREPARE:
        propose_prepare(dsm, from, header, record);
        break;
    case WIRE_PROMISE:
        propose_promise(dsm, from, header, record, extra);
        break;
    case WIRE_VIEW:
        view_message(dsm, from, record, extra);
        break;
    case WIRE_HELD: {
        uint8_t slot = view_slot(&dsm->place.view, from);
        if (record->txn == dsm->place.view.number && slot != DSM_NOBODY && !dsm->stable &&
            dsm->place.view.members[slot].life == header->life)
            rebuild_received(dsm, slot, record, extra);
        break;
    }
    case WIRE_READY:
        propose_ready(dsm, from, record);
        break;
    default:
        if (record->txn == dsm->place.view.number && from == dsm->coordinator && dsm->rebuilt &&
            !dsm->stable)
            view_became_stable(dsm);
        break;
    }
}

static void say_hello(struct dsm *dsm)
{
    for (uint32_t node = 1; node <= DSM_NODE_MAX; node++) {
        const struct peer *peer = &dsm->peers[node];
        uint8_t slot = view_slot(&dsm->place.view, node);
        if (peer->up && (!peer->known || slot == DSM_NOBODY ||
                         dsm->place.view.members[slot].life != peer->life || !dsm->stable))
            view_hello(dsm, node);
    }
}

void view_tick(struct dsm *dsm)
{
    if (dsm->now >= dsm->hello_due) {
        dsm->hello_due = dsm->now + 4 * dsm->settings.retry_ns;
        say_hello(dsm);
        dsm->reconsider = true;
    }
    propose_tick(dsm);
    if (dsm->now >= dsm->view_due) {
        dsm->view_due = dsm->now + dsm->settings.retry_ns;
        if (dsm->place.view.number != 0 && !dsm->stable) {
            rebuild_send(dsm);
            if (dsm->rebuilt)
                view_put_plain(dsm, dsm->coordinator, WIRE_READY, dsm->place.view.number);
        } else {
            dsm->view_due = dsm->hello_due;
        }
    }
}
