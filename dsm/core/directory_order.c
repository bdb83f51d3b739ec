// SPDX-License-Identifier: BSD-2-Clause
// The order of changes. One member at a time, the coordinator, orders them: it has every member
// accept a change, then makes it and tells them to. Whoever becomes coordinator has all members
// promise to hear no earlier one, and tell what they have: the longest history is everybody's from
// then on, and a change that somebody had accepted is ordered again, for it may have been answered.
// (Single-decree Paxos for each change in turn, whose quorum is all members of a majority.)
//
//   asker --PROPOSE--> coordinator --ACCEPT--> members --ACCEPTED--> coordinator --COMMIT-->
//   members new coordinator --PREPARE--> members --PROMISE--> coordinator --SYNC--> members
#include "dsm/core/directory_order.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_TICKS   4u
#define PROPOSALS_MAX 1024u

bool nodes_are_none(const struct directory_nodes *nodes)
{
    return (nodes->bits[0] | nodes->bits[1] | nodes->bits[2] | nodes->bits[3]) == 0;
}

unsigned nodes_lowest(const struct directory_nodes *nodes)
{
    for (unsigned node = 1; node <= DIRECTORY_NODES_MAX; node++)
        if (directory_has_node(nodes, node))
            return node;
    return 0;
}

static bool is_lowest(const struct directory *directory)
{
    return nodes_lowest(&directory->members) == directory->node;
}

// --- Sending ------------------------------------------------------------------------------------

void order_send(struct directory *directory, unsigned to, const struct envelope *envelope,
                const void *bytes, size_t count)
{
    uint8_t message[sizeof *envelope + CHANGE_BYTES_MAX];

    memcpy(message, envelope, sizeof *envelope);
    if (count != 0)
        memcpy(message + sizeof *envelope, bytes, count);
    directory->output->send(directory->context, to, message, sizeof *envelope + count);
}

void order_send_to_members(struct directory *directory, const struct envelope *envelope,
                           const void *bytes, size_t count)
{
    for (unsigned to = 1; to <= DIRECTORY_NODES_MAX; to++)
        if (to != directory->node && directory_has_node(&directory->members, to))
            order_send(directory, to, envelope, bytes, count);
}

void order_send_plain(struct directory *directory, unsigned to, enum message_type type)
{
    struct envelope envelope = {
        .type = type, .epoch = directory->epoch, .sequence = directory->contents.sequence};

    order_send(directory, to, &envelope, NULL, 0);
}

// Envelope, in a PROMISE what was accepted, and the contents.
void order_send_image(struct directory *directory, unsigned to, enum message_type type)
{
    const struct accepted *accepted = &directory->accepted;
    struct envelope envelope = {.type = type, .epoch = directory->epoch};
    uint8_t *at = directory->message;
    uint64_t count = 0;

    envelope.sequence = directory->contents.sequence;
    memcpy(at, &envelope, sizeof envelope);
    at += sizeof envelope;
    if (type == MESSAGE_PROMISE) {
        if (accepted->there) {
            struct envelope about = {MESSAGE_ACCEPT, accepted->origin, accepted->epoch,
                                     accepted->sequence, accepted->request};
            memcpy(at + sizeof count, &about, sizeof about);
            count =
                sizeof about + change_write(&accepted->change, at + sizeof count + sizeof about);
        }
        memcpy(at, &count, sizeof count);
        at += sizeof count + count;
    }
    at += image_write(&directory->contents, at);
    directory->output->send(directory->context, to, directory->message,
                            (size_t)(at - directory->message));
}

// --- This node's own requests --------------------------------------------------------------------

void order_free_proposals(struct directory *directory)
{
    while (directory->proposals != NULL) {
        struct proposal *proposal = directory->proposals;
        directory->proposals = proposal->next;
        free(proposal);
    }
    directory->proposal_count = 0;
}

static bool is_known(const struct directory *directory, unsigned origin, uint64_t request)
{
    if (directory->contents.last[origin].request >= request)
        return true;
    if (directory->accepted.there && directory->accepted.origin == origin &&
        directory->accepted.request == request)
        return true;
    for (const struct proposal *one = directory->proposals; one != NULL; one = one->next)
        if (one->origin == origin && one->request == request)
            return true;
    return false;
}

static void take_proposal(struct directory *directory, unsigned origin, uint64_t request,
                          const struct directory_change *change)
{
    struct proposal **place = &directory->proposals, *proposal;

    if (is_known(directory, origin, request) || directory->proposal_count >= PROPOSALS_MAX)
        return;
    proposal = malloc(sizeof *proposal);
    if (proposal == NULL) // it will be asked for again
        return;
    *proposal = (struct proposal){.origin = origin, .request = request, .change = *change};
    while (*place != NULL)
        place = &(*place)->next;
    *place = proposal;
    directory->proposal_count++;
    order_next(directory);
}

