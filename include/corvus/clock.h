// SPDX-License-Identifier: BSD-2-Clause
// The clock page: read-only in every native task at CLOCK_PAGE_ADDRESS, so
// that the time is read without a trap.
#pragma once

#include <stdint.h>

// Nanoseconds since boot = (rdtsc - tsc_base) * multiplier >> shift, computed
// in 128 bits. Constant after boot.
struct clock_page {
    uint64_t tsc_base;
    uint32_t multiplier;
    uint32_t shift;
    uint64_t tsc_hz;
    uint64_t flags; // CLOCK_*
};
#define CLOCK_TSC_INVARIANT 1u // the rate does not change with power states
