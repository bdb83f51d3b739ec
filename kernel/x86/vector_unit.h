// SPDX-License-Identifier: BSD-2-Clause
// Save areas of the vector unit: XSAVE's standard form, or FXSAVE's where
// there is no XSAVE (Intel SDM volume 1, chapters 10.5 and 13.4).
#pragma once

#include <stdint.h>

#include "x86/features.h"
#include "x86/instructions.h"
#include "x86/memory.h"

#define MXCSR_DEFAULT      0x1f80u
#define MXCSR_MASK_DEFAULT 0xffbfu
#define FCW_DEFAULT        0x37fu
#define XSAVE_HEADER       512

struct vector_state {
    uint16_t fcw, fsw;
    uint8_t ftw, reserved;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];
    uint64_t xstate_bv, xcomp_bv;
    uint64_t header_reserved[6];
};
_Static_assert(sizeof(struct vector_state) == 576, "legacy area and header");

// CR0 with TS: what disables the unit. CR0 is constant but for that bit.
extern uint64_t vector_cr0_disabled;

static inline void vector_unit_enable(void)
{
    __asm__ volatile("clts");
}

static inline void vector_unit_disable(void)
{
    write_cr0(vector_cr0_disabled);
}

static inline void vector_unit_save(void *area)
{
    if (cpu_features.xsave)
        __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void vector_unit_load(const void *area)
{
    if (cpu_features.xsave)
        __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

// The state after reset: what a new thread starts with.
static inline void vector_unit_clear(void *area)
{
    struct vector_state *state = area;

    memset(area, 0, cpu_features.fpu_area_size);
    state->fcw = FCW_DEFAULT;
    state->mxcsr = MXCSR_DEFAULT;
}

// Makes a save area from outside loadable: whatever it says, vector_unit_load
// does not fault on it.
static inline void vector_unit_sanitise(void *area)
{
    struct vector_state *state = area;

    state->mxcsr &= MXCSR_MASK_DEFAULT;
    if (!cpu_features.xsave)
        return;
    state->xstate_bv &= cpu_features.xcr0;
    state->xcomp_bv = 0;
    for (unsigned i = 0; i < 6; i++)
        state->header_reserved[i] = 0;
}
