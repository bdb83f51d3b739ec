// SPDX-License-Identifier: BSD-2-Clause
// Radix sort of 32-bit keys, as SPLASH-2's: for each digit all count their keys, each finds from
// the counts of all where its own go, and moves them: to everywhere, which is what makes it hard.
// Checked: in order, and the same keys.
#include "experiment.h"

#include <string.h>

#define DIGIT_BITS 8
#define DIGITS     (1 << DIGIT_BITS)
#define PASSES     (32 / DIGIT_BITS)

static const struct experiment_limits limits = {
    .name = "radix",
    .size_text = "keys",
    .size = 65536,
    .size_min = 1,
    .size_max = 1 << 26,
    .rounds = 1,
};

struct counts {
    _Alignas(EXPERIMENT_PAGE) uint32_t of[DIGITS]; // one process's
};

static uint32_t key(uint64_t seed, long index)
{
    return (uint32_t)random_at(seed, (uint64_t)index);
}

static uint32_t digit(uint32_t value, int pass)
{
    return value >> pass * DIGIT_BITS & (DIGITS - 1);
}

// Where this process's first key of each digit goes: behind all smaller digits, and behind the same
// digit of the processes before it.
static void find_places(const struct experiment *experiment, const struct counts *counts,
                        long *places)
{
    long place = 0;

    for (int value = 0; value < DIGITS; value++)
        for (unsigned rank = 0; rank < experiment->count; rank++) {
            if (rank == experiment->rank)
                places[value] = place;
            place += counts[rank].of[value];
        }
}

static void sort(struct experiment *experiment, uint32_t *from, uint32_t *to, struct counts *counts)
{
    long first, end, places[DIGITS];

    experiment_share(experiment, experiment->size, &first, &end);
    for (int pass = 0; pass < PASSES; pass++) {
        uint32_t *kept = from, mine[DIGITS] = {0};
        for (long i = first; i < end; i++)
            mine[digit(from[i], pass)]++;
        memcpy(counts[experiment->rank].of, mine, sizeof mine);
        barrier(experiment);
        find_places(experiment, counts, places);
        for (long i = first; i < end; i++)
            to[places[digit(from[i], pass)]++] = from[i];
        barrier(experiment);
        from = to;
        to = kept;
    }
}

// Sums of a function of each key that is as good as random: the same for the same keys.
static bool is_right(const uint32_t *keys, uint64_t seed, long n)
{
    uint64_t before = 0, after = 0;

    for (long i = 0; i < n; i++) {
        if (i > 0 && keys[i - 1] > keys[i])
            return false;
        before += random_at(5, key(seed, i));
        after += random_at(5, keys[i]);
    }
    return before == after;
}

_Static_assert(PASSES % 2 == 0, "the last pass brings the keys back");

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long n = experiment->size, first, end;
    size_t counts_bytes = experiment->count * sizeof(struct counts);
    char *memory = experiment_memory(experiment, counts_bytes + 2 * (size_t)n * sizeof(uint32_t));
    uint32_t *keys = (uint32_t *)(memory + counts_bytes);

    experiment_share(experiment, n, &first, &end);
    for (long i = first; i < end; i++)
        keys[i] = key(experiment->seed, i);
    experiment_start(experiment);
    sort(experiment, keys, keys + n, (struct counts *)memory);
    experiment_stop(experiment);
    experiment_end(experiment, experiment->rank != 0 || is_right(keys, experiment->seed, n), "");
}
