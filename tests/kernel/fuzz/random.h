// SPDX-License-Identifier: BSD-2-Clause
// Pseudo-random numbers from a seed: splitmix64 (Steele, Lea, Flood, 2014).
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static inline uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

// True in one of n cases.
static inline bool random_one_in(struct random *random, uint64_t n)
{
    return random_below(random, n) == 0;
}
