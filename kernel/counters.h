// SPDX-License-Identifier: BSD-2-Clause
// Counters, the trace ring, and the measurement of stretches with interrupts
// off. All cost one test of a variable when they are off.
#pragma once

#include <corvus/trace.h>

#include <stdbool.h>

extern uint64_t counters[COUNTER_COUNT];

static inline void counter_add(enum corvus_counter counter, uint64_t amount)
{
    counters[counter] += amount;
}

extern uint32_t trace_mask; // bit n: kind n is recorded
extern bool irqs_off_measured;

void trace_record(enum corvus_trace_kind kind, uint64_t a, uint64_t b);

static inline void trace(enum corvus_trace_kind kind, uint64_t a, uint64_t b)
{
    if (__builtin_expect(trace_mask & 1u << kind, 0))
        trace_record(kind, a, b);
}

void trace_control(uint32_t mask, bool measure_irqs_off);

// Copies records from `sequence` on; tells the number of the first and how many.
unsigned trace_read(uint64_t *sequence, struct trace_record *records, unsigned count);

// For the panic report.
void trace_print_last(void);

// Called where interrupts go off (kernel entry) and on again (kernel exit).
void irqs_off_note_begin(void);
void irqs_off_note_end(void);

static inline void irqs_off_begin(void)
{
    if (__builtin_expect(irqs_off_measured, 0))
        irqs_off_note_begin();
}

static inline void irqs_off_end(void)
{
    if (__builtin_expect(irqs_off_measured, 0))
        irqs_off_note_end();
}
