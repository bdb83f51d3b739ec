// SPDX-License-Identifier: BSD-2-Clause
// Messages for ports of this node: put together, kept in order, delivered one by
// one for each peer and port, and answered.
#include "netipc/core/internal.h"

#include <stdlib.h>
#include <string.h>

// --- In order ----------------------------------------------------------------------------

static struct inbound *inbound_of(struct peer *peer, uint32_t number)
{
    struct table_link *link = table_find(&peer->inbounds, number);

    return link != NULL ? table_element(link, struct inbound, by_number) : NULL;
}

static struct inbound *inbound_make(struct peer *peer, uint32_t number)
{
    struct inbound *inbound = inbound_of(peer, number);

    if (inbound != NULL)
        return inbound;
    inbound = calloc(1, sizeof *inbound);
    if (inbound == NULL)
        return NULL;
    inbound->peer = peer;
    inbound->number = number;
    table_insert(&peer->inbounds, &inbound->by_number, number);
    return inbound;
}

static void inbound_free(struct inbound *inbound)
{
    table_remove(&inbound->peer->inbounds, &inbound->by_number);
    pool_give(&inbound->peer->core->pool, inbound->partial.bytes);
    free(inbound);
}

static void tell_accepted(struct inbound *inbound)
{
    peer_control(inbound->peer, &(struct control){.kind = CONTROL_ACCEPTED,
                                                  .number = inbound->number,
                                                  .generation = inbound->generation,
                                                  .serial = inbound->serial,
                                                  .value = inbound->accepted});
    inbound->accepted = 0;
    inbound->accepted_bytes = 0;
}

// Frees it when it is empty and nothing more is to come.
static void inbound_settle(struct inbound *inbound)
{
    if (!inbound->orphan || inbound->first != NULL || inbound->busy ||
        inbound->partial.bytes != NULL)
        return;
    if (inbound->accepted != 0)
        tell_accepted(inbound);
    inbound_free(inbound);
}

// The peer has given the port back, or it has died; what came before stays.
void inbound_forget_export(struct peer *peer, uint32_t number)
{
    struct inbound *inbound = inbound_of(peer, number);

    if (inbound == NULL)
        return;
    inbound->orphan = true;
    inbound_settle(inbound);
}

static void count_accepted(struct inbound *inbound, const struct delivery *delivery)
{
    if (inbound->serial != delivery->serial) {
        // Another import; the one before has been given back, and nobody waits for it.
        inbound->generation = delivery->generation;
        inbound->serial = delivery->serial;
        inbound->accepted = 0;
        inbound->accepted_bytes = 0;
    }
    inbound->accepted++;
    inbound->accepted_bytes += delivery->bytes;
    if (delivery->tell_now || inbound->accepted >= ACCEPT_MESSAGES ||
        inbound->accepted_bytes >= ACCEPT_BYTES)
        tell_accepted(inbound);
}

// An answer tells of accepted messages, too.
static uint32_t take_accepted(struct peer *peer, const struct delivery *delivery)
{
    struct inbound *inbound = inbound_of(peer, delivery->number);
    uint32_t accepted;

    if (inbound == NULL || inbound->serial != delivery->serial)
        return 0;
    accepted = inbound->accepted;
    inbound->accepted = 0;
    inbound->accepted_bytes = 0;
    return accepted;
}

// --- One delivery -----------------------------------------------------------------------------

static void delivery_free(struct core *core, struct delivery *delivery)
{
    if (delivery->peer != NULL) {
        *delivery->self = delivery->next;
        if (delivery->next != NULL)
            delivery->next->self = delivery->self;
    }
    if (delivery->export != NULL)
        export_not_needed(core, delivery->export);
    pool_give(&core->pool, delivery->memory);
    pool_give(&core->pool, delivery);
}

static void answer_delivery(struct delivery *delivery, const struct core_message *answer,
                            corvus_error_t error)
{
    struct peer *peer = delivery->peer;

    (void)answer_send(peer, delivery->call - 1, delivery->call_generation,
                      take_accepted(peer, delivery), answer, error);
}

// The port was dead before the message came.
static void refuse(struct inbound *inbound, struct delivery *delivery)
{
    struct core *core = inbound->peer->core;

    core->counters.dead_exports++;
    inbound->orphan = true;
    rights_discard(inbound->peer, delivery->rights, delivery->public.message.right_count);
    count_accepted(inbound, delivery);
    if (delivery->call != 0)
        answer_delivery(delivery, NULL, ERR_PEER_DIED);
    delivery_free(core, delivery);
}

static void deliver_next(struct inbound *inbound)
{
    struct core *core = inbound->peer->core;

    while (inbound->first != NULL && !inbound->busy) {
        struct delivery *delivery = inbound->first;
        inbound->first = delivery->queue_next;
        if (inbound->first == NULL)
            inbound->last = NULL;
        delivery->queued = false;
        if (delivery->export == NULL || delivery->export->dead) {
            refuse(inbound, delivery);
            continue;
        }
        inbound->busy = true;
        struct core_incoming *message = &delivery->public.message;
        rights_arrive(inbound->peer, delivery->rights, message->right_count, message->rights);
        core->counters.messages_received++;
        delivery->given = true;
        OPERATION(core, deliver, &delivery->public);
    }
    inbound_settle(inbound);
}

static void deliver_next_to(struct peer *peer, uint32_t number)
{
    struct inbound *inbound = inbound_of(peer, number);

    if (inbound != NULL)
        deliver_next(inbound);
}

