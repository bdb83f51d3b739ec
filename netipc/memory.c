// SPDX-License-Identifier: BSD-2-Clause
// Which ranges of memory cards can reach; few of them, so they are simply gone through.
#include "netipc/memory.h"

struct range {
    uintptr_t start;
    uint64_t bus;
    size_t bytes;
};

static struct range ranges[NETWORK_MEMORY_RANGES];
static unsigned range_count;

bool network_memory_add(void *start, uint64_t bus, size_t bytes)
{
    if (range_count == NETWORK_MEMORY_RANGES)
        return false;
    ranges[range_count++] = (struct range){(uintptr_t)start, bus, bytes};
    return true;
}

bool network_memory_bus(const void *data, size_t bytes, uint64_t *bus)
{
    uintptr_t start = (uintptr_t)data;

    for (unsigned i = 0; i < range_count; i++) {
        uintptr_t offset = start - ranges[i].start;
        if (start < ranges[i].start || offset > ranges[i].bytes || bytes > ranges[i].bytes - offset)
            continue;
        *bus = ranges[i].bus + offset;
        return true;
    }
    return false;
}
