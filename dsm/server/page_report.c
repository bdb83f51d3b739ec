// SPDX-License-Identifier: BSD-2-Clause
// What the core did, for programs: counters, and a ring of page events, so that several can read
// it.
#include "dsm/server/pages.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS 1024u

static struct segment_trace_record *ring; // made with the first event
static uint64_t next_record;

// Of segments that are gone: what was counted stays in the sums.
static struct dsm_counters gone;

static void add_counters(struct dsm_counters *sum, uint64_t number)
{
    struct dsm_counters one;

    if (dsm_segment_counters(pages_core, number, &one) != ERR_OK)
        return;
#define ADD(name, text) sum->name += one.name;
    // cppcheck-suppress unknownMacro
    DSM_COUNTERS(ADD)
#undef ADD
}

void pages_keep_counters(uint64_t number)
{
    add_counters(&gone, number);
}

bool pages_counters(uint64_t number, uint64_t *values, size_t *count)
{
    struct dsm_counters sum = {0};
    struct dsm_totals totals = {0};
    const struct memory_object_counters *managers = memory_object_counters();

    if (number != 0 && dsm_segment_counters(pages_core, number, &sum) != ERR_OK)
        return false;
    if (number == 0) {
        dsm_totals(pages_core, &totals);
        sum = gone;
        for (const struct directory_segment *entry = directory_first_segment(directory);
             entry != NULL; entry = entry->next)
            add_counters(&sum, entry->number);
    }
    const uint64_t all[] = {
#define VALUE(name, text) sum.name,
        // cppcheck-suppress unknownMacro
        DSM_COUNTERS(VALUE)
#undef VALUE
            totals.messages_sent,
        totals.messages_received,
        totals.bytes_sent,
        totals.stale,
        totals.malformed,
        totals.views,
        totals.stored,
        totals.memory,
        number == 0 ? managers->unknown : 0,
        number == 0 ? managers->malformed : 0,
        number == 0 ? peers_refused() : 0,
        number == 0 ? pages_cache_counts.demanded : 0,
        number == 0 ? pages_cache_counts.demand_messages : 0,
        number == 0 ? pages_cache_counts.returned : 0,
        number == 0 ? pages_cache_counts.return_messages : 0,
    };
#define COUNT_ONE(name, text) +1
    _Static_assert(sizeof all / sizeof all[0] == 0 SEGMENT_COUNTERS(COUNT_ONE),
                   "as segments.h lists them");
#undef COUNT_ONE
    if (*count > sizeof all / sizeof all[0])
        *count = sizeof all / sizeof all[0];
    memcpy(values, all, *count * sizeof values[0]);
    return true;
}

void pages_take_events(void)
{
    struct dsm_trace_entry entries[32];
    uint64_t missed;
    size_t count;

    while ((count = dsm_trace_take(pages_core, entries, 32, &missed)) != 0) {
        uint64_t since_1970 = real_time_ns() - clock_now_ns();
        if (ring == NULL)
            ring = calloc(RECORDS, sizeof *ring);
        if (ring == NULL) // no picture, then
            return;
        for (size_t i = 0; i < count; i++)
            ring[next_record++ % RECORDS] =
                (struct segment_trace_record){.time = since_1970 + entries[i].time_ns,
                                              .segment = entries[i].segment,
                                              .page = entries[i].page,
                                              .event = (uint8_t)(entries[i].event + 1),
                                              .node = (uint8_t)this_node.number,
                                              .other = (uint8_t)entries[i].other};
    }
}

size_t pages_trace(uint64_t sequence, struct segment_trace_record *records, size_t room,
                   uint64_t *first)
{
    size_t count = 0;

    pages_take_events();
    if (sequence + RECORDS < next_record)
        sequence = next_record - RECORDS;
    if (sequence > next_record)
        sequence = next_record;
    *first = sequence;
    for (; count < room && sequence < next_record; sequence++)
        records[count++] = ring[sequence % RECORDS];
    return count;
}
