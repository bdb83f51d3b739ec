// SPDX-License-Identifier: BSD-2-Clause
// Answers: those that callers of this node wait for, and those that this node owes.
// A send-once right in a message is a call, too: whoever holds it on the other
// side answers it, once.
#include "netipc/core/internal.h"

#include <stdlib.h>
#include <string.h>

// --- Calls of this node ----------------------------------------------------------------

static struct call *call_of(const struct core *core, uint32_t number)
{
    return number < core->call_count ? core->calls[number] : NULL;
}

static bool add_numbers(struct core *core)
{
    uint32_t wanted = core->call_count == 0 ? 64 : 2 * core->call_count;

    if (wanted > CORE_CALLS_MAX)
        return false;
    struct call **larger = realloc(core->calls, wanted * sizeof *larger);
    if (larger == NULL)
        return false;
    core->calls = larger;
    while (core->call_count < wanted) {
        struct call *call = calloc(1, sizeof *call);
        if (call == NULL)
            break;
        call->number = core->call_count;
        call->next_free = core->free_call;
        core->free_call = call;
        core->calls[core->call_count++] = call;
    }
    return core->free_call != NULL;
}

struct call *call_make(struct peer *peer, uint64_t handle, struct core_import *import)
{
    struct core *core = peer->core;

    if (core->free_call == NULL && !add_numbers(core)) {
        core->counters.no_memory++;
        return NULL;
    }
    struct call *call = core->free_call;
    core->free_call = call->next_free;
    call->used = true;
    call->peer = peer;
    call->handle = handle;
    call->import = import;
    if (import != NULL)
        import->calls++;
    call->next = peer->calls;
    call->self = &peer->calls;
    if (call->next != NULL)
        call->next->self = &call->next;
    peer->calls = call;
    peer->call_count++;
    return call;
}

struct call *call_find(struct core *core, uint32_t number, uint32_t generation)
{
    struct call *call = call_of(core, number);

    return call != NULL && call->used && call->generation == generation ? call : NULL;
}

uint64_t call_end(struct call *call)
{
    struct core_import *import = call->import;
    struct core *core = call->peer->core;

    *call->self = call->next;
    if (call->next != NULL)
        call->next->self = call->self;
    call->peer->call_count--;
    pool_give(&core->pool, call->partial.bytes);
    call->partial = (struct partial){0};
    call->used = false;
    call->generation++;
    call->import = NULL;
    call->next_free = core->free_call;
    core->free_call = call;
    if (import != NULL) {
        import->calls--;
        import_settle(import);
    }
    return call->handle;
}

void call_forget_peer(struct peer *peer)
{
    while (peer->calls != NULL) {
        uint64_t handle = call_end(peer->calls);
        OPERATION(peer->core, complete, handle, NULL, ERR_PEER_DIED);
    }
}

// --- Messages in several segments ----------------------------------------------------------

static bool misplaced(struct peer *peer)
{
    peer_protocol_error(peer, "it sent a misplaced segment");
    return false;
}

bool partial_add(struct peer *peer, struct partial *partial, uint8_t flags, struct reader *reader)
{
    size_t bytes = (size_t)(reader->end - reader->at);

    if (((flags & SEGMENT_FIRST) != 0) != (partial->bytes == NULL))
        return misplaced(peer);
    if (flags & SEGMENT_FIRST) {
        partial->total = reader_get32(reader);
        bytes = (size_t)(reader->end - reader->at);
        if (reader->bad || partial->total > MESSAGE_MAX || partial->total < bytes)
            return misplaced(peer);
        partial->have = 0;
        partial->bytes = pool_take(&peer->core->pool, partial->total + 1u);
        if (partial->bytes == NULL) {
            peer_no_memory(peer);
            return false;
        }
    }
    if (bytes > partial->total - partial->have)
        return misplaced(peer);
    memcpy(partial->bytes + partial->have, reader->at, bytes);
    partial->have += (uint32_t)bytes;
    if ((flags & SEGMENT_LAST) != 0 && partial->have != partial->total)
        return misplaced(peer);
    return true;
}

// --- Answers to this node ---------------------------------------------------------------------

static void incoming_of(const struct wire_message *message, struct core_incoming *incoming)
{
    *incoming = (struct core_incoming){.id = message->head.id,
                                       .word_count = message->head.words,
                                       .right_count = message->head.rights,
                                       .item_count = message->head.items};
    for (unsigned i = 0; i < message->head.words; i++)
        incoming->words[i] = message->words[i];
    for (unsigned i = 0; i < message->head.items; i++)
        incoming->items[i] = message->items[i];
}

static void complete(struct peer *peer, struct call *call, const struct wire_message *message)
{
    struct core *core = peer->core;
    struct core_import *import = call->import;
    struct core_incoming incoming;

    core->counters.answers_received++;
    if (import != NULL && import->home != NULL && message->head.accepted != 0) {
        import_accepted(import, message->head.accepted);
        if (peer->link == NULL)
            return; // that was impossible
    }
    uint8_t *memory = call->partial.bytes; // the items are there
    call->partial.bytes = NULL;
    uint64_t handle = call_end(call);
    if (message->head.error != ERR_OK) {
        rights_discard(peer, message->rights, message->head.rights);
        OPERATION(core, complete, handle, NULL, (corvus_error_t)message->head.error);
    } else {
        incoming_of(message, &incoming);
        rights_arrive(peer, message->rights, message->head.rights, incoming.rights);
        OPERATION(core, complete, handle, &incoming, ERR_OK);
    }
    pool_give(&core->pool, memory);
}

