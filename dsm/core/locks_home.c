// SPDX-License-Identifier: BSD-2-Clause
// The home's side of locks: where each token's chain ends, semaphores' values, who has come to a
// barrier. While a round begins, requests wait until all members have told what they have.
#include "dsm/core/locks_internal.h"

#include <stdlib.h>
#include <string.h>

static void refuse(struct locks *locks, unsigned node, const struct lock_item *item, uint64_t id,
                   corvus_error_t error)
{
    struct lock_message message = lock_about(item, LOCK_REFUSED);

    message.id = id;
    message.value = error;
    lock_tell(locks, node, &message);
}

static bool add_visitor(struct lock_item *item, unsigned node, uint64_t id)
{
    struct visitor **place = &item->visitors, *visitor = malloc(sizeof *visitor);

    if (visitor == NULL)
        return false;
    *visitor = (struct visitor){.node = node, .id = id};
    while (*place != NULL)
        place = &(*place)->next;
    *place = visitor;
    return true;
}

static struct visitor take_visitor(struct lock_item *item)
{
    struct visitor *first = item->visitors, visitor = *first;

    item->visitors = first->next;
    free(first);
    return visitor;
}

void home_free_item(struct lock_item *item)
{
    while (item->visitors != NULL)
        (void)take_visitor(item);
}

// --- Locks ---------------------------------------------------------------------------------------

static void hear_request(struct locks *locks, unsigned from, struct lock_item *item)
{
    unsigned tail = item->tail;
    struct lock_message message = lock_about(item, tail == 0 ? LOCK_TOKEN : LOCK_RECALL);

    if (tail == from)
        return;
    item->tail = from;
    item->known = true;
    message.node = (uint8_t)from;
    if (tail == 0 && item->mark)
        message.flags = LOCK_FLAG_DIED;
    item->mark = item->mark && tail != 0;
    lock_tell(locks, tail == 0 ? from : tail, &message);
}

static void hear_probe(struct locks *locks, unsigned from, const struct lock_message *probe,
                       const struct lock_item *item)
{
    struct lock_message message = lock_about(item, item->tail == 0 ? LOCK_PROBED : LOCK_PROBE);

    message.id = probe->id;
    message.node = (uint8_t)from;
    message.value = 1;
    lock_tell(locks, item->tail == 0 ? from : item->tail, &message);
}

// --- Semaphores ----------------------------------------------------------------------------------

static void grant(struct locks *locks, struct lock_item *item, unsigned node, uint64_t id)
{
    struct lock_message message = lock_about(item, LOCK_GRANTED);

    item->value--;
    message.id = id;
    lock_tell(locks, node, &message);
}

static void know_initial(struct lock_item *item, uint64_t initial)
{
    if (!item->known) {
        item->known = true;
        item->initial = initial;
        item->value += (int64_t)initial;
    }
}

static void hear_wait(struct locks *locks, unsigned from, const struct lock_message *message,
                      struct lock_item *item)
{
    know_initial(item, message->value);
    if (item->value > 0)
        grant(locks, item, from, message->id);
    else if (message->flags & LOCK_FLAG_TRY)
        refuse(locks, from, item, message->id, ERR_IN_USE);
    else if (!add_visitor(item, from, message->id))
        refuse(locks, from, item, message->id, ERR_NO_MEMORY);
}

static void hear_post(struct locks *locks, const struct lock_message *message,
                      struct lock_item *item)
{
    know_initial(item, message->value);
    item->value += message->added;
    while (item->value > 0 && item->visitors != NULL) {
        struct visitor visitor = take_visitor(item);
        grant(locks, item, visitor.node, visitor.id);
    }
}

// --- Barriers ------------------------------------------------------------------------------------

static double as_double(uint64_t word)
{
    double value;

    memcpy(&value, &word, sizeof value);
    return value;
}

static uint64_t as_word(double value)
{
    uint64_t word;

    memcpy(&word, &value, sizeof word);
    return word;
}

static uint64_t combine(unsigned operation, uint64_t one, uint64_t other)
{
    switch (operation) {
    case REDUCE_MIN:
        return (int64_t)other < (int64_t)one ? other : one;
    case REDUCE_MAX:
        return (int64_t)other > (int64_t)one ? other : one;
    case REDUCE_SUM_DOUBLE:
        return as_word(as_double(one) + as_double(other));
    case REDUCE_MIN_DOUBLE:
        return as_double(other) < as_double(one) ? other : one;
    case REDUCE_MAX_DOUBLE:
        return as_double(other) > as_double(one) ? other : one;
    default:
        return one + other;
    }
}

static void release_one(struct locks *locks, const struct lock_item *item, struct visitor visitor,
                        bool last)
{
    struct lock_message message = lock_about(item, LOCK_RELEASED);

    message.id = visitor.id;
    message.generation = item->generation;
    message.flags = last ? LOCK_FLAG_LAST : 0;
    message.value_count = item->result_count;
    if (item->result_count != 0)
        memcpy(message.values, item->results, item->result_count * sizeof message.values[0]);
    lock_tell(locks, visitor.node, &message);
}

static void release_all(struct locks *locks, struct lock_item *item)
{
    // Those that come again while these are told go by are the next generation's.
    struct visitor *visitors = item->visitors;

    item->visitors = NULL;
    item->arrived = 0;
    item->generation++;
    item->result_count = item->first.value_count;
    memcpy(item->results, item->first.values, sizeof item->first.values);
    while (visitors != NULL) {
        struct visitor *next = visitors->next;
        release_one(locks, item, *visitors, next == NULL);
        free(visitors);
        visitors = next;
    }
}