void order_propose(struct directory *directory)
{
    const struct proposal *ask = directory->asks;
    uint8_t bytes[CHANGE_BYTES_MAX];

    if (ask == NULL || directory->coordinator == 0)
        return;
    if (directory->coordinator == directory->node) {
        take_proposal(directory, directory->node, ask->request, &ask->change);
        return;
    }
    struct envelope envelope = {
        .type = MESSAGE_PROPOSE, .origin = directory->node, .request = ask->request};
    order_send(directory, directory->coordinator, &envelope, bytes,
               change_write(&ask->change, bytes));
}

static void end_ask(struct directory *directory, corvus_error_t error, uint64_t segment)
{
    struct proposal *ask = directory->asks;
    void *token = ask->token;

    directory->asks = ask->next;
    free(ask);
    directory->output->done(directory->context, token, error, segment);
}

// Answers the oldest request if it has been made, and asks for the next one.
static void answer_ask(struct directory *directory)
{
    const struct directory_last *last = &directory->contents.last[directory->node];

    if (directory->asks == NULL || last->request != directory->asks->request)
        return;
    end_ask(directory, last->error, last->segment);
    order_propose(directory);
}

void order_fail_asks(struct directory *directory)
{
    while (directory->asks != NULL)
        end_ask(directory, ERR_PEER_DIED, 0);
}

// --- Changes -------------------------------------------------------------------------------------

static void make(struct directory *directory)
{
    struct accepted *accepted = &directory->accepted;
    struct directory_contents *contents = &directory->contents;
    uint64_t segment;
    corvus_error_t error = contents_make(contents, &accepted->change, &segment);

    contents->sequence++;
    accepted->there = false;
    if (accepted->origin != 0)
        contents->last[accepted->origin] =
            (struct directory_last){accepted->request, segment, error};
    if (error == ERR_OK)
        directory->output->changed(directory->context,
                                   accepted->change.kind == DIRECTORY_GONE ? 0 : segment);
}

void order_settle(struct directory *directory)
{
    answer_ask(directory);
    if (directory_settled(directory))
        directory->output->settled(directory->context);
}

static void commit(struct directory *directory)
{
    struct envelope envelope = {.type = MESSAGE_COMMIT, .epoch = directory->epoch};

    make(directory);
    envelope.sequence = directory->contents.sequence;
    order_send_to_members(directory, &envelope, NULL, 0);
    order_settle(directory);
    order_next(directory);
}

void order_await_members(struct directory *directory)
{
    directory->awaited = directory->members;
    directory_remove_node(&directory->awaited, directory->node);
}

void order_change(struct directory *directory, unsigned origin, uint64_t request,
                  const struct directory_change *change)
{
    struct accepted *accepted = &directory->accepted;
    uint8_t bytes[CHANGE_BYTES_MAX];

    accepted->there = true;
    accepted->origin = origin;
    accepted->request = request;
    accepted->epoch = directory->epoch;
    accepted->sequence = directory->contents.sequence + 1;
    if (&accepted->change != change)
        accepted->change = *change;
    struct envelope envelope = {MESSAGE_ACCEPT, origin, accepted->epoch, accepted->sequence,
                                request};
    order_await_members(directory);
    order_send_to_members(directory, &envelope, bytes, change_write(change, bytes));
    if (nodes_are_none(&directory->awaited))
        commit(directory);
}

// A node that has something open and is no member; 0: there is none.
static unsigned departed(const struct directory *directory)
{
    const struct directory_segment *segment = directory->contents.segments;

    for (; segment != NULL; segment = segment->next) {
        struct directory_nodes left = segment->holders;
        for (unsigned i = 0; i < 4; i++)
            left.bits[i] &= ~directory->members.bits[i];
        if (!nodes_are_none(&left))
            return nodes_lowest(&left);
    }
    return 0;
}

void order_next(struct directory *directory)
{
    struct proposal *proposal = directory->proposals;
    unsigned gone;

    if (directory->role != LEADING || directory->accepted.there)
        return;
    gone = departed(directory);
    if (gone != 0) {
        struct directory_change change = {.kind = DIRECTORY_GONE, .node = (uint8_t)gone};
        order_change(directory, 0, 0, &change);
    } else if (proposal != NULL) {
        struct directory_change change = proposal->change;
        unsigned origin = proposal->origin;
        uint64_t request = proposal->request;
        directory->proposals = proposal->next;
        directory->proposal_count--;
        free(proposal);
        order_change(directory, origin, request, &change);
    }
}

// --- What others say -----------------------------------------------------------------------------

