// SPDX-License-Identifier: BSD-2-Clause
// A sorted table of areas, neighbours of a kind being one. Pages come from and
// go to the hooks; the lock is held meanwhile, so that the table and the pages
// agree.
#include "lib/memory.h"
#include "lib/hooks.h"
#include "lib/lock.h"

#include <corvus/types.h>

#include <stdbool.h>
#include <string.h>

#define AREAS_MAX 1024u

struct area {
    uint64_t start;
    uint64_t end;
    uint64_t access;
    bool backed; // there are pages; else only the addresses are taken
};

static struct lock lock;
static struct area areas[AREAS_MAX];
static size_t area_count;

static bool range_is_valid(uint64_t address, uint64_t length)
{
    return address % PAGE_BYTES == 0 && length % PAGE_BYTES == 0 && length != 0 &&
           address >= RUNTIME_MEMORY_START && address < RUNTIME_MEMORY_END &&
           length <= RUNTIME_MEMORY_END - address;
}

// The first area that ends behind the address; area_count when there is none.
static size_t area_find(uint64_t address)
{
    size_t low = 0, high = area_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (areas[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void area_insert(size_t index, struct area area)
{
    memmove(&areas[index + 1], &areas[index], (area_count - index) * sizeof areas[0]);
    areas[index] = area;
    area_count++;
}

static void area_remove(size_t index)
{
    area_count--;
    memmove(&areas[index], &areas[index + 1], (area_count - index) * sizeof areas[0]);
}

static bool is_inside_area(uint64_t address)
{
    size_t index = area_find(address);

    return index < area_count && areas[index].start < address;
}

// Whether both ends of the range can be made borders. After that nothing can
// fail but the hooks.
static bool can_split(uint64_t address, uint64_t end)
{
    return area_count + is_inside_area(address) + is_inside_area(end) <= AREAS_MAX;
}

// Makes the address a border between areas if it lies inside one.
static void area_split(uint64_t address)
{
    size_t index = area_find(address);

    if (!is_inside_area(address))
        return;
    struct area upper = areas[index];
    upper.start = address;
    areas[index].end = address;
    area_insert(index + 1, upper);
}

// Joins the areas of a range, and its neighbours, where they are alike.
static void area_merge(uint64_t address, uint64_t end)
{
    size_t index = area_find(address == 0 ? 0 : address - 1);

    while (index + 1 < area_count && areas[index].start <= end) {
        struct area *lower = &areas[index], *upper = &areas[index + 1];
        if (lower->end == upper->start && lower->access == upper->access &&
            lower->backed == upper->backed) {
            lower->end = upper->end;
            area_remove(index + 1);
        } else {
            index++;
        }
    }
}

// The lowest free range, so that page tables stay few. 0 when there is none.
static uint64_t find_gap(uint64_t length)
{
    uint64_t start = RUNTIME_MEMORY_START;

    for (size_t index = 0; index < area_count; index++) {
        if (areas[index].start - start >= length)
            return start;
        start = areas[index].end;
    }
    return RUNTIME_MEMORY_END - start >= length ? start : 0;
}

static corvus_error_t map_locked(uint64_t length, uint64_t access, uint64_t *address)
{
    if (area_count == AREAS_MAX)
        return ERR_NO_MEMORY;
    uint64_t start = find_gap(length);
    if (start == 0)
        return ERR_NO_MEMORY;
    if (access != 0) {
        corvus_error_t error = runtime_hooks.memory_allocate(start, length, access);
        if (error != ERR_OK)
            return error;
    }
    area_insert(area_find(start), (struct area){start, start + length, access, access != 0});
    area_merge(start, start + length);
    *address = start;
    return ERR_OK;
}

corvus_error_t memory_map_anywhere(uint64_t length, uint64_t access, uint64_t *address)
{
    if (!range_is_valid(RUNTIME_MEMORY_START, length))
        return ERR_INVALID_RANGE;
    lock_acquire(&lock);
    corvus_error_t error = map_locked(length, access, address);
    lock_release(&lock);
    return error;
}

static corvus_error_t unmap_locked(uint64_t address, uint64_t length)
{
    if (!can_split(address, address + length))
        return ERR_NO_MEMORY;
    area_split(address);
    area_split(address + length);
    size_t index = area_find(address);
    while (index < area_count && areas[index].start < address + length) {
        struct area *area = &areas[index];
        corvus_error_t error =
            area->backed ? runtime_hooks.memory_free(area->start, area->end - area->start) : ERR_OK;
        if (error != ERR_OK)
            return error;
        area_remove(index);
    }
    return ERR_OK;
}

corvus_error_t memory_unmap_range(uint64_t address, uint64_t length)
{
    if (!range_is_valid(address, length))
        return ERR_INVALID_RANGE;
    lock_acquire(&lock);
    corvus_error_t error = unmap_locked(address, length);
    lock_release(&lock);
    return error;
}

static bool range_is_used(uint64_t address, uint64_t end)
{
    for (size_t index = area_find(address); address < end; index++) {
        if (index == area_count || areas[index].start > address)
            return false;
        address = areas[index].end;
    }
    return true;
}

// Reserved addresses get pages when they first get access.
static corvus_error_t protect_area(struct area *area, uint64_t access)
{
    uint64_t length = area->end - area->start;
    corvus_error_t error = ERR_OK;

    if (area->access == access)
        return ERR_OK;
    if (area->backed)
        error = runtime_hooks.memory_protect(area->start, length, access);
    else
        error = runtime_hooks.memory_allocate(area->start, length, access);
    if (error != ERR_OK)
        return error;
    area->access = access;
    area->backed = true;
    return ERR_OK;
}

static corvus_error_t protect_locked(uint64_t address, uint64_t length, uint64_t access)
{
    corvus_error_t error = ERR_OK;

    if (!range_is_used(address, address + length))
        return ERR_NOT_MAPPED;
    if (!can_split(address, address + length))
        return ERR_NO_MEMORY;
    area_split(address);
    area_split(address + length);
    for (size_t index = area_find(address); index < area_count && error == ERR_OK; index++) {
        if (areas[index].start >= address + length)
            break;
        error = protect_area(&areas[index], access);
    }
    area_merge(address, address + length);
    return error;
}

corvus_error_t memory_protect_range(uint64_t address, uint64_t length, uint64_t access)
{
    if (!range_is_valid(address, length))
        return ERR_INVALID_RANGE;
    lock_acquire(&lock);
    corvus_error_t error = protect_locked(address, length, access);
    lock_release(&lock);
    return error;
}
