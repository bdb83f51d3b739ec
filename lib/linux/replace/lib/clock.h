// SPDX-License-Identifier: BSD-2-Clause
// Deadlines of a Linux program, of CLOCK_MONOTONIC, in the place of the native header of that name.
#pragma once

#include <stdint.h>
#include <time.h>

#define NANOSECONDS_PER_MICROSECOND 1000ull
#define NANOSECONDS_PER_SECOND      1000000000ull

// A time-out is in microseconds; 0 does not wait, this one waits for ever.
#define TIMEOUT_NONE UINT64_MAX

// The deadline that never comes.
#define DEADLINE_NONE UINT64_MAX

static inline uint64_t clock_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

// The deadline `nanoseconds` from now, DEADLINE_NONE when it is out of range.
static inline uint64_t deadline_after(uint64_t nanoseconds)
{
    uint64_t now = clock_now_ns();

    return nanoseconds < DEADLINE_NONE - now ? now + nanoseconds : DEADLINE_NONE;
}

static inline uint64_t deadline_of_timeout(uint64_t timeout)
{
    if (timeout == 0)
        return 0;
    if (timeout >= DEADLINE_NONE / NANOSECONDS_PER_MICROSECOND)
        return DEADLINE_NONE;
    return deadline_after(timeout * NANOSECONDS_PER_MICROSECOND);
}
