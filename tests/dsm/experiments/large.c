// SPDX-License-Identifier: BSD-2-Clause
// More memory than a machine has: all pages are written, each with its number, its version and a
// sum over it, and then read by all, each beginning elsewhere; round by round. Variant 0: each
// process writes a part of its own, another one in each round; variant 1: the first writes all, the
// last reads all.
#include "experiment.h"

#include <stdio.h>
#include <string.h>

#define WORDS          (EXPERIMENT_PAGE / sizeof(uint64_t))
#define PAGES_OF_A_MIB ((1l << 20) / EXPERIMENT_PAGE)

static const struct experiment_limits limits = {
    .name = "large",
    .size_text = "MiB",
    .size = 8,
    .size_min = 1,
    .size_max = 1 << 20,
    .rounds = 1,
    .variant_max = 1,
};

struct page {
    uint64_t number, version;
    uint64_t data[WORDS - 3];
    uint64_t sum;
};

_Static_assert(sizeof(struct page) == EXPERIMENT_PAGE, "a page");

static uint64_t sum_of(const struct page *page)
{
    uint64_t sum = page->number * 3 + page->version;

    for (size_t i = 0; i < WORDS - 3; i++)
        sum = (sum << 1 | sum >> 63) ^ page->data[i];
    return sum;
}

static void fill(struct page *page, uint64_t number, uint64_t version, uint64_t seed)
{
    uint64_t value = random_at(seed + version, number);

    page->number = number;
    page->version = version;
    for (size_t i = 0; i < WORDS - 3; i++)
        page->data[i] = value + i * version;
    page->sum = sum_of(page);
}

static bool is_whole(const struct page *page, uint64_t number, uint64_t version, uint64_t seed)
{
    return page->number == number && page->version == version &&
           page->data[0] == random_at(seed + version, number) && page->sum == sum_of(page);
}

// In round `round` this process writes what another one had before.
static void write_part(const struct experiment *experiment, struct page *pages, long total,
                       uint64_t round)
{
    struct experiment turned = *experiment;
    long first = 0, end = total;

    turned.rank = (unsigned)((experiment->rank + round) % experiment->count);
    if (experiment->variant == 0)
        experiment_share(&turned, total, &first, &end);
    else if (experiment->rank != 0)
        return;
    for (long i = first; i < end; i++)
        fill(&pages[i], (uint64_t)i, round, experiment->seed);
}

// How many pages are not as they were written.
static long read_all(const struct experiment *experiment, const struct page *pages, long total,
                     uint64_t round)
{
    long first, end, wrong = 0;

    if (experiment->variant != 0 && experiment->rank != experiment->count - 1)
        return 0;
    experiment_share(experiment, total, &first, &end);
    for (long i = 0; i < total; i++) {
        long at = (first + i) % total;
        wrong += !is_whole(&pages[at], (uint64_t)at, round, experiment->seed);
    }
    return wrong;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long total = experiment->size * PAGES_OF_A_MIB;
    // Behind the pages: what each process found wrong.
    struct page *pages =
        experiment_memory(experiment, ((size_t)total + experiment->count) * sizeof *pages);
    long found = 0;
    char more[64];

    experiment_start(experiment);
    for (long round = 1; round <= experiment->rounds; round++) {
        write_part(experiment, pages, total, (uint64_t)round);
        if (round == experiment->rounds)
            experiment_stop(experiment);
        else
            barrier(experiment);
        found += read_all(experiment, pages, total, (uint64_t)round);
        barrier(experiment);
    }
    pages[total + experiment->rank].number = (uint64_t)found;
    barrier(experiment);
    for (unsigned rank = 0; rank < experiment->count; rank++)
        if (rank != experiment->rank)
            found += (long)pages[total + rank].number;
    snprintf(more, sizeof more, "pages=%ld wrong=%ld", total, found);
    experiment_end(experiment, found == 0, more);
}
