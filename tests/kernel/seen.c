// SPDX-License-Identifier: BSD-2-Clause
// The errors that kernel services gave while the tests ran: to whomever, and by
// whichever way, since it is the kernel's trace that tells.
#include "harness.h"
#include "run.h"

#include <corvus/trace.h>

#include <stdio.h>

#define GROUPS       8  // a service's id is its object's number, then its own
#define SERVICES     64 // of an object
#define READ_RECORDS 14 // what host_trace_read gives at most

static bool enabled;
static uint64_t next;                   // sequence number of the first record not looked at
static uint32_t seen[GROUPS][SERVICES]; // a bit for each error
_Static_assert(ERR_COUNT <= 32, "an error has a bit");

static void note(const struct trace_record *record)
{
    uint32_t id = (uint32_t)record->a;

    if (record->kind == TRACE_SERVICE_ERROR && id >> 8 < GROUPS && (id & 0xff) < SERVICES &&
        record->b < ERR_COUNT)
        seen[id >> 8][id & 0xff] |= 1u << record->b;
}

// Reads up to the end of the trace; false when records were overwritten before.
static bool read_trace(void)
{
    struct trace_record records[READ_RECORDS] = {0};
    uint64_t first = 0, count = 0;
    bool complete = true;

    do {
        size_t words = READ_RECORDS * sizeof records[0] / sizeof(uint64_t);
        if (host_trace_read(NAME_HOST, next, &first, &count, (uint64_t *)records, &words) != ERR_OK)
            return false;
        complete = complete && first == next;
        for (uint64_t i = 0; i < count; i++)
            note(&records[i]);
        next = first + count;
    } while (count > 0);
    return complete;
}

void seen_enable(void)
{
    enabled = true;
    (void)read_trace(); // what there is was not ours
}

void seen_begin(void)
{
    if (enabled)
        EXPECT_OK(host_trace_control(NAME_HOST, 1u << TRACE_SERVICE_ERROR, 0));
}

void seen_collect(void)
{
    if (enabled)
        EXPECT(read_trace());
}

void seen_print(void)
{
    for (unsigned group = 0; enabled && group < GROUPS; group++)
        for (unsigned service = 0; service < SERVICES; service++)
            for (unsigned error = 0; error < ERR_COUNT; error++)
                if (seen[group][service] & 1u << error)
                    printf("# service-error %u %u\n", group << 8 | service, error);
}
