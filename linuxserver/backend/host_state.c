// SPDX-License-Identifier: GPL-2.0-only
// The microkernel's counters and trace, for sysfs.c.
#include "guests.h"
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/stubs.h>
#include <corvus/trace.h>

#include <errno.h>
#include <os.h>
#include <stdio.h>
#include <string.h>

#define RECORDS_AT_ONCE 14 // of host_trace_read

static const char *const counter_names[] = {
#define NAME(name, text) #name,
    CORVUS_COUNTERS(NAME)
#undef NAME
};

// What the server itself counts, in the same form.
static unsigned long own_counters(char *text, unsigned long room)
{
    uint64_t id, quota = 0, used = 0, threads, rights, mapped;
    int enabled = um_set_signals(0);

    (void)task_info(NAME_TASK_SELF, &id, &quota, &used, &threads, &rights, &mapped);
    um_set_signals(enabled);
    return (unsigned long)snprintf(text, room,
                                   "guests %lu\nguests_made %lu\nguests_ended_for_room %lu\n"
                                   "guests_begun_anew %lu\n"
                                   "kernel_memory_unused %lu\n",
                                   guest_counts.present, guest_counts.made,
                                   guest_counts.ended_for_room, guest_counts.begun_anew,
                                   quota - used);
}

unsigned long host_counters_text(char *text, unsigned long room)
{
    uint64_t values[COUNTER_COUNT];
    size_t count = COUNTER_COUNT;
    unsigned long used = 0;
    int enabled = um_set_signals(0);
    corvus_error_t error = host_counters(NAME_HOST, 0, values, &count);

    um_set_signals(enabled);
    if (error != ERR_OK)
        return 0;
    for (size_t i = 0; i < count && room - used > 64; i++) {
        const char *name = counter_names[i];

        while (*name != '\0') {
            text[used++] = *name >= 'A' && *name <= 'Z' ? (char)(*name + 'a' - 'A') : *name;
            name++;
        }
        used += (unsigned long)snprintf(text + used, room - used, " %lu\n", values[i]);
    }
    return used + own_counters(text + used, room - used);
}

// How many of these records were made until then.
static uint64_t records_until(const struct trace_record *records, uint64_t count,
                              unsigned long until)
{
    uint64_t before = 0;

    while (before < count && records[before].tsc <= until)
        before++;
    return before;
}

long host_trace_records(unsigned long *sequence, unsigned long until, void *to, unsigned long room)
{
    uint64_t words[RECORDS_AT_ONCE * sizeof(struct trace_record) / 8];
    size_t arrived = sizeof words / sizeof words[0];
    uint64_t first, count;
    int enabled = um_set_signals(0);
    corvus_error_t error = host_trace_read(NAME_HOST, *sequence, &first, &count, words, &arrived);

    um_set_signals(enabled);
    if (error != ERR_OK || count > arrived * 8 / sizeof(struct trace_record))
        return -EIO;
    if (count > room / sizeof(struct trace_record))
        count = room / sizeof(struct trace_record);
    count = records_until((const struct trace_record *)words, count, until);
    memcpy(to, words, count * sizeof(struct trace_record));
    *sequence = first;
    return (long)(count * sizeof(struct trace_record));
}

int host_trace_enable(int on)
{
    int enabled = um_set_signals(0);
    corvus_error_t error = host_trace_control(NAME_HOST, on ? (1ul << TRACE_KIND_COUNT) - 1 : 0, 0);

    um_set_signals(enabled);
    return error == ERR_OK ? 0 : -EIO;
}