void call_answered(struct peer *peer, uint32_t number, uint8_t flags, struct reader *reader)
{
    struct call *call = call_of(peer->core, number);
    struct wire_message message;

    if (call == NULL || !call->used || call->peer != peer) {
        peer_protocol_error(peer, "it answered what nobody asked");
        return;
    }
    if (!partial_add(peer, &call->partial, flags, reader) || !(flags & SEGMENT_LAST))
        return;
    if (!wire_read(SEGMENT_ANSWER, call->partial.bytes, call->partial.total, &message) ||
        message.head.generation != call->generation) {
        peer_protocol_error(peer, "it sent an impossible answer");
        return;
    }
    complete(peer, call, &message);
}

// --- Answers of this node ----------------------------------------------------------------------

static void free_stream(struct stream *stream)
{
    free(stream);
}

// A long answer takes turns with others; short ones go in one row.
static void stream_answer(struct peer *peer, struct segment_list *segments)
{
    struct stream *stream = NULL;

    if (segments->first != segments->last)
        stream = calloc(1, sizeof *stream);
    if (stream != NULL)
        stream->drained = free_stream;
    peer_stream(peer, stream != NULL ? stream : &peer->answers, segments);
}

static corvus_error_t check_answer(const struct core_message *message)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < message->item_count; i++)
        bytes += message->items[i].bytes;
    return bytes > CORE_COPY_MAX ? ERR_TOO_LARGE : ERR_OK;
}

// Sends an answer, whose rights are gone in any case. NO_MEMORY: nothing was sent.
static corvus_error_t put_answer(struct peer *peer, uint32_t call, const struct wire_head *head,
                                 const struct core_message *message)
{
    const struct core_bytes *items = message != NULL ? message->items : NULL;
    struct wire_right rights[MESSAGE_RIGHTS];
    struct builder builder;

    if (!builder_begin(peer->core, &builder, SEGMENT_ANSWER, call,
                       wire_bytes(SEGMENT_ANSWER, head, items))) {
        if (message != NULL)
            rights_drop(peer->core, message);
        return ERR_NO_MEMORY;
    }
    if (message != NULL && !rights_leave(peer, message, rights)) {
        segment_list_free(peer->core, &builder.segments);
        return ERR_NO_MEMORY;
    }
    wire_write(&builder, SEGMENT_ANSWER, head, message != NULL ? message->words : NULL, rights,
               items);
    peer->core->counters.rights_sent += head->rights;
    stream_answer(peer, &builder.segments);
    return ERR_OK;
}

corvus_error_t answer_send(struct peer *peer, uint32_t call, uint32_t call_generation,
                           uint32_t accepted, const struct core_message *message,
                           corvus_error_t error)
{
    struct wire_head head = {.generation = call_generation, .accepted = accepted};

    if (peer->link == NULL || peer->lost != NULL) {
        if (message != NULL)
            rights_drop(peer->core, message);
        return ERR_PEER_DIED;
    }
    if (message != NULL) {
        struct wire_head full = head;
        full.error = (uint8_t)error;
        full.id = message->id;
        full.words = (uint8_t)message->word_count;
        full.rights = (uint8_t)message->right_count;
        full.items = (uint8_t)message->item_count;
        error = check_answer(message);
        if (error != ERR_OK)
            rights_drop(peer->core, message);
        else
            error = put_answer(peer, call, &full, message);
        if (error == ERR_OK)
            return ERR_OK;
    }
    // Whoever waits must hear something: why there is no answer, or the end of the session.
    head.error = (uint8_t)error;
    error = put_answer(peer, call, &head, NULL);
    if (error != ERR_OK)
        peer_lose(peer, "no memory for an answer");
    return error;
}

// --- Send-once rights of others ------------------------------------------------------------------

struct core_slot *slot_make(struct peer *peer, uint32_t call, uint32_t generation)
{
    struct core_slot *slot = calloc(1, sizeof *slot);

    if (slot != NULL) {
        *slot = (struct core_slot){.peer = peer, .call = call, .call_generation = generation};
        if (!OPERATION(peer->core, open_slot, slot)) {
            free(slot);
            slot = NULL;
        }
    }
    if (slot == NULL) {
        peer->core->counters.no_memory++;
        (void)answer_send(peer, call, generation, 0, NULL, ERR_PEER_DIED);
        return NULL;
    }
    slot->next = peer->slots;
    slot->self = &peer->slots;
    if (slot->next != NULL)
        slot->next->self = &slot->next;
    peer->slots = slot;
    return slot;
}

void **core_slot_owner(struct core_slot *slot)
{
    return &slot->owner;
}

static void slot_close(struct core_slot *slot)
{
    *slot->self = slot->next;
    if (slot->next != NULL)
        slot->next->self = slot->self;
    OPERATION(slot->peer->core, close_slot, slot);
    free(slot);
}

static corvus_error_t slot_answer(struct core_slot *slot, const struct core_message *message,
                                  corvus_error_t error)
{
    struct peer *peer = slot->peer;
    struct core *core = peer->core;
    uint32_t call = slot->call, generation = slot->call_generation;

    slot_close(slot);
    error = answer_send(peer, call, generation, 0, message, error);
    core_flush(core);
    return error;
}

corvus_error_t core_slot_send(struct core_slot *slot, const struct core_message *message)
{
    slot->peer->core->counters.messages_sent++;
    return slot_answer(slot, message, ERR_OK);
}

void core_slot_fail(struct core_slot *slot, corvus_error_t reason)
{
    (void)slot_answer(slot, NULL, reason);
}

void slot_forget_peer(struct peer *peer)
{
    while (peer->slots != NULL)
        slot_close(peer->slots);
}
