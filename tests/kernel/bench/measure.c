// SPDX-License-Identifier: BSD-2-Clause
// Collects samples, and prints median and minimum as a row.
#include "measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct row the_row;
static uint64_t overhead;

struct row *measure_row(const char *name, const char *unit, const char *peers)
{
    the_row.name = name;
    the_row.unit = unit;
    the_row.peers = peers;
    the_row.count = 0;
    return &the_row;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t median(struct row *row)
{
    qsort(row->samples, row->count, sizeof row->samples[0], compare);
    return row->samples[row->count / 2];
}

void measure_calibrate(void)
{
    struct row *row = measure_row("nothing", "instructions", "");

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS; round++) {
        measure_before(row, round);
        uint64_t start = processor_time();
        __asm__ volatile("" ::: "memory");
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
    }
    overhead = median(row);
}

static uint64_t without_overhead(uint64_t ticks)
{
    return ticks > overhead ? ticks - overhead : 0;
}

uint64_t measure_print(struct row *row)
{
    uint64_t middle = without_overhead(median(row));

    printf("bench %s %" PRIu64 " %s %" PRIu64 "%s%s\n", row->name, middle, row->unit,
           without_overhead(row->samples[0]), row->peers[0] == '\0' ? "" : " ", row->peers);
    return middle;
}

void measure_failed(const char *name, const char *what, corvus_error_t error)
{
    printf("%s: %s: error %d\n", name, what, (int)error);
}

__attribute__((noinline)) void measure_trace_begin(const char *name)
{
    __asm__ volatile("" : : "r"(name) : "memory");
}
