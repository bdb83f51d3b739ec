// SPDX-License-Identifier: BSD-2-Clause
// Ranges are searched by bisection; inserting moves what lies behind, which is
// cheap for the few hundred regions that a server has.
#include "regions.h"

#include <stdlib.h>
#include <string.h>

#define REGIONS_FIRST 16

static uint64_t end_of(const struct region *region)
{
    return region->address + region->bytes;
}

// Index of the first region that ends above an address.
static size_t index_above(const struct regions *regions, uint64_t address)
{
    size_t low = 0, high = regions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (end_of(&regions->array[middle]) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void insert_at(struct regions *regions, size_t index, struct region region)
{
    memmove(&regions->array[index + 1], &regions->array[index],
            (regions->count - index) * sizeof region);
    regions->array[index] = region;
    regions->count++;
}

static void remove_at(struct regions *regions, size_t index)
{
    regions->count--;
    memmove(&regions->array[index], &regions->array[index + 1],
            (regions->count - index) * sizeof regions->array[0]);
}

bool regions_reserve(struct regions *regions, size_t more)
{
    size_t room = regions->room == 0 ? REGIONS_FIRST : regions->room;
    while (room - regions->count < more)
        room *= 2;
    if (room == regions->room)
        return true;
    if (regions->fixed)
        return false;
    struct region *array = realloc(regions->array, room * sizeof *array);
    if (array == NULL)
        return false;
    regions->array = array;
    regions->room = room;
    return true;
}

static bool continues(const struct region *first, const struct region *second)
{
    return end_of(first) == second->address && first->access == second->access &&
           first->physical + first->bytes == second->physical;
}

void regions_add(struct regions *regions, struct region region)
{
    size_t index = index_above(regions, region.address);
    if (index < regions->count && continues(&region, &regions->array[index])) {
        region.bytes += regions->array[index].bytes;
        remove_at(regions, index);
    }
    if (index > 0 && continues(&regions->array[index - 1], &region))
        regions->array[index - 1].bytes += region.bytes;
    else
        insert_at(regions, index, region);
}

const struct region *regions_find(const struct regions *regions, uint64_t address)
{
    size_t index = index_above(regions, address);
    if (index == regions->count || regions->array[index].address > address)
        return NULL;
    return &regions->array[index];
}

bool regions_touch(const struct regions *regions, uint64_t address, uint64_t bytes)
{
    size_t index = index_above(regions, address);
    return index < regions->count && regions->array[index].address < address + bytes;
}

bool regions_cover(const struct regions *regions, uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;
    if (end < address)
        return false;
    for (size_t i = index_above(regions, address); address < end; i++) {
        if (i == regions->count || regions->array[i].address > address)
            return false;
        address = end_of(&regions->array[i]);
    }
    return true;
}

struct region regions_cut(struct regions *regions, uint64_t address, uint64_t bytes)
{
    uint64_t end = address + bytes;
    size_t index = index_above(regions, address);
    if (index == regions->count || regions->array[index].address >= end)
        return (struct region){0};
    struct region whole = regions->array[index], piece = whole;
    if (piece.address < address) {
        piece.bytes -= address - piece.address;
        piece.physical += address - piece.address;
        piece.address = address;
    }
    if (end_of(&piece) > end)
        piece.bytes = end - piece.address;
    remove_at(regions, index);
    if (end_of(&whole) > end_of(&piece)) {
        struct region behind = whole;
        behind.address = end_of(&piece);
        behind.bytes = end_of(&whole) - behind.address;
        behind.physical += behind.address - whole.address;
        insert_at(regions, index, behind);
    }
    if (whole.address < piece.address) {
        whole.bytes = piece.address - whole.address;
        insert_at(regions, index, whole);
    }
    return piece;
}

void regions_clear(struct regions *regions)
{
    free(regions->array);
    *regions = (struct regions){0};
}
