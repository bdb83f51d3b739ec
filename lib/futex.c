// SPDX-License-Identifier: BSD-2-Clause
// Waiting threads in hashed lists, each entry on its waiter's stack. One lock
// guards all lists. An entry that has been unlinked belongs to its waker until
// `woken` is set; then it may vanish at once.
#include "lib/futex.h"
#include "lib/event.h"
#include "lib/lock.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define BUCKETS 64u

struct waiter {
    struct waiter *next;
    struct waiter **link; // what points to this entry; NULL when in no list
    const uint32_t *address;
    uint32_t token; // its thread's event
    atomic_bool woken;
};

struct bucket {
    struct waiter *first;
    struct waiter **end; // where the next one is linked in; NULL means `first`
};

static struct lock lock;
static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(const uint32_t *address)
{
    uintptr_t number = (uintptr_t)address / sizeof *address;

    return &buckets[(number ^ number / BUCKETS ^ number / BUCKETS / BUCKETS) % BUCKETS];
}

static void append(struct waiter *waiter, const uint32_t *address)
{
    struct bucket *bucket = bucket_of(address);

    waiter->address = address;
    waiter->next = NULL;
    waiter->link = bucket->end != NULL ? bucket->end : &bucket->first;
    *waiter->link = waiter;
    bucket->end = &waiter->next;
}

static void unlink_waiter(struct waiter *waiter)
{
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    else
        bucket_of(waiter->address)->end = waiter->link;
    waiter->link = NULL;
}

// Unlinks up to `count` waiters of the address and puts them at *end of a list
// of the caller's. Returns how many.
static uint32_t take(const uint32_t *address, uint32_t count, struct waiter **end)
{
    struct waiter *waiter = bucket_of(address)->first;
    uint32_t taken = 0;

    while (waiter != NULL && taken < count) {
        struct waiter *next = waiter->next;
        if (waiter->address == address) {
            unlink_waiter(waiter);
            waiter->next = NULL;
            *end = waiter;
            end = &waiter->next;
            taken++;
        }
        waiter = next;
    }
    return taken;
}

static void wake_list(struct waiter *waiter)
{
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        uint32_t token = waiter->token;
        // From here on the entry is the waiter's, and perhaps gone.
        atomic_store_explicit(&waiter->woken, true, memory_order_release);
        event_signal(token);
        waiter = next;
    }
}

// The deadline came. True when nobody had begun to wake the waiter.
static bool give_up(struct waiter *waiter)
{
    lock_acquire(&lock);
    bool waiting = waiter->link != NULL;
    if (waiting)
        unlink_waiter(waiter);
    lock_release(&lock);
    return waiting;
}

int futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline)
{
    struct waiter waiter = {0};

    if (!event_prepare(&waiter.token))
        return -ENOMEM;
    lock_acquire(&lock);
    if (__atomic_load_n(address, __ATOMIC_SEQ_CST) != expected) {
        lock_release(&lock);
        return -EAGAIN;
    }
    append(&waiter, address);
    lock_release(&lock);

    while (!atomic_load_explicit(&waiter.woken, memory_order_acquire)) {
        if (!event_wait(deadline))
            continue;
        if (give_up(&waiter))
            return -ETIMEDOUT;
        deadline = UINT64_MAX; // a waker is about to set `woken`
    }
    // Whoever set `woken` had unlinked the entry.
    return 0; // NOLINT(clang-analyzer-core.StackAddressEscape)
}

int futex_wake(const uint32_t *address, uint32_t count)
{
    struct waiter *list = NULL;

    lock_acquire(&lock);
    uint32_t woken = take(address, count, &list);
    lock_release(&lock);
    wake_list(list);
    return (int)woken;
}

int futex_requeue(const uint32_t *address, uint32_t wake, uint32_t move, const uint32_t *to)
{
    struct waiter *list = NULL, *moving = NULL;

    lock_acquire(&lock);
    uint32_t woken = take(address, wake, &list);
    uint32_t moved = take(address, move, &moving);
    while (moving != NULL) {
        struct waiter *next = moving->next;
        append(moving, to);
        moving = next;
    }
    lock_release(&lock);
    wake_list(list);
    return (int)(woken + moved);
}
