// SPDX-License-Identifier: BSD-2-Clause
// Proposing a view, and promising: PREPARE and PROMISE, VIEW to all, READY of all.
#include "dsm/core/view.h"

static uint64_t all_slots(const struct view *view)
{
    return view->count == 64 ? ~0ull : bit(view->count) - 1;
}

// The lowest node that is in a view; when none is, the lowest. Who is in none may not have met yet
// all those who are. Only this one's proposals are followed, so that two who cannot reach each
// other do not take turns.
static uint32_t proposer(const struct dsm *dsm)
{
    uint32_t lowest = 0;

    for (uint32_t node = DSM_NODE_MAX; node != 0; node--) {
        const struct peer *peer = &dsm->peers[node];
        if (peer->up && peer->known &&
            (lowest == 0 || peer->view != 0 || dsm->peers[lowest].view == 0))
            lowest = node;
    }
    return lowest;
}

static void wanted_members(const struct dsm *dsm, struct view *view)
{
    *view = (struct view){0};
    for (uint32_t node = 1; node <= DSM_NODE_MAX && view->count < DSM_MEMBERS_MAX; node++)
        if (dsm->peers[node].up && dsm->peers[node].known)
            view->members[view->count++] =
                (struct member){.node = node, .life = dsm->peers[node].life};
}

static bool same_members(const struct view *left, const struct view *right)
{
    if (left->count != right->count)
        return false;
    for (uint32_t i = 0; i < left->count; i++)
        if (left->members[i].node != right->members[i].node ||
            left->members[i].life != right->members[i].life)
            return false;
    return true;
}

static uint64_t highest_promise(const struct dsm *dsm)
{
    uint64_t highest = dsm->promised;

    for (uint32_t node = 1; node <= DSM_NODE_MAX; node++)
        if (dsm->peers[node].up && dsm->peers[node].promised > highest)
            highest = dsm->peers[node].promised;
    return highest;
}

static uint64_t next_number(const struct dsm *dsm)
{
    return ((highest_promise(dsm) >> 8) + 1) << 8 | dsm->settings.node;
}

static void put_prepare(struct dsm *dsm)
{
    const struct proposal *proposal = &dsm->proposal;
    struct wire_record record = {
        .kind = WIRE_PREPARE, .txn = proposal->view.number, .version = dsm->place.view.number};

    for (uint32_t slot = 0; slot < proposal->view.count; slot++)
        if ((proposal->promised & bit(slot)) == 0)
            dsm_put(dsm, proposal->view.members[slot].node, &record, NULL);
}

// Those who are gone may not know it yet; and those whom this node has yet to meet may only be
// late.
static uint64_t fence_time(const struct dsm *dsm, const struct view *wanted)
{
    uint64_t fence = 0;

    for (uint32_t i = 0; i < dsm->place.view.count; i++) {
        const struct member *member = &dsm->place.view.members[i];
        uint64_t until = dsm->peers[member->node].gone_at + dsm->settings.fence_ns;
        if (view_slot(wanted, member->node) == DSM_NOBODY && until > fence)
            fence = until;
    }
    return fence;
}

static void propose(struct dsm *dsm, const struct view *wanted)
{
    struct proposal *proposal = &dsm->proposal;

    *proposal = (struct proposal){.active = true, .view = *wanted};
    proposal->view.number = next_number(dsm);
    proposal->fence = fence_time(dsm, wanted);
    proposal->due = dsm->now + dsm->settings.retry_ns;
    put_prepare(dsm);
}

void view_consider(struct dsm *dsm)
{
    struct view wanted;

    if (!dsm->reconsider)
        return;
    dsm->reconsider = false;
    if (!dsm_has_majority(dsm)) {
        if (!dsm->ended)
            view_end(dsm);
        return;
    }
    if (dsm->ended) {
        dsm->ended = false;
        for (uint32_t node = 1; node <= DSM_NODE_MAX; node++)
            if (dsm->peers[node].up)
                view_hello(dsm, node);
        view_tell(dsm);
    }
    wanted_members(dsm, &wanted);
    if (proposer(dsm) != dsm->settings.node ||
        !dsm_quorum(dsm, wanted.count, view_slot(&wanted, 1) != DSM_NOBODY) ||
        (dsm->place.view.number != 0 && dsm->place.view.number >= highest_promise(dsm) &&
         same_members(&wanted, &dsm->place.view))) {
        dsm->proposal.active = dsm->proposal.active && dsm->proposal.sent &&
                               dsm->proposal.view.number == dsm->place.view.number;
        return;
    }
    // Somebody may have promised another meanwhile, by mistake: then with a higher number.
    if (dsm->proposal.active && same_members(&wanted, &dsm->proposal.view) &&
        dsm->proposal.view.number >= highest_promise(dsm))
        return;
    propose(dsm, &wanted);
}

