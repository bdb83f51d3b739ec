// SPDX-License-Identifier: BSD-2-Clause
// Linux's futex inside one task: what the C library's mutexes, conditions and
// joins stand on. All return 0 or more, or -errno.
#pragma once

#include <stdint.h>

// Waits until woken if *address is still `expected`. `deadline` is absolute,
// in nanoseconds. -EAGAIN: it is not; -ETIMEDOUT; -ENOMEM.
int futex_wait(const uint32_t *address, uint32_t expected, uint64_t deadline);

// Wakes up to `count` threads, those that wait longest first. Returns how many.
int futex_wake(const uint32_t *address, uint32_t count);

// Wakes up to `wake` threads and lets up to `move` others wait at `to` instead.
// Returns how many were woken or moved.
int futex_requeue(const uint32_t *address, uint32_t wake, uint32_t move, const uint32_t *to);
