// SPDX-License-Identifier: BSD-2-Clause
// Storage and control of counters and trace ring.
#include "counters.h"

#include "cpu.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"
#include "x86/print.h"

#define TRACE_RECORDS 1024u // power of two

extern char syscall_entry_measured[]; // entry.S

uint64_t counters[COUNTER_COUNT];
uint32_t trace_mask;
bool irqs_off_measured;

static struct trace_record ring[TRACE_RECORDS];
static uint64_t ring_next; // sequence number of the next record

void trace_record(enum corvus_trace_kind kind, uint64_t a, uint64_t b)
{
    struct trace_record *record = &ring[ring_next++ % TRACE_RECORDS];

    record->tsc = rdtsc();
    record->thread = cpu.current ? (uint32_t)cpu.current->id : 0;
    record->kind = kind;
    record->a = a;
    record->b = b;
}

void trace_control(uint32_t mask, bool measure_irqs_off)
{
    trace_mask = mask;
    irqs_off_measured = measure_irqs_off;
    if (measure_irqs_off) {
        counters[COUNTER_IRQS_OFF_MAX] = 0;
        irqs_off_note_begin();
    }
    wrmsr(MSR_LSTAR, (uint64_t)(measure_irqs_off ? syscall_entry_measured : syscall_entry));
    // The hazard bit sends every message past the fast path, which records nothing.
    if (mask || measure_irqs_off)
        cpu.hazard |= CPU_HAZARD_TRACE;
    else
        cpu.hazard &= ~CPU_HAZARD_TRACE;
}

unsigned trace_read(uint64_t *sequence, struct trace_record *records, unsigned count)
{
    unsigned copied = 0;

    if (ring_next > TRACE_RECORDS && *sequence < ring_next - TRACE_RECORDS)
        *sequence = ring_next - TRACE_RECORDS;
    for (uint64_t i = *sequence; i < ring_next && copied < count; i++)
        records[copied++] = ring[i % TRACE_RECORDS];
    return copied;
}

void trace_print_last(void)
{
    uint64_t first = ring_next > 16 ? ring_next - 16 : 0;

    for (uint64_t i = first; i < ring_next; i++) {
        const struct trace_record *record = &ring[i % TRACE_RECORDS];

        kprintf("trace %lu: tsc %lu thread %u kind %u a %lx b %lx\n", i, record->tsc,
                record->thread, record->kind, record->a, record->b);
    }
}

void irqs_off_note_begin(void)
{
    cpu.irqs_off_since = rdtsc();
}

void irqs_off_note_end(void)
{
    uint64_t length = rdtsc() - cpu.irqs_off_since;

    if (length > counters[COUNTER_IRQS_OFF_MAX])
        counters[COUNTER_IRQS_OFF_MAX] = length;
}
