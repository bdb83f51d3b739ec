// SPDX-License-Identifier: BSD-2-Clause
// What a child has been given, by its own addresses: which physical pages lie
// there and with what access. A sorted array, pure, tested on the host.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region {
    uint64_t address; // in the child
    uint64_t physical;
    uint64_t bytes;
    uint32_t access; // ACCESS_*
};

struct regions {
    struct region *array; // by ascending address, without overlap
    size_t count, room;
    bool fixed; // the array cannot grow
};

// Sees to it that `more` regions can be added without failing.
bool regions_reserve(struct regions *regions, size_t more);
// Adds a region, joining it with neighbours that continue it. Room is reserved
// and nothing overlaps.
void regions_add(struct regions *regions, struct region region);
// The region that holds an address, or NULL.
const struct region *regions_find(const struct regions *regions, uint64_t address);
// Whether any, or every, byte of a range belongs to a region.
bool regions_touch(const struct regions *regions, uint64_t address, uint64_t bytes);
bool regions_cover(const struct regions *regions, uint64_t address, uint64_t bytes);
// Takes the first piece of [address, address + bytes) out, and returns it;
// bytes is 0 when there is none. Room for one more is reserved.
struct region regions_cut(struct regions *regions, uint64_t address, uint64_t bytes);
void regions_clear(struct regions *regions);
