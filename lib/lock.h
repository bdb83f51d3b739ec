// SPDX-License-Identifier: BSD-2-Clause
// The lock of the runtime itself, under the C library's own locks: spins a
// little, then sleeps a little. Held for short, except where said.
#pragma once

#include <stdatomic.h>

#define LOCK_SPINS 100

struct lock {
    atomic_uint taken;
};

// Lets others run for a moment, those of lower priority too (lib/event.c).
void thread_pause(void);

static inline void lock_acquire(struct lock *lock)
{
    unsigned spins = 0;

    while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) != 0) {
        if (++spins % LOCK_SPINS == 0)
            thread_pause();
        else
            __builtin_ia32_pause();
    }
}

static inline void lock_release(struct lock *lock)
{
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}
