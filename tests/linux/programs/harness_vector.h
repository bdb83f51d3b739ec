// SPDX-License-Identifier: BSD-2-Clause
// The vector and x87 state of a thread, put into registers and taken out again around something
// that must leave it alone (or change it in a known way). All in assembly, since C code between the
// two may use any of these registers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vector_state {
    uint8_t ymm[16][32];
    double x87[4];     // st0 to st3, exactly representable
    uint32_t mxcsr;    // rounding and masks
    uint16_t fcw, pad; // x87 control word
} __attribute__((aligned(32)));

// True with AVX, which the kernel must have enabled, too.
bool have_avx(void);

// A state in which each byte depends on the seed.
void vector_make(struct vector_state *state, unsigned seed);
bool vector_same(const struct vector_state *actual, const struct vector_state *expected);

// Loads `in`, executes what the name says, stores to `out`.
long vector_around_call(const struct vector_state *in, struct vector_state *out, long number,
                        long first, long second, long third, long fourth);
void vector_around_spin(const struct vector_state *in, struct vector_state *out, uint64_t rounds);
void vector_around_ud2(const struct vector_state *in, struct vector_state *out);

// What the registers hold, or are to hold, at the very time of the call.
void vector_store(struct vector_state *out);
void vector_load(const struct vector_state *in);
