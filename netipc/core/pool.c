// SPDX-License-Identifier: BSD-2-Clause
#include "netipc/core/pool.h"

#include <stdint.h>
#include <stdlib.h>

// Before the memory, and as well aligned.
struct pool_piece {
    struct pool_piece *next;
    size_t size; // which of the sizes; POOL_SIZES: none of them
} __attribute__((aligned(16)));

static const struct {
    size_t bytes;
    unsigned kept;
} sizes[POOL_SIZES] = {
    {256, 16},
    {2048, 16},     // a delivery, a long call
    {68u << 10, 4}, // a message with 64 KiB
};

static size_t size_of(size_t bytes)
{
    size_t size = 0;

    while (size < POOL_SIZES && sizes[size].bytes < bytes)
        size++;
    return size;
}

void *pool_take(struct pool *pool, size_t bytes)
{
    size_t size = pool->keeps ? size_of(bytes) : POOL_SIZES;
    struct pool_piece *piece = size < POOL_SIZES ? pool->pieces[size] : NULL;

    if (piece != NULL) {
        pool->pieces[size] = piece->next;
        pool->counts[size]--;
        return piece + 1;
    }
    if (bytes > SIZE_MAX - sizeof *piece)
        return NULL;
    piece = malloc(sizeof *piece + (size < POOL_SIZES ? sizes[size].bytes : bytes));
    if (piece == NULL)
        return NULL;
    piece->size = size;
    return piece + 1;
}

void pool_give(struct pool *pool, void *memory)
{
    struct pool_piece *piece = memory;

    if (memory == NULL)
        return;
    piece--;
    size_t size = piece->size;
    if (size == POOL_SIZES || pool->counts[size] == sizes[size].kept) {
        free(piece);
        return;
    }
    piece->next = pool->pieces[size];
    pool->pieces[size] = piece;
    pool->counts[size]++;
}

void pool_close(struct pool *pool)
{
    for (size_t size = 0; size < POOL_SIZES; size++) {
        while (pool->pieces[size] != NULL) {
            struct pool_piece *piece = pool->pieces[size];
            pool->pieces[size] = piece->next;
            free(piece);
        }
        pool->counts[size] = 0;
    }
}