// Whether it came for a passing that has been.
static bool is_late(const struct lock_message *message, const struct lock_item *item)
{
    if ((message->flags & LOCK_FLAG_AGAIN) == 0)
        return false;
    if (message->generation == GENERATION_UNKNOWN)
        return item->generation == 1;
    return message->generation < item->generation;
}

static void hear_arrive(struct locks *locks, unsigned from, const struct lock_message *message,
                        struct lock_item *item)
{
    struct lock_message *first = &item->first;

    if (is_late(message, item)) {
        release_one(locks, item, (struct visitor){NULL, from, message->id}, false);
        return;
    }
    if (item->results == NULL)
        item->results = calloc(REDUCE_VALUES_MAX, sizeof *item->results);
    if (item->results == NULL) {
        refuse(locks, from, item, message->id, ERR_NO_MEMORY);
        return;
    }
    bool alike = item->arrived == 0 ||
                 (first->count == message->count && first->operation == message->operation &&
                  first->value_count == message->value_count);
    if (!alike || !add_visitor(item, from, message->id)) {
        refuse(locks, from, item, message->id, alike ? ERR_NO_MEMORY : ERR_STATE);
        return;
    }
    if (item->arrived == 0)
        *first = *message;
    else
        for (unsigned i = 0; i < message->value_count; i++)
            first->values[i] = combine(first->operation, first->values[i], message->values[i]);
    if (++item->arrived == first->count)
        release_all(locks, item);
}

// --- Rounds --------------------------------------------------------------------------------------

static void forget_node_states(struct locks *locks)
{
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next) {
            home_free_item(item);
            item->known = false;
            item->tail = 0;
            item->value = 0;
            item->arrived = 0;
        }
}

void home_end(struct locks *locks)
{
    while (locks->deferred != NULL) {
        struct deferred *deferred = locks->deferred;
        locks->deferred = deferred->next;
        free(deferred);
    }
    locks->last_deferred = &locks->deferred;
    locks->settling = false;
}

void home_begin(struct locks *locks, const uint64_t members[4], bool lost)
{
    struct lock_message message = {.type = LOCK_ROUND};

    lost = lost || (locks->settling && locks->lost);
    home_end(locks);
    forget_node_states(locks);
    locks->settling = true;
    locks->lost = lost;
    memcpy(locks->awaited, members, sizeof locks->awaited);
    for (unsigned node = 1; node <= LOCK_NODES; node++)
        if (node != locks->node && members[(node - 1) / 64] >> (node - 1) % 64 & 1)
            lock_tell(locks, node, &message);
    lock_tell(locks, locks->node, &message);
}

static void hear_state(unsigned from, const struct lock_message *message, struct lock_item *item)
{
    switch (item->kind) {
    case KIND_LOCK:
        item->known = true;
        if (message->flags & LOCK_FLAG_TOKEN)
            item->tail = from;
        break;
    case KIND_SEMAPHORE:
        know_initial(item, message->value);
        item->value += message->added;
        break;
    default:
        if (item->results == NULL)
            item->results = calloc(REDUCE_VALUES_MAX, sizeof *item->results);
        if (item->results == NULL || message->generation <= item->generation)
            break;
        item->generation = message->generation;
        item->result_count = message->value_count;
        memcpy(item->results, message->values, message->value_count * sizeof *item->results);
    }
}

static void settle(struct locks *locks)
{
    struct deferred *deferred = locks->deferred;

    locks->settling = false;
    locks->deferred = NULL;
    locks->last_deferred = &locks->deferred;
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next)
            if (item->kind == KIND_LOCK && item->known && item->tail == 0 && locks->lost)
                item->mark = true;
    locks->lost = false;
    while (deferred != NULL) {
        struct deferred *next = deferred->next;
        home_hear(locks, deferred->from, &deferred->message);
        free(deferred);
        deferred = next;
    }
}

static void hear_ready(struct locks *locks, unsigned from)
{
    uint64_t *awaited = locks->awaited;

    awaited[(from - 1) / 64] &= ~(1ull << (from - 1) % 64);
    if (locks->settling && (awaited[0] | awaited[1] | awaited[2] | awaited[3]) == 0)
        settle(locks);
}

static void defer(struct locks *locks, unsigned from, const struct lock_message *message)
{
    struct deferred *deferred = malloc(sizeof *deferred);

    if (deferred == NULL) // the asker's next round finds better times
        return;
    *deferred = (struct deferred){.from = from, .message = *message};
    *locks->last_deferred = deferred;
    locks->last_deferred = &deferred->next;
}

void home_hear(struct locks *locks, unsigned from, const struct lock_message *message)
{
    struct lock_item *item;

    if (message->type == LOCK_READY) {
        hear_ready(locks, from);
        return;
    }
    if (locks->settling && message->type != LOCK_STATE) {
        defer(locks, from, message);
        return;
    }
    item = lock_item(locks, (enum lock_kind)message->kind, message->group, message->number);
    if (item == NULL) {
        struct lock_message refusal = *message;
        refusal.type = LOCK_REFUSED;
        refusal.value = ERR_NO_MEMORY;
        refusal.value_count = 0;
        lock_tell(locks, from, &refusal);
        return;
    }
    switch (message->type) {
    case LOCK_STATE:
        hear_state(from, message, item);
        break;
    case LOCK_REQUEST:
        hear_request(locks, from, item);
        break;
    case LOCK_PROBE:
        hear_probe(locks, from, message, item);
        break;
    case LOCK_WAIT:
        hear_wait(locks, from, message, item);
        break;
    case LOCK_POST:
        hear_post(locks, message, item);
        break;
    default:
        hear_arrive(locks, from, message, item);
    }
}
