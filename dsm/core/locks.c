// SPDX-License-Identifier: BSD-2-Clause
// A node's own part of locks: what is known here, who waits, rounds.
#include "dsm/core/locks_internal.h"

#include <stdlib.h>
#include <string.h>

// --- Items ---------------------------------------------------------------------------------------

static struct lock_item **bucket_of(struct locks *locks, uint64_t group, uint64_t number)
{
    uint64_t hash = (group * 0x9e3779b97f4a7c15ull ^ number) * 0xff51afd7ed558ccdull;

    return &locks->items[hash >> 56];
}

struct lock_item *lock_find(struct locks *locks, enum lock_kind kind, uint64_t group,
                            uint64_t number)
{
    struct lock_item *item = *bucket_of(locks, group, number);

    while (item != NULL && (item->kind != kind || item->group != group || item->number != number))
        item = item->next;
    return item;
}

struct lock_item *lock_item(struct locks *locks, enum lock_kind kind, uint64_t group,
                            uint64_t number)
{
    struct lock_item *item = lock_find(locks, kind, group, number);
    struct lock_item **bucket = bucket_of(locks, group, number);

    if (item != NULL)
        return item;
    item = locks->item_count < LOCKS_KNOWN_MAX ? calloc(1, sizeof *item) : NULL;
    if (item == NULL)
        return NULL;
    item->kind = kind;
    item->group = group;
    item->number = number;
    item->next = *bucket;
    *bucket = item;
    locks->item_count++;
    return item;
}

struct lock_message lock_about(const struct lock_item *item, enum lock_message_type type)
{
    return (struct lock_message){.type = (uint8_t)type,
                                 .kind = (uint8_t)item->kind,
                                 .group = item->group,
                                 .number = item->number};
}

// --- Messages out --------------------------------------------------------------------------------

bool lock_for_home(unsigned type)
{
    return type == LOCK_STATE || type == LOCK_READY || type == LOCK_REQUEST || type == LOCK_WAIT ||
           type == LOCK_POST || type == LOCK_ARRIVE;
}

size_t lock_message_bytes(const struct lock_message *message)
{
    return offsetof(struct lock_message, values) + message->value_count * sizeof(uint64_t);
}

void lock_tell(struct locks *locks, unsigned node, struct lock_message *message)
{
    message->round = locks->round;
    if (node == locks->node) {
        struct lock_message copy = *message;
        lock_hear(locks, node, &copy);
        return;
    }
    locks->counters.messages_sent++;
    locks->output->send(locks->context, node, message, lock_message_bytes(message));
}

// --- Those who wait ------------------------------------------------------------------------------

struct waiter *waiter_add(struct locks *locks, struct lock_item *item, uint64_t owner, void *token)
{
    struct waiter **place = &item->waiters;
    struct waiter *waiter =
        locks->waiter_count < LOCKS_WAITING_MAX ? calloc(1, sizeof *waiter) : NULL;

    if (waiter == NULL)
        return NULL;
    waiter->token = token;
    waiter->owner = owner;
    waiter->id = ++locks->next_id;
    while (*place != NULL)
        place = &(*place)->next;
    *place = waiter;
    locks->waiter_count++;
    return waiter;
}

struct waiter **waiter_find(struct lock_item *item, uint64_t id)
{
    struct waiter **place = &item->waiters;

    while (*place != NULL && (*place)->id != id)
        place = &(*place)->next;
    return *place == NULL ? NULL : place;
}

// Takes it out and answers it. False: who asked has gone.
bool waiter_end(struct locks *locks, struct waiter **place, corvus_error_t error,
                const uint64_t *words, size_t count)
{
    struct waiter *waiter = *place;
    void *token = waiter->token;

    *place = waiter->next;
    free(waiter);
    locks->waiter_count--;
    return locks->output->answer(locks->context, token, error, words, count);
}

