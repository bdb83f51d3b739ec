// SPDX-License-Identifier: BSD-2-Clause
// Chance that can be had again: a generator without state. A draw depends on the seed, on the link,
// on the number of the frame on that link and on what is drawn, never on time or on other links; so
// the same frames in the same order meet the same fate, whatever else the machine does.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What is drawn for a frame. Each has its own stream, so that one impairment more does not change
// what the others do. New ones go to the end, for the same reason.
enum random_draw {
    DRAW_LOSS,
    DRAW_DUPLICATE,
    DRAW_REORDER,
    DRAW_REORDER_GAP,
    DRAW_JITTER,
    // The last: as many draws follow as there are wrong bits.
    DRAW_BIT_ERROR,
};

// The step of Weyl's sequence in splitmix64: 2^64 over the golden ratio, odd.
#define RANDOM_STEP UINT64_C(0x9e3779b97f4a7c15)

// splitmix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
// 2014).
static inline uint64_t random_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

// The generator of a link.
static inline uint64_t random_link(uint64_t seed, unsigned from, unsigned to)
{
    return random_mix(random_mix(seed + RANDOM_STEP) + RANDOM_STEP * (from * 256 + to + 1));
}

// The generator of a frame on that link.
static inline uint64_t random_frame(uint64_t link, uint64_t number)
{
    return random_mix(link + RANDOM_STEP * (number + 1));
}

// 64 even bits.
static inline uint64_t random_bits(uint64_t frame, unsigned draw)
{
    return random_mix(frame + RANDOM_STEP * (draw + 1));
}

// In [0, 1), in steps of 2^-53.
static inline double random_unit(uint64_t frame, unsigned draw)
{
    return (double)(random_bits(frame, draw) >> 11) * 0x1p-53;
}

// True with that probability: never at 0, always at 1.
static inline bool random_happens(uint64_t frame, unsigned draw, double probability)
{
    return probability > 0 && random_unit(frame, draw) < probability;
}
