// SPDX-License-Identifier: BSD-2-Clause
// Windows are laid one behind the other above all physical memory and below
// what the runtime hands out. A window asked for twice is found again.
#include "device_memory.h"

#include <corvus/host.h>
#include <corvus/stubs.h>
#include <corvus/types.h>

#define WINDOWS_START 0x100000000000ull
#define WINDOWS_END   0x180000000000ull
#define WINDOWS_MAX   128
#define MAP_BYTES_MAX (64ull << 20) // of one call to the kernel

struct window {
    uint64_t physical, bytes, address;
};

static struct window windows[WINDOWS_MAX];
static uint32_t window_count;
static uint64_t next_address = WINDOWS_START;

static void *find(uint64_t physical, uint64_t bytes)
{
    for (uint32_t i = 0; i < window_count; i++) {
        const struct window *window = &windows[i];
        if (physical >= window->physical && physical - window->physical <= window->bytes &&
            bytes <= window->bytes - (physical - window->physical))
            return (void *)(uintptr_t)(window->address + (physical - window->physical));
    }
    return NULL;
}

static corvus_error_t map_pages(uint64_t physical, uint64_t address, uint64_t bytes, uint64_t cache)
{
    corvus_error_t error = ERR_OK;
    for (uint64_t done = 0; error == ERR_OK && done < bytes; done += MAP_BYTES_MAX) {
        uint64_t part = bytes - done < MAP_BYTES_MAX ? bytes - done : MAP_BYTES_MAX;
        error = host_map_device(NAME_HOST_PRIVILEGED, physical + done, address + done, part, cache);
    }
    return error;
}

void *device_memory_map(uint64_t physical, uint64_t bytes, uint64_t cache)
{
    void *found = find(physical, bytes);
    if (found != NULL)
        return found;
    uint64_t first = physical & ~(PAGE_BYTES - 1);
    uint64_t end = (physical + bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (end <= first || window_count == WINDOWS_MAX || end - first > WINDOWS_END - next_address)
        return NULL;
    struct window window = {.physical = first, .bytes = end - first, .address = next_address};
    if (map_pages(first, window.address, window.bytes, cache) != ERR_OK)
        return NULL;
    windows[window_count++] = window;
    next_address += window.bytes;
    return find(physical, bytes);
}
