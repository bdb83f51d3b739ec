// SPDX-License-Identifier: BSD-2-Clause
// The memory services between two address spaces, a call each: mapping a page of
// 4 KiB or 2 MiB into the twin, and unmapping it there. Tables are warm.
#include "rows.h"

#include "lib/memory.h"

#include <corvus/host.h>

#define DESTINATION 0x500000000000ull
#define TABLES      64ull // pages that share a page table

static char page[PAGE_BYTES] __attribute__((aligned(4096)));

// Both rows in one loop: what was mapped is what is unmapped.
static void pair(const char *name, bool mapping, uint64_t source, uint64_t bytes)
{
    struct row *row =
        measure_row(name, "instructions", mapping && bytes == PAGE_BYTES ? "seL4=714" : "");
    corvus_error_t error = ERR_OK;

    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS && error == ERR_OK; round++) {
        uint64_t destination = DESTINATION + round % TABLES * bytes;
        uint64_t start, mapped, unmapped;

        if (mapping)
            measure_before(row, round);
        start = processor_time();
        error =
            memory_map(partner_twin, source, destination, bytes, ACCESS_READ | ACCESS_WRITE, NULL);
        mapped = processor_time();
        if (error != ERR_OK)
            break;
        if (!mapping)
            measure_before(row, round);
        uint64_t again = processor_time();
        error = memory_unmap(partner_twin, destination, bytes, ACCESS_ALL | MEMORY_SELF, NULL, NULL,
                             NULL);
        unmapped = processor_time();
        if (mapping)
            measure_after(row, round, start, mapped);
        else
            measure_after(row, round, again, unmapped);
    }
    if (error == ERR_OK)
        (void)measure_print(row);
    else
        measure_failed(name, "service", error);
}

// A page of 2 MiB of this task's own, if its memory has one.
static uint64_t large_page(void)
{
    uint64_t address;

    if (memory_map_anywhere(3 * LARGE_PAGE_BYTES, ACCESS_READ | ACCESS_WRITE, &address) != ERR_OK)
        return 0;
    for (uint64_t at = address; at < address + 3 * LARGE_PAGE_BYTES; at += PAGE_BYTES) {
        uint64_t access = 0, bytes = 0;

        *(volatile char *)at = 1;
        if (at % LARGE_PAGE_BYTES == 0 &&
            memory_info(NAME_TASK_SELF, at, &access, &bytes, NULL, NULL) == ERR_OK &&
            bytes == LARGE_PAGE_BYTES)
            return at;
    }
    return 0;
}

void rows_memory(void)
{
    uint64_t large = large_page();

    page[0] = 1;
    pair("map_4k", true, (uint64_t)page, PAGE_BYTES);
    pair("unmap_4k", false, (uint64_t)page, PAGE_BYTES);
    if (large != 0)
        pair("map_2m", true, large, LARGE_PAGE_BYTES);
    else
        measure_failed("map_2m", "no page of 2 MiB", ERR_NOT_FOUND);
}