// Of those who came with what they hold, in the latest view that anybody knows.
static void set_joined(struct proposal *proposal)
{
    for (uint32_t slot = 0; slot < proposal->view.count; slot++) {
        struct member *member = &proposal->view.members[slot];
        uint8_t before = view_slot(&proposal->base, member->node);
        bool keeps = proposal->base.number != 0 && before != DSM_NOBODY &&
                     proposal->base.members[before].life == member->life &&
                     proposal->base.members[before].joined == proposal->joined[slot];
        member->joined = keeps ? proposal->joined[slot] : proposal->view.number;
    }
}

static void send_view(struct dsm *dsm)
{
    struct proposal *proposal = &dsm->proposal;

    if (proposal->sent || proposal->promised != all_slots(&proposal->view) ||
        dsm->now < proposal->fence)
        return;
    set_joined(proposal);
    proposal->sent = true;
    proposal->due = dsm->now + dsm->settings.retry_ns;
    for (uint32_t slot = 0; slot < proposal->view.count; slot++)
        view_put_members(dsm, proposal->view.members[slot].node, &proposal->view,
                         dsm->settings.node);
}

void propose_prepare(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                     const struct wire_record *record)
{
    struct peer *peer = &dsm->peers[from];
    uint8_t members[DSM_MEMBERS_MAX * WIRE_MEMBER_BYTES];
    struct wire_record answer = {.kind = WIRE_PROMISE,
                                 .txn = record->txn,
                                 .version = dsm->place.view.number,
                                 .serial = dsm->joined};

    // A HELLO that came late may have told otherwise; this is repeated until it is promised.
    if (peer->life == header->life)
        view_heard(dsm, peer, record->version);
    if (record->txn < dsm->promised || record->txn - dsm->promised > VIEW_LEAP_MAX ||
        (record->txn & 0xff) != from || dsm->ended || proposer(dsm) != from) {
        view_hello(dsm, from);
        return;
    }
    dsm->promised = record->txn;
    answer.extra = (uint32_t)view_members_write(members, &dsm->place.view);
    dsm_put(dsm, from, &answer, members);
}

void propose_promise(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                     const struct wire_record *record, const uint8_t *extra)
{
    struct proposal *proposal = &dsm->proposal;
    uint8_t slot = view_slot(&proposal->view, from);
    struct view adopted = {.number = record->version};

    if (!proposal->active || proposal->sent || record->txn != proposal->view.number ||
        slot == DSM_NOBODY || proposal->view.members[slot].life != header->life)
        return;
    if (!view_members_read(&adopted, extra, record->extra)) {
        dsm->totals.malformed++;
        return;
    }
    if (adopted.number > proposal->base.number)
        proposal->base = adopted;
    proposal->joined[slot] = record->serial;
    proposal->promised |= bit(slot);
    send_view(dsm);
}

// --- Until all are ready

void propose_ready(struct dsm *dsm, uint32_t from, const struct wire_record *record)
{
    struct proposal *proposal = &dsm->proposal;
    uint8_t slot = view_slot(&dsm->place.view, from);

    if (record->txn != dsm->place.view.number || slot == DSM_NOBODY ||
        dsm->coordinator != dsm->settings.node)
        return;
    if (dsm->stable) {
        view_put_plain(dsm, from, WIRE_STABLE, record->txn);
        return;
    }
    if (!proposal->active || proposal->view.number != record->txn)
        return;
    proposal->ready |= bit(slot);
    if (proposal->ready != all_slots(&proposal->view))
        return;
    for (uint32_t i = 0; i < proposal->view.count; i++)
        view_put_plain(dsm, proposal->view.members[i].node, WIRE_STABLE, record->txn);
    proposal->active = false;
}

// Says again what has not been answered.
void propose_tick(struct dsm *dsm)
{
    struct proposal *proposal = &dsm->proposal;

    if (!proposal->active)
        return;
    send_view(dsm);
    if (dsm->now < proposal->due)
        return;
    proposal->due = dsm->now + dsm->settings.retry_ns;
    if (!proposal->sent)
        put_prepare(dsm);
    for (uint32_t slot = 0; proposal->sent && slot < proposal->view.count; slot++)
        if ((proposal->ready & bit(slot)) == 0)
            view_put_members(dsm, proposal->view.members[slot].node, &proposal->view,
                             dsm->settings.node);
}
