// SPDX-License-Identifier: BSD-2-Clause
// Blocks with free pieces are on a list of their size; the free pieces of a block
// are a list through their first words.
#include "heap.h"

#include <string.h>

#define SIZES 9u // 64 … 16384

struct block {
    void *free;              // pieces
    uint16_t used;           // pieces
    uint16_t size;           // number of the size
    struct block *next;      // of those with free pieces, or of free blocks
    struct block **previous; // what points here; NULL: on no list
};

static struct {
    uint8_t *memory;
    struct block blocks[HEAP_BLOCKS_MAX];
    struct block *partial[SIZES];
    struct block *empty;
    struct heap_counters counters;
} heap;

static size_t bytes_of(unsigned size)
{
    return (size_t)HEAP_PIECE_MIN << size;
}

static void put(struct block **list, struct block *block)
{
    block->next = *list;
    block->previous = list;
    if (block->next != NULL)
        block->next->previous = &block->next;
    *list = block;
}

static void take(struct block *block)
{
    *block->previous = block->next;
    if (block->next != NULL)
        block->next->previous = block->previous;
    block->previous = NULL;
}

bool network_heap_open(void *memory, size_t bytes)
{
    size_t count = bytes / HEAP_BLOCK_BYTES;

    if (bytes % HEAP_BLOCK_BYTES != 0 || count == 0 || count > HEAP_BLOCKS_MAX ||
        (uintptr_t)memory % HEAP_BLOCK_BYTES != 0)
        return false;
    memset(&heap, 0, sizeof heap);
    heap.memory = memory;
    for (size_t i = count; i-- > 0;)
        put(&heap.empty, &heap.blocks[i]);
    heap.counters.blocks = heap.counters.blocks_free = (uint32_t)count;
    return true;
}

static uint8_t *start_of(const struct block *block)
{
    return heap.memory + (size_t)(block - heap.blocks) * HEAP_BLOCK_BYTES;
}

// A block of no use to its size, when there is no other.
static struct block *find_unused(void)
{
    for (unsigned size = 0; size < SIZES; size++) {
        for (struct block *block = heap.partial[size]; block != NULL; block = block->next) {
            if (block->used == 0)
                return block;
        }
    }
    return NULL;
}

// Makes a free block one of pieces of that size.
static bool divide(unsigned size)
{
    struct block *block = heap.empty != NULL ? heap.empty : find_unused();

    if (block == NULL)
        return false;
    take(block);
    block->size = (uint16_t)size;
    block->used = 0;
    block->free = NULL;
    for (size_t place = HEAP_BLOCK_BYTES; place > 0;) {
        place -= bytes_of(size);
        void **piece = (void **)(void *)(start_of(block) + place);
        *piece = block->free;
        block->free = piece;
    }
    put(&heap.partial[size], block);
    return true;
}

static unsigned size_for(size_t bytes)
{
    if (bytes <= HEAP_PIECE_MIN)
        return 0;
    return 64u - (unsigned)__builtin_clzl(bytes - 1) - (unsigned)__builtin_ctzl(HEAP_PIECE_MIN);
}

void *network_heap_allocate(size_t bytes)
{
    unsigned size = size_for(bytes);

    if (size >= SIZES || (heap.partial[size] == NULL && !divide(size))) {
        heap.counters.refused++;
        return NULL;
    }
    struct block *block = heap.partial[size];
    void **piece = block->free;
    block->free = *piece;
    heap.counters.blocks_free -= block->used++ == 0;
    if (block->free == NULL)
        take(block);
    heap.counters.allocated++;
    return piece;
}

void *network_heap_allocate_zeroed(size_t count, size_t bytes)
{
    void *piece = NULL;

    if (bytes == 0 || count <= HEAP_BLOCK_BYTES / bytes)
        piece = network_heap_allocate(count * bytes);
    if (piece != NULL)
        memset(piece, 0, count * bytes);
    return piece;
}

void network_heap_free(void *piece)
{
    if (piece == NULL)
        return;
    struct block *block = &heap.blocks[(size_t)((uint8_t *)piece - heap.memory) / HEAP_BLOCK_BYTES];
    *(void **)piece = block->free;
    block->free = piece;
    heap.counters.freed++;
    if (block->previous == NULL)
        put(&heap.partial[block->size], block);
    if (--block->used != 0)
        return;
    heap.counters.blocks_free++;
    // The only one of its size is kept divided: the next piece is soon asked for.
    if (heap.partial[block->size] == block && block->next == NULL)
        return;
    take(block);
    put(&heap.empty, block);
}

struct heap_counters network_heap_counters(void)
{
    return heap.counters;
}