static void take_contents(struct delivery *delivery, const struct wire_message *message)
{
    struct core_incoming *incoming = &delivery->public.message;

    incoming->id = message->head.id;
    incoming->word_count = message->head.words;
    incoming->right_count = message->head.rights;
    incoming->item_count = message->head.items;
    memcpy(incoming->words, message->words, 8u * message->head.words);
    memcpy(delivery->rights, message->rights, message->head.rights * sizeof message->rights[0]);
    memcpy(incoming->items, message->items, message->head.items * sizeof message->items[0]);
    memcpy(delivery->public.room, message->head.room, sizeof delivery->public.room);
    delivery->generation = message->head.generation;
    delivery->serial = message->head.serial;
    delivery->call = message->head.call;
    delivery->call_generation = message->head.call_generation;
    delivery->public.is_call = message->head.call != 0;
    delivery->tell_now = message->head.flags & WIRE_ACCEPT_NOW;
}

static struct delivery *delivery_make(struct peer *peer, struct inbound *inbound,
                                      const struct wire_message *message)
{
    struct delivery *delivery = pool_take(&peer->core->pool, sizeof *delivery);
    struct export *export = export_find(peer->core, inbound->number, message->head.generation);

    if (delivery == NULL)
        return NULL;
    *delivery = (struct delivery){0};
    take_contents(delivery, message);
    delivery->peer = peer;
    delivery->number = inbound->number;
    delivery->inbound = inbound;
    delivery->queued = true;
    delivery->export = export;
    if (export != NULL) {
        export_needed(export);
        delivery->public.handle = export->handle;
    }
    delivery->next = peer->deliveries;
    delivery->self = &peer->deliveries;
    if (delivery->next != NULL)
        delivery->next->self = &delivery->next;
    peer->deliveries = delivery;
    return delivery;
}

static bool message_complete(struct peer *peer, struct inbound *inbound)
{
    uint8_t *bytes = inbound->partial.bytes;
    uint32_t total = inbound->partial.total;
    struct pool *pool = &peer->core->pool;
    struct wire_message message;

    inbound->partial = (struct partial){0};
    if (!wire_read(SEGMENT_REQUEST, bytes, total, &message)) {
        pool_give(pool, bytes);
        peer_protocol_error(peer, "it sent an impossible message");
        return false;
    }
    struct delivery *delivery = delivery_make(peer, inbound, &message);
    if (delivery == NULL) {
        pool_give(pool, bytes);
        peer_no_memory(peer);
        return false;
    }
    delivery->bytes = total;
    if (message.head.items != 0)
        delivery->memory = bytes;
    else
        pool_give(pool, bytes);
    if (inbound->last != NULL)
        inbound->last->queue_next = delivery;
    else
        inbound->first = delivery;
    inbound->last = delivery;
    return true;
}

void delivery_received(struct peer *peer, uint32_t number, uint8_t flags, struct reader *reader)
{
    struct inbound *inbound = number < CORE_EXPORTS_MAX ? inbound_make(peer, number) : NULL;

    if (number >= CORE_EXPORTS_MAX) {
        peer_protocol_error(peer, "it sent a message to an impossible port");
        return;
    }
    if (inbound == NULL) {
        peer_no_memory(peer);
        return;
    }
    if (!partial_add(peer, &inbound->partial, flags, reader))
        return;
    if ((flags & SEGMENT_LAST) && message_complete(peer, inbound))
        deliver_next(inbound);
}

// --- Given back ----------------------------------------------------------------------------------

// It is in the port's hands: the next one may go.
static void leave_inbound(struct delivery *delivery)
{
    struct inbound *inbound = delivery->inbound;

    delivery->inbound = NULL;
    if (inbound != NULL) {
        inbound->busy = false;
        count_accepted(inbound, delivery);
    }
}

void core_delivered(struct core *core, struct core_delivery *public)
{
    struct delivery *delivery = (struct delivery *)public;
    struct peer *peer = delivery->peer;
    uint32_t number = delivery->number;

    leave_inbound(delivery);
    if (!public->is_call)
        delivery_free(core, delivery);
    if (peer != NULL)
        deliver_next_to(peer, number);
    core_flush(core);
}

void core_answer(struct core *core, struct core_delivery *public, const struct core_message *answer,
                 corvus_error_t error)
{
    struct delivery *delivery = (struct delivery *)public;
    struct peer *peer = delivery->peer;
    uint32_t number = delivery->number;

    leave_inbound(delivery);
    if (peer != NULL)
        answer_delivery(delivery, answer, error);
    else if (answer != NULL)
        rights_drop(core, answer);
    delivery_free(core, delivery);
    // By number, for the answer may have freed it.
    if (peer != NULL)
        deliver_next_to(peer, number);
    core_flush(core);
}

// --- The peer is dead ----------------------------------------------------------------------------

void delivery_forget_peer(struct peer *peer)
{
    struct delivery *next;

    for (struct delivery *delivery = peer->deliveries; delivery != NULL; delivery = next) {
        next = delivery->next;
        if (delivery->queued)
            continue;
        // It is in the hands of the owner, or about to be.
        delivery->peer = NULL;
        delivery->inbound = NULL;
        *delivery->self = next;
        if (next != NULL)
            next->self = delivery->self;
        if (delivery->given)
            OPERATION(peer->core, abandon, &delivery->public);
    }
    while (peer->deliveries != NULL)
        delivery_free(peer->core, peer->deliveries);
    for (uint32_t i = 0; i < 1u << peer->inbounds.bits; i++)
        while (peer->inbounds.buckets[i] != NULL)
            inbound_free(table_element(peer->inbounds.buckets[i], struct inbound, by_number));
}
