// SPDX-License-Identifier: BSD-2-Clause
// What other nodes say of locks: what is valid, of this round, and for whom.
#include "dsm/core/locks_internal.h"

#include <string.h>

static void hear_refused(struct locks *locks, const struct lock_message *message,
                         struct lock_item *item)
{
    struct waiter **place = waiter_find(item, message->id);

    if (place != NULL)
        (void)waiter_end(locks, place, (corvus_error_t)message->value, NULL, 0);
}

static void hear_mine(struct locks *locks, const struct lock_message *message)
{
    struct lock_item *item =
        lock_find(locks, (enum lock_kind)message->kind, message->group, message->number);

    if (item == NULL)
        return;
    switch (message->type) {
    case LOCK_RECALL:
        token_recall(locks, message, item);
        break;
    case LOCK_TOKEN:
        token_came(locks, message, item);
        break;
    case LOCK_PROBE:
        token_probe_heard(locks, message, item);
        break;
    case LOCK_PROBED:
        token_probed(locks, message, item);
        break;
    case LOCK_GRANTED:
        semaphore_granted(locks, message, item);
        break;
    case LOCK_RELEASED:
        barrier_released(locks, message, item);
        break;
    default:
        hear_refused(locks, message, item);
    }
}

void lock_hear(struct locks *locks, unsigned from, const struct lock_message *message)
{
    if (message->type == LOCK_ROUND)
        round_begin(locks, from, message->round);
    else if (lock_for_home(message->type) || (message->type == LOCK_PROBE && message->node == 0))
        home_hear(locks, from, message);
    else
        hear_mine(locks, message);
}

static bool fits_kind(const struct lock_message *message)
{
    switch (message->type) {
    case LOCK_REQUEST:
    case LOCK_RECALL:
    case LOCK_TOKEN:
    case LOCK_PROBE:
    case LOCK_PROBED:
        return message->kind == KIND_LOCK;
    case LOCK_WAIT:
    case LOCK_POST:
    case LOCK_GRANTED:
        return message->kind == KIND_SEMAPHORE;
    case LOCK_ARRIVE:
    case LOCK_RELEASED:
        return message->kind == KIND_BARRIER;
    default:
        return message->kind < LOCK_KINDS;
    }
}

static bool counts_are_valid(const struct lock_message *message)
{
    return message->value <= INT32_MAX && message->added <= SEMAPHORE_ADDED_MAX &&
           message->added >= -SEMAPHORE_ADDED_MAX;
}

static bool is_valid(const struct lock_message *message, size_t count)
{
    bool to_semaphore = message->kind == KIND_SEMAPHORE && lock_for_home(message->type);

    return message->type >= LOCK_ROUND && message->type < LOCK_TYPES && fits_kind(message) &&
           message->value_count <= REDUCE_VALUES_MAX && count == lock_message_bytes(message) &&
           message->node <= LOCK_NODES && (message->type != LOCK_RECALL || message->node != 0) &&
           (!to_semaphore || counts_are_valid(message)) &&
           (message->type != LOCK_ARRIVE || message->count != 0) &&
           (message->type != LOCK_REFUSED ||
            (message->value != ERR_OK && message->value < ERR_COUNT));
}

bool locks_receive(struct locks *locks, unsigned from, const void *bytes, size_t count)
{
    struct lock_message message = {0};
    size_t head = offsetof(struct lock_message, values);

    if (count < head || count > sizeof message || from < 1 || from > LOCK_NODES ||
        from == locks->node)
        return false;
    memcpy(&message, bytes, count);
    if (!is_valid(&message, count))
        return false;
    locks->counters.messages_received++;
    // Of an earlier round: dropped, all is told anew. A later one begins with ROUND.
    if (message.type == LOCK_ROUND ? message.round <= locks->round
                                   : message.round != locks->round || locks->home == 0)
        return true;
    if (message.type == LOCK_ROUND)
        home_end(locks);
    else if (locks->home != locks->node &&
             (lock_for_home(message.type) || (message.type == LOCK_PROBE && message.node == 0)))
        return false;
    lock_hear(locks, from, &message);
    return true;
}
