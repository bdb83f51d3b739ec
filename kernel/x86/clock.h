// SPDX-License-Identifier: BSD-2-Clause
// Time: nanoseconds since boot out of the time stamp counter, and the one-shot
// timer of the local APIC. Both are measured once at boot against a timer of
// known rate.
#pragma once

#include <stdint.h>

#include "x86/instructions.h"

// nanoseconds = (tsc - tsc_base) * multiplier >> shift, the product taken to 96
// bits. multiplier has its top bit set, which is 0.5 parts in 10^9.
struct clock_scale {
    uint64_t tsc_base;
    uint32_t multiplier;
    uint32_t shift;
};

// Constant after clock_init(); the kernel copies it to the page that user level reads.
extern struct clock_scale clock_scale;

extern uint64_t clock_tsc_hz;
extern uint64_t clock_apic_hz; // rate of the local APIC timer

// Measures (some 25 ms) and sets the timer up, not armed, at VECTOR_TIMER. Needs apic_init().
void clock_init(void);

static inline uint64_t clock_from_tsc(uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)(tsc - clock_scale.tsc_base) * clock_scale.multiplier >>
                      clock_scale.shift);
}

// Nanoseconds since clock_init().
static inline uint64_t clock_now(void)
{
    return clock_from_tsc(rdtsc());
}

// A VECTOR_TIMER interrupt at deadline_ns of clock_now() or earlier: when one is to come
// before anyway, that is it. A deadline in the past fires at once. A far one fires early (no
// earlier than in one second), and any may by the drift between the two
// counters: the handler looks at clock_now() and arms again.
void clock_arm(uint64_t deadline_ns);

// The interrupt has come: the next clock_arm counts. The handler's first call.
void clock_fired(void);
