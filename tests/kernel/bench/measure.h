// SPDX-License-Identifier: BSD-2-Clause
// Rows of the benchmark. Under -icount shift=0 one tick of the time stamp
// counter is one instruction, so a sample is a number of instructions; what the
// two readings of the counter cost themselves is taken off.
#pragma once

#include "lib/call.h"

#define MEASURE_WARM_ROUNDS 100
#define MEASURE_ROUNDS      1001
#define MEASURE_ALL_ROUNDS  (MEASURE_WARM_ROUNDS + MEASURE_ROUNDS)

struct row {
    const char *name;
    const char *unit;
    const char *peers; // "NAME=figure …" of other kernels, or ""
    uint64_t count;
    uint64_t samples[MEASURE_ROUNDS];
};

// Begins a row. There is one at a time.
struct row *measure_row(const char *name, const char *unit, const char *peers);

// Measures what two readings of the counter cost; before all rows.
void measure_calibrate(void);

// Prints the row and returns its median.
uint64_t measure_print(struct row *row);

// Prints why a row could not be measured; the row is missing then.
void measure_failed(const char *name, const char *what, corvus_error_t error);

// What step_trace.py stops at, to go through the round that follows one
// instruction at a time. Does nothing itself.
void measure_trace_begin(const char *name);

// A measured round is: measure_before, a reading of the counter, the operation,
// another reading, measure_after. The last round is the one that is traced.
static inline void measure_before(const struct row *row, unsigned round)
{
    if (round == MEASURE_ALL_ROUNDS - 1)
        measure_trace_begin(row->name);
}

static inline void measure_after(struct row *row, unsigned round, uint64_t start, uint64_t end)
{
    if (round >= MEASURE_WARM_ROUNDS)
        row->samples[row->count++] = end - start;
}
