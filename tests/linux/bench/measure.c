// SPDX-License-Identifier: BSD-2-Clause
// Takes the samples of a row and prints its median and minimum. What reading the counter and
// calling a round costs is measured with an empty round and taken off.
#include "bench.h"
#include "mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX 1001u

struct samples {
    unsigned count;
    uint64_t of[SAMPLES_MAX];
};

static uint64_t processor_time(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// Knows nothing of the round it calls, so that an empty one costs as much as any other.
__attribute__((noipa)) static void take(struct samples *samples, void (*round)(void),
                                        unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = processor_time();
        round();
        uint64_t end = processor_time();
        samples->of[i] = end - start;
    }
    samples->count = rounds;
}

static void sort(struct samples *samples)
{
    qsort(samples->of, samples->count, sizeof samples->of[0], compare);
}

static uint64_t take_median(struct samples *samples, void (*round)(void), unsigned rounds)
{
    take(samples, round, rounds);
    take(samples, round, rounds);
    sort(samples);
    return samples->of[samples->count / 2];
}

static void nothing(void)
{
    __asm__ volatile("" ::: "memory");
}

static uint64_t fewer(uint64_t value, uint64_t by)
{
    return value > by ? value - by : 0;
}

static unsigned at_least_one(unsigned rounds)
{
    rounds /= settings.divisor;
    return rounds == 0 ? 1 : rounds;
}

void measure_row(const struct row *row)
{
    static struct samples samples;
    uint64_t operations = row->operations == 0 ? 1 : row->operations;
    unsigned rounds = at_least_one(row->rounds);

    if (row->setup != NULL)
        row->setup();
    uint64_t overhead = take_median(&samples, nothing, 101);
    uint64_t baseline = 0;
    if (row->baseline != NULL)
        baseline = fewer(take_median(&samples, row->baseline, at_least_one(101)), overhead);

    take(&samples, row->round, at_least_one(row->warm));
    mark_begin();
    take(&samples, row->round, rounds);
    mark_end();

    sort(&samples);
    uint64_t median = fewer(samples.of[samples.count / 2], overhead) / operations;
    uint64_t minimum = fewer(samples.of[0], overhead) / operations;
    printf("%s%s %" PRIu64 " %" PRIu64 " %s %u\n", settings.prefix, row->name,
           fewer(median, baseline), fewer(minimum, baseline), row->unit,
           rounds * (unsigned)operations);
}