void lock_refuse(struct locks *locks, void *token, corvus_error_t error)
{
    (void)locks->output->answer(locks->context, token, error, NULL, 0);
}

// --- Rounds --------------------------------------------------------------------------------------

static void tell_state(struct locks *locks, struct lock_item *item)
{
    struct lock_message message = lock_about(item, LOCK_STATE);

    item->asked = false;
    item->pass_to = 0;
    message.flags = item->token ? LOCK_FLAG_TOKEN : 0;
    message.value = item->initial;
    message.added = item->added;
    message.generation = item->generation;
    if (item->kind == KIND_BARRIER && item->results != NULL) {
        message.value_count = item->result_count;
        memcpy(message.values, item->results, item->result_count * sizeof *item->results);
    }
    lock_tell(locks, locks->home, &message);
}

static void ask_again(struct locks *locks, struct lock_item *item)
{
    uint64_t after = 0;

    if (item->kind == KIND_LOCK)
        token_ask(locks, item);
    // By number: answers may come, and free waiters, while this goes on.
    for (;;) {
        struct waiter *waiter = item->waiters;
        while (waiter != NULL && waiter->id <= after)
            waiter = waiter->next;
        if (waiter == NULL)
            return;
        after = waiter->id;
        if (item->kind == KIND_BARRIER)
            barrier_arrive(locks, waiter);
        else if (item->kind == KIND_SEMAPHORE)
            semaphore_wait(locks, item, waiter);
        else if (waiter->try)
            token_probe(locks, item, waiter->id);
    }
}

void round_begin(struct locks *locks, unsigned home, uint64_t round)
{
    struct lock_message ready = {.type = LOCK_READY};

    locks->home = home;
    locks->round = round;
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next)
            tell_state(locks, item);
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next)
            ask_again(locks, item);
    lock_tell(locks, home, &ready);
}

void locks_lead(struct locks *locks, uint64_t round, const uint64_t members[4], bool lost)
{
    if (round <= locks->round)
        return;
    locks->round = round;
    locks->home = locks->node;
    home_begin(locks, members, lost);
}

void locks_lose(struct locks *locks)
{
    locks->home = 0;
    home_end(locks);
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next) {
            item->token = item->held = item->died = item->asked = false;
            item->pass_to = 0;
            item->added = 0;
            while (item->waiters != NULL)
                (void)waiter_end(locks, &item->waiters, ERR_PEER_DIED, NULL, 0);
        }
}

// --- Owners, life --------------------------------------------------------------------------------

void locks_owner_died(struct locks *locks, uint64_t owner)
{
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        for (struct lock_item *item = locks->items[i]; item != NULL; item = item->next) {
            struct waiter **place = &item->waiters;
            while (*place != NULL)
                if ((*place)->owner == owner && item->kind != KIND_BARRIER)
                    (void)waiter_end(locks, place, ERR_ABORTED, NULL, 0);
                else
                    place = &(*place)->next;
            if (item->kind != KIND_LOCK || !item->held || item->owner != owner)
                continue;
            item->died = true;
            locks->counters.owners_died++;
            token_free(locks, item);
        }
}

struct locks *locks_create(unsigned node, const struct locks_output *output, void *context)
{
    struct locks *locks = calloc(1, sizeof *locks);

    if (locks == NULL)
        return NULL;
    locks->node = node;
    locks->output = output;
    locks->context = context;
    locks->last_deferred = &locks->deferred;
    return locks;
}

void locks_destroy(struct locks *locks)
{
    locks_lose(locks);
    for (unsigned i = 0; i < LOCK_BUCKETS; i++)
        while (locks->items[i] != NULL) {
            struct lock_item *item = locks->items[i];
            locks->items[i] = item->next;
            home_free_item(item);
            free(item->results);
            free(item);
        }
    free(locks);
}

const struct lock_counters *locks_counters(const struct locks *locks)
{
    return &locks->counters;
}
