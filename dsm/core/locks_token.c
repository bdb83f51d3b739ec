// SPDX-License-Identifier: BSD-2-Clause
// Locks on a node: where the token is, who gets it next, and whether it is free.
#include "dsm/core/locks_internal.h"

static struct waiter **next_waiter(struct lock_item *item)
{
    struct waiter **place = &item->waiters;

    while (*place != NULL && (*place)->try) // those have only asked whether it is free
        place = &(*place)->next;
    return *place == NULL ? NULL : place;
}

void token_ask(struct locks *locks, struct lock_item *item)
{
    struct lock_message message = lock_about(item, LOCK_REQUEST);

    if (item->token || item->asked || locks->home == 0 || next_waiter(item) == NULL)
        return;
    item->asked = true;
    lock_tell(locks, locks->home, &message);
}

// The token is here, and the lock is free: to the next one here, if there is any.
static void grant_next(struct locks *locks, struct lock_item *item)
{
    struct waiter **place;

    while (item->token && !item->held && (place = next_waiter(item)) != NULL) {
        uint64_t died = item->died;
        item->held = true;
        item->owner = (*place)->owner;
        item->held = waiter_end(locks, place, ERR_OK, &died, 1);
        if (item->held) {
            item->died = false;
            locks->counters.acquired++;
        }
    }
}

static void token_pass(struct locks *locks, struct lock_item *item)
{
    struct lock_message message = lock_about(item, LOCK_TOKEN);
    unsigned to = item->pass_to;

    if (!item->token || item->held || to == 0)
        return;
    message.flags = item->died ? LOCK_FLAG_DIED : 0;
    item->token = item->died = false;
    item->pass_to = 0;
    locks->counters.handed_over++;
    lock_tell(locks, to, &message);
    token_ask(locks, item);
}

void token_free(struct locks *locks, struct lock_item *item)
{
    item->held = false;
    token_pass(locks, item); // another node first, or one could keep it for ever
    grant_next(locks, item);
}

void token_probe(struct locks *locks, const struct lock_item *item, uint64_t id)
{
    struct lock_message message = lock_about(item, LOCK_PROBE);

    message.id = id;
    message.node = 0; // the home fills it in
    if (locks->home != 0)
        lock_tell(locks, locks->home, &message);
}

void locks_acquire(struct locks *locks, uint64_t owner, uint64_t group, uint64_t lock, bool try,
                   void *token)
{
    struct lock_item *item = lock_item(locks, KIND_LOCK, group, lock);
    bool free_here = item != NULL && item->token && !item->held && item->pass_to == 0;
    struct waiter *waiter;

    if (item != NULL && try && item->token && !free_here) {
        lock_refuse(locks, token, ERR_IN_USE);
        return;
    }
    waiter = item != NULL ? waiter_add(locks, item, owner, token) : NULL;
    if (waiter == NULL) {
        lock_refuse(locks, token, ERR_NO_MEMORY);
        return;
    }
    if (free_here) {
        locks->counters.acquired_cached++;
        grant_next(locks, item);
        return;
    }
    locks->counters.waited++;
    waiter->try = try;
    if (try)
        token_probe(locks, item, waiter->id);
    else
        token_ask(locks, item);
}

corvus_error_t locks_release(struct locks *locks, uint64_t owner, uint64_t group, uint64_t lock)
{
    struct lock_item *item = lock_find(locks, KIND_LOCK, group, lock);

    if (item == NULL || !item->held || item->owner != owner)
        return ERR_STATE;
    token_free(locks, item);
    return ERR_OK;
}

void token_probe_heard(struct locks *locks, const struct lock_message *message,
                       const struct lock_item *item)
{
    struct lock_message reply = lock_about(item, LOCK_PROBED);

    reply.id = message->id;
    reply.value = item->token && !item->held && item->waiters == NULL;
    lock_tell(locks, message->node, &reply);
}

void token_recall(struct locks *locks, const struct lock_message *message, struct lock_item *item)
{
    item->pass_to = message->node;
    token_pass(locks, item);
}

void token_probed(struct locks *locks, const struct lock_message *message, struct lock_item *item)
{
    struct waiter **place = waiter_find(item, message->id);

    if (place == NULL)
        return;
    if (message->value == 0 || (item->token && item->held)) {
        (void)waiter_end(locks, place, ERR_IN_USE, NULL, 0);
        return;
    }
    (*place)->try = false;
    grant_next(locks, item);
    token_ask(locks, item);
}

void token_came(struct locks *locks, const struct lock_message *message, struct lock_item *item)
{
    item->token = true;
    item->asked = false;
    item->died = item->died || (message->flags & LOCK_FLAG_DIED) != 0;
    grant_next(locks, item);
    token_pass(locks, item);
}
