// SPDX-License-Identifier: BSD-2-Clause
// Memory that every message takes and gives back. A few pieces are kept: the C library would soon
// give their pages back to the first task and ask for them again, and that is, for each message,
// two RPCs, pages to be cleared, and all that switching address spaces costs.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POOL_SIZES 3u

struct pool_piece;

// Zeroed, it is a pool that keeps nothing: so that sanitizers see who uses what was given back.
struct pool {
    bool keeps;
    struct pool_piece *pieces[POOL_SIZES]; // free ones
    unsigned counts[POOL_SIZES];
};

// At least so many bytes, not cleared; NULL: there is no memory.
void *pool_take(struct pool *pool, size_t bytes);
// Takes back what came from there. NULL is nothing.
void pool_give(struct pool *pool, void *memory);
// Frees what is kept. What was taken and not given back stays whose it is.
void pool_close(struct pool *pool);
