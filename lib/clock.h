// SPDX-License-Identifier: BSD-2-Clause
// Time without a trap, from the clock page, and deadlines made of time-outs.
#pragma once

#include "lib/x86/trap.h"

#include <corvus/clock.h>

#define NANOSECONDS_PER_MICROSECOND 1000ull
#define NANOSECONDS_PER_SECOND      1000000000ull

// A time-out is in microseconds; 0 does not wait, this one waits for ever.
#define TIMEOUT_NONE UINT64_MAX

// The deadline that never comes.
#define DEADLINE_NONE UINT64_MAX

// Nanoseconds since boot.
static inline uint64_t clock_now_ns(void)
{
    const struct clock_page *clock = (const struct clock_page *)CLOCK_PAGE_ADDRESS;
    unsigned __int128 ticks = processor_time() - clock->tsc_base;

    return (uint64_t)(ticks * clock->multiplier >> clock->shift);
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
        return 0; // the kernel's way to say: do not wait; needs no clock
    if (timeout >= DEADLINE_NONE / NANOSECONDS_PER_MICROSECOND)
        return DEADLINE_NONE;
    return deadline_after(timeout * NANOSECONDS_PER_MICROSECOND);
}
