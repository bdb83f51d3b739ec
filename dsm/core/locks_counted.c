// SPDX-License-Identifier: BSD-2-Clause
// Semaphores and barriers on a node, which are counted at the home: what is asked there, what comes
// back.
#include "dsm/core/locks_internal.h"

#include <stdlib.h>
#include <string.h>

// --- Semaphores ----------------------------------------------------------------------------------

void semaphore_wait(struct locks *locks, const struct lock_item *item, struct waiter *waiter)
{
    struct lock_message message = lock_about(item, LOCK_WAIT);

    message.id = waiter->id;
    message.value = waiter->arrival.value;
    message.flags = waiter->try ? LOCK_FLAG_TRY : 0;
    if (locks->home != 0)
        lock_tell(locks, locks->home, &message);
}

void locks_wait(struct locks *locks, uint64_t owner, uint64_t group, uint64_t semaphore,
                uint64_t initial, bool try, void *token)
{
    struct lock_item *item = lock_item(locks, KIND_SEMAPHORE, group, semaphore);
    struct waiter *waiter = item != NULL ? waiter_add(locks, item, owner, token) : NULL;

    if (waiter == NULL) {
        lock_refuse(locks, token, ERR_NO_MEMORY);
        return;
    }
    waiter->try = try;
    waiter->arrival.value = item->initial = initial;
    semaphore_wait(locks, item, waiter);
}

static void post(struct locks *locks, struct lock_item *item, int64_t count)
{
    struct lock_message message = lock_about(item, LOCK_POST);

    item->added += count;
    message.value = item->initial;
    message.added = count;
    if (locks->home != 0)
        lock_tell(locks, locks->home, &message);
}

corvus_error_t locks_post(struct locks *locks, uint64_t group, uint64_t semaphore, uint64_t initial,
                          uint64_t count)
{
    struct lock_item *item = lock_item(locks, KIND_SEMAPHORE, group, semaphore);

    if (item == NULL)
        return ERR_NO_MEMORY;
    locks->counters.semaphores++;
    item->initial = initial;
    post(locks, item, (int64_t)count);
    return ERR_OK;
}

void semaphore_granted(struct locks *locks, const struct lock_message *message,
                       struct lock_item *item)
{
    struct waiter **place = waiter_find(item, message->id);

    item->added--;
    locks->counters.semaphores++;
    if (place == NULL || !waiter_end(locks, place, ERR_OK, NULL, 0))
        post(locks, item, 1);
}

// --- Barriers ------------------------------------------------------------------------------------

void barrier_arrive(struct locks *locks, struct waiter *waiter)
{
    struct lock_message message = waiter->arrival;

    message.id = waiter->id;
    message.flags = waiter->sent ? LOCK_FLAG_AGAIN : 0;
    if (locks->home == 0)
        return;
    waiter->sent = true;
    lock_tell(locks, locks->home, &message);
}

void locks_barrier(struct locks *locks, uint64_t owner, uint64_t group, uint64_t barrier,
                   uint64_t count, uint64_t operation, const uint64_t *values, size_t value_count,
                   void *token)
{
    struct lock_item *item = lock_item(locks, KIND_BARRIER, group, barrier);
    struct waiter *waiter = item != NULL ? waiter_add(locks, item, owner, token) : NULL;

    if (waiter == NULL) {
        lock_refuse(locks, token, ERR_NO_MEMORY);
        return;
    }
    waiter->arrival = lock_about(item, LOCK_ARRIVE);
    waiter->arrival.count = (uint16_t)count;
    waiter->arrival.operation = (uint8_t)operation;
    waiter->arrival.generation = item->generation == 0 ? GENERATION_UNKNOWN : item->generation;
    waiter->arrival.value_count = (uint8_t)value_count;
    if (value_count != 0)
        memcpy(waiter->arrival.values, values, value_count * sizeof *values);
    barrier_arrive(locks, waiter);
}

void barrier_released(struct locks *locks, const struct lock_message *message,
                      struct lock_item *item)
{
    struct waiter **place = waiter_find(item, message->id);
    uint64_t words[1 + REDUCE_VALUES_MAX] = {(message->flags & LOCK_FLAG_LAST) != 0};

    if (item->results == NULL)
        item->results = calloc(REDUCE_VALUES_MAX, sizeof *item->results);
    // The home has counted already, in the same item.
    if (item->results != NULL && message->generation > item->generation) {
        item->generation = message->generation;
        item->result_count = message->value_count;
        memcpy(item->results, message->values, message->value_count * sizeof *item->results);
    }
    if (place == NULL)
        return;
    locks->counters.barriers++;
    memcpy(words + 1, message->values, message->value_count * sizeof words[0]);
    (void)waiter_end(locks, place, ERR_OK, words, 1 + message->value_count);
}
