// SPDX-License-Identifier: BSD-2-Clause
// Memory of segments, which the card reads where it lies. Two sizes: most messages
// are short. What was once taken from init is kept.
#include "netipc/core/core.h"
#include "netipc/exchange.h"
#include "netipc/memory.h"

#define SMALL_BYTES 1024u
#define LARGE_BYTES 18432u // the longest segment and what the core keeps with it
#define BATCH_BYTES (256u << 10)

_Static_assert(LARGE_BYTES >= 16384 + 8 + SECURE_OVERHEAD_BYTES + 64, "a whole segment");

struct free_block {
    struct free_block *next;
};

static struct free_block *small_blocks, *large_blocks;

static bool refill(struct free_block **list, size_t bytes)
{
    char *memory = network_memory_allocate(BATCH_BYTES);

    if (memory == NULL)
        return false;
    for (size_t at = 0; at + bytes <= BATCH_BYTES; at += bytes) {
        struct free_block *block = (struct free_block *)(void *)(memory + at);
        block->next = *list;
        *list = block;
    }
    return true;
}

void *segments_allocate(void *context, size_t bytes)
{
    bool small = bytes <= SMALL_BYTES;
    struct free_block **list = small ? &small_blocks : &large_blocks;

    (void)context;
    if (bytes > LARGE_BYTES || (*list == NULL && !refill(list, small ? SMALL_BYTES : LARGE_BYTES)))
        return NULL;
    struct free_block *block = *list;
    *list = block->next;
    return block;
}

void segments_release(void *context, void *memory, size_t bytes)
{
    struct free_block **list = bytes <= SMALL_BYTES ? &small_blocks : &large_blocks;
    struct free_block *block = memory;

    (void)context;
    block->next = *list;
    *list = block;
}
