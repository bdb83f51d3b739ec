// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/heap.c
// The memory of TCP/IP: sizes, exhaustion, blocks that change their size, and random
// pieces, none of which may touch another.
//
//   test_network_heap [SEED [OPERATIONS]]
#include "netipc/heap.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 16u
#define PIECES 2000u

static uint8_t memory[BLOCKS * HEAP_BLOCK_BYTES] __attribute__((aligned(HEAP_BLOCK_BYTES)));
static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % limit;
}

static void test_limits(void)
{
    void *pieces[BLOCKS + 1];
    unsigned count = 0;

    tap_ok(!network_heap_open(memory, 0) && !network_heap_open(memory, HEAP_BLOCK_BYTES + 1) &&
               !network_heap_open(memory + 64, HEAP_BLOCK_BYTES) &&
               !network_heap_open(memory, (HEAP_BLOCKS_MAX + 1ull) * HEAP_BLOCK_BYTES),
           "memory that is no heap");
    tap_ok(network_heap_open(memory, sizeof memory), "memory that is");
    tap_ok(network_heap_allocate(HEAP_BLOCK_BYTES + 1) == NULL, "more than a block");
    tap_ok(network_heap_allocate_zeroed(HEAP_BLOCK_BYTES, HEAP_BLOCK_BYTES) == NULL &&
               network_heap_allocate_zeroed(SIZE_MAX / 2, 4) == NULL,
           "a product that is too large");
    while (count <= BLOCKS && (pieces[count] = network_heap_allocate(HEAP_BLOCK_BYTES)) != NULL)
        count++;
    tap_ok(count == BLOCKS && network_heap_allocate(1) == NULL, "all of it, and no more");
    for (unsigned i = 0; i < count; i++)
        network_heap_free(pieces[i]);
    network_heap_free(NULL);
    tap_ok(network_heap_counters().blocks_free == BLOCKS, "given back");
    uint8_t *small = network_heap_allocate(0), *other = network_heap_allocate(64);
    tap_ok(small != NULL && other != NULL && network_heap_counters().blocks_free == BLOCKS - 1,
           "small pieces share a block");
    memset(small, 0xee, 64);
    network_heap_free(small);
    const uint8_t *zeroed = network_heap_allocate_zeroed(8, 8);
    bool zero = zeroed == small;
    for (unsigned i = 0; i < 64; i++)
        zero = zero && zeroed[i] == 0;
    tap_ok(zero, "zeroed when that is asked for");
    network_heap_free(other);
    network_heap_free(small);
    tap_ok(network_heap_counters().blocks_free == BLOCKS &&
               network_heap_counters().allocated == network_heap_counters().freed,
           "a block without pieces is free for any size");
}

struct piece {
    uint8_t *bytes;
    size_t count;
    uint8_t mark;
};

static bool is_whole(const struct piece *piece)
{
    for (size_t i = 0; i < piece->count; i++) {
        if (piece->bytes[i] != piece->mark)
            return false;
    }
    return true;
}

static void test_random(unsigned operations)
{
    static struct piece pieces[PIECES];
    bool good = true;
    unsigned refused = 0;

    network_heap_open(memory, sizeof memory);
    for (unsigned i = 0; good && i < operations; i++) {
        struct piece *piece = &pieces[below(PIECES)];
        if (piece->bytes != NULL) {
            good = is_whole(piece);
            network_heap_free(piece->bytes);
            piece->bytes = NULL;
            continue;
        }
        piece->count = 1u << below(15);
        piece->count -= below((uint32_t)piece->count);
        piece->mark = (uint8_t)i;
        piece->bytes = network_heap_allocate(piece->count);
        refused += piece->bytes == NULL;
        if (piece->bytes != NULL)
            memset(piece->bytes, piece->mark, piece->count);
    }
    for (unsigned i = 0; i < PIECES; i++) {
        good = good && (pieces[i].bytes == NULL || is_whole(&pieces[i]));
        network_heap_free(pieces[i].bytes);
    }
    printf("# %u refused of %u operations\n", refused, operations);
    tap_ok(good && refused > 0 && network_heap_counters().refused == refused,
           "random pieces do not touch each other");
    tap_ok(network_heap_counters().blocks_free == BLOCKS, "and leave nothing behind");
}

int main(int count, char **arguments)
{
    random_state = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
    test_limits();
    test_random(count > 2 ? (unsigned)strtoul(arguments[2], NULL, 0) : 100000);
    return tap_end();
}
