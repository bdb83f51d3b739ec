// SPDX-License-Identifier: BSD-2-Clause
// False sharing at its worst: each process counts in a word of its own, all in one page; variant 1:
// one word, counted by an atomic addition; variant 2: one word under a lock. Nobody's counting may
// be lost, and nobody may starve.
#include "experiment.h"

#include <stdatomic.h>
#include <stdio.h>

#define LOCK_WORD 0

static const struct experiment_limits limits = {
    .name = "falseshare",
    .size_text = "additions of each process",
    .size = 2000,
    .size_min = 1,
    .size_max = 1000000000,
    .rounds = 1,
    .variant_max = 2,
};

struct shared {
    _Atomic uint64_t own[EXPERIMENT_RANKS_MAX]; // half a page
    _Atomic uint64_t one;
    uint64_t locked;
};

static void count(struct experiment *experiment, struct shared *shared)
{
    for (long i = 0; i < experiment->size; i++) {
        // No addition may be kept in a register until the end, nor be one instruction.
        if (experiment->variant == 0) {
            _Atomic uint64_t *own = &shared->own[experiment->rank];
            atomic_store_explicit(own, atomic_load_explicit(own, memory_order_relaxed) + 1,
                                  memory_order_relaxed);
        } else if (experiment->variant == 1) {
            atomic_fetch_add(&shared->one, 1);
        } else {
            lock(experiment, LOCK_WORD);
            shared->locked++;
            unlock(experiment, LOCK_WORD);
        }
    }
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    struct shared *shared = experiment_memory(experiment, sizeof *shared);
    uint64_t sum, expected = (uint64_t)experiment->size * experiment->count;
    bool right = true;
    char more[64];

    experiment_start(experiment);
    count(experiment, shared);
    experiment_stop(experiment);
    sum = shared->one + shared->locked;
    for (unsigned rank = 0; rank < experiment->count; rank++) {
        sum += shared->own[rank];
        right =
            right && (experiment->variant != 0 || shared->own[rank] == (uint64_t)experiment->size);
    }
    snprintf(more, sizeof more, "counted=%llu", (unsigned long long)sum);
    experiment_end(experiment, right && sum == expected, more);
}
