// SPDX-License-Identifier: BSD-2-Clause
// Fills the clock page with the scale measured at boot.
#include "x86/clock_page.h"

#include "x86/clock.h"
#include "x86/features.h"

union clock_page_memory clock_page __attribute__((aligned(4096)));

void clock_page_init(void)
{
    clock_page.values = (struct clock_page){
        .tsc_base = clock_scale.tsc_base,
        .multiplier = clock_scale.multiplier,
        .shift = clock_scale.shift,
        .tsc_hz = clock_tsc_hz,
        .flags = cpu_features.invariant_tsc ? CLOCK_TSC_INVARIANT : 0,
    };
}