static bool hear_accept(struct directory *directory, unsigned from, const struct envelope *envelope,
                        const uint8_t *bytes, size_t count)
{
    struct directory_change change;

    if (envelope->epoch < directory->epoch) {
        order_send_plain(directory, from, MESSAGE_REFUSE);
        return true;
    }
    if (directory->coordinator != from || envelope->epoch != directory->epoch ||
        envelope->sequence != directory->contents.sequence + 1 ||
        envelope->origin > DIRECTORY_NODES_MAX || !change_read(&change, bytes, count))
        return false;
    directory->accepted = (struct accepted){.there = true,
                                            .origin = envelope->origin,
                                            .epoch = envelope->epoch,
                                            .sequence = envelope->sequence,
                                            .request = envelope->request,
                                            .change = change};
    struct envelope answer = *envelope;
    answer.type = MESSAGE_ACCEPTED;
    order_send(directory, from, &answer, NULL, 0);
    return true;
}

static void hear_accepted(struct directory *directory, unsigned from,
                          const struct envelope *envelope)
{
    if (directory->role != LEADING || !directory->accepted.there ||
        envelope->epoch != directory->epoch || envelope->sequence != directory->accepted.sequence)
        return;
    directory_remove_node(&directory->awaited, from);
    if (nodes_are_none(&directory->awaited))
        commit(directory);
}

static void hear_commit(struct directory *directory, unsigned from, const struct envelope *envelope)
{
    if (directory->coordinator != from || envelope->epoch != directory->epoch ||
        !directory->accepted.there || envelope->sequence != directory->accepted.sequence ||
        directory->accepted.epoch != envelope->epoch)
        return;
    make(directory);
    order_settle(directory);
}

bool directory_receive(struct directory *directory, unsigned from, const void *bytes, size_t count)
{
    const uint8_t *rest = (const uint8_t *)bytes + sizeof(struct envelope);
    struct directory_change change;
    struct envelope envelope;

    if (count < sizeof envelope || from < 1 || from > DIRECTORY_NODES_MAX ||
        from == directory->node)
        return false;
    memcpy(&envelope, bytes, sizeof envelope);
    count -= sizeof envelope;
    // A minority answers, too: whoever asks may be in a majority of which this node sees less.
    if (!directory_has_node(&directory->members, from))
        return true;
    switch (envelope.type) {
    case MESSAGE_PROPOSE:
        if (envelope.origin != from || !change_read(&change, rest, count))
            return false;
        if (directory->role == LEADING)
            take_proposal(directory, from, envelope.request, &change);
        return true;
    case MESSAGE_PREPARE:
        lead_prepare_heard(directory, from, &envelope);
        return true;
    case MESSAGE_PROMISE:
        return lead_promise_heard(directory, from, &envelope, rest, count);
    case MESSAGE_REFUSE:
        if (envelope.epoch > directory->epoch) {
            directory->epoch = envelope.epoch;
            lead_end(directory);
        }
        return true;
    case MESSAGE_SYNC:
        return lead_sync_heard(directory, from, &envelope, rest, count);
    case MESSAGE_ACCEPT:
        return hear_accept(directory, from, &envelope, rest, count);
    case MESSAGE_ACCEPTED:
        hear_accepted(directory, from, &envelope);
        return true;
    case MESSAGE_COMMIT:
        hear_commit(directory, from, &envelope);
        return true;
    default:
        return false;
    }
}

// --- Who takes part ------------------------------------------------------------------------------

static void members_left(struct directory *directory)
{
    for (unsigned i = 0; i < 4; i++)
        directory->awaited.bits[i] &= directory->members.bits[i];
    if (!nodes_are_none(&directory->awaited))
        return;
    if (directory->role == ASKING)
        lead_begin(directory);
    else if (directory->accepted.there)
        commit(directory);
    else
        order_next(directory);
}

void directory_view(struct directory *directory, const struct directory_nodes *members,
                    bool majority)
{
    bool gained = false, had_majority = directory->majority;

    for (unsigned i = 0; i < 4; i++)
        gained = gained || (members->bits[i] & ~directory->members.bits[i]) != 0;
    directory->members = *members;
    directory->majority = majority;
    if (directory->coordinator != 0 && !directory_has_node(members, directory->coordinator))
        directory->coordinator = 0;
    if (!majority) {
        if (directory->role != FOLLOWING)
            lead_end(directory);
        order_fail_asks(directory);
        if (had_majority)
            directory->output->settled(directory->context);
        return;
    }
    if (!is_lowest(directory)) {
        if (directory->role != FOLLOWING)
            lead_end(directory);
    } else if (directory->role == FOLLOWING || gained) {
        lead_ask(directory);
    } else {
        members_left(directory);
    }
}

void directory_tick(struct directory *directory)
{
    if (!directory->majority)
        return;
    if (directory->role == FOLLOWING && is_lowest(directory))
        lead_ask(directory);
    else if (++directory->ticks % RETRY_TICKS != 0)
        return;
    else if (directory->role == ASKING)
        lead_ask_again(directory);
    else
        order_propose(directory);
}
