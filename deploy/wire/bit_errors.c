// SPDX-License-Identifier: BSD-2-Clause
// The distance between wrong bits has a geometric distribution: log(1 - u) / log(1 - rate), u even.
#include "deploy/wire/bit_errors.h"

#include <math.h>

#include "deploy/wire/random.h"

// Beyond every frame, and far from overflow.
#define DISTANCE_MAX 1e15

uint64_t bit_error_next(uint64_t generator, uint64_t bit, double rate)
{
    if (rate >= 1)
        return bit;
    // Drawn by its place, so that the draws of one frame differ.
    double even = random_unit(generator, DRAW_BIT_ERROR + (unsigned)bit);
    double distance = floor(log1p(-even) / log1p(-rate));
    // A rate so small that log1p gives 0 makes the quotient infinite, or no number at all.
    return distance < DISTANCE_MAX ? bit + (uint64_t)distance : (uint64_t)DISTANCE_MAX;
}

void bit_errors_make(uint64_t generator, double rate, uint64_t first, uint8_t *bytes,
                     uint32_t length)
{
    uint64_t bit = first;
    while (bit < (uint64_t)length * 8) {
        bytes[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        bit = bit_error_next(generator, bit + 1, rate);
    }
}
