// SPDX-License-Identifier: BSD-2-Clause
// The memory of TCP/IP: one stretch that cards can reach, of a fixed size, in
// blocks of HEAP_BLOCK_BYTES. A block holds pieces of one size, a power of two, and
// goes back to the common lot when all of its pieces are free. All in constant time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_BLOCK_BYTES 16384u
#define HEAP_PIECE_MIN   64u
#define HEAP_BLOCKS_MAX  1024u

struct heap_counters {
    uint64_t allocated, freed, refused;
    uint32_t blocks, blocks_free; // free: no piece of it is in use
};

// Takes a stretch of memory, a multiple of HEAP_BLOCK_BYTES and aligned to it.
// False: too large, or not so.
bool network_heap_open(void *memory, size_t bytes);

// NULL: none left, or more than HEAP_BLOCK_BYTES.
void *network_heap_allocate(size_t bytes);
void *network_heap_allocate_zeroed(size_t count, size_t bytes);
void network_heap_free(void *piece);

struct heap_counters network_heap_counters(void);
