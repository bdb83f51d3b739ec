// SPDX-License-Identifier: BSD-2-Clause
// What the core did: counters, and the trace of page events, a ring.
#include "dsm/core/internal.h"

static void trace(struct dsm *dsm, const struct dsm_trace_entry *entry)
{
    uint32_t size = dsm->settings.trace_size;

    if (size == 0)
        return;
    dsm->trace[dsm->trace_end++ % size] = *entry;
}

void record_event(struct page *page, enum dsm_event event, uint32_t other)
{
    struct dsm *dsm = page->segment->dsm;

    trace(dsm, &(struct dsm_trace_entry){.time_ns = dsm->now,
                                         .segment = page->segment->link.key,
                                         .page = page->link.key,
                                         .other = other,
                                         .event = event});
}

void record_lost(struct entry *entry)
{
    struct dsm *dsm = entry->segment->dsm;

    entry->segment->counters.lost++;
    trace(dsm, &(struct dsm_trace_entry){.time_ns = dsm->now,
                                         .segment = entry->segment->link.key,
                                         .page = entry->link.key,
                                         .event = DSM_EVENT_LOST});
    if (dsm->operations->page_lost != NULL)
        dsm->operations->page_lost(dsm->context, entry->segment->link.key, entry->link.key);
}

size_t dsm_trace_take(struct dsm *dsm, struct dsm_trace_entry *entries, size_t count,
                      uint64_t *missed)
{
    uint32_t size = dsm->settings.trace_size;
    size_t taken = 0;

    *missed = 0;
    if (dsm->trace_end - dsm->trace_begin > size) {
        *missed = dsm->trace_end - dsm->trace_begin - size;
        dsm->trace_begin += *missed;
    }
    while (taken < count && dsm->trace_begin != dsm->trace_end)
        entries[taken++] = dsm->trace[dsm->trace_begin++ % size];
    return taken;
}

corvus_error_t dsm_segment_counters(const struct dsm *dsm, uint64_t number,
                                    struct dsm_counters *counters)
{
    const struct dsm_segment *segment = segment_find(dsm, number);

    if (segment == NULL)
        return ERR_NOT_FOUND;
    *counters = segment->counters;
    return ERR_OK;
}

void dsm_totals(const struct dsm *dsm, struct dsm_totals *totals)
{
    *totals = dsm->totals;
    totals->stored = dsm->stored;
    totals->memory = dsm->used_bytes;
}
