// SPDX-License-Identifier: BSD-2-Clause
// Pages that the core keeps itself. They lie in chunks of many: by itself each would take an eighth
// more than a page, since the C library has classes of sizes. A chunk goes back when nothing in it
// is used and there is another one like that: so a single page that comes and goes costs little.
#include "dsm/core/internal.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BUFFERS 64u

struct chunk {
    struct chunk *next, **prev; // of those in which there is room; prev NULL: it is full
    uint64_t used;              // buffers, as bits
    struct buffer buffers[CHUNK_BUFFERS];
};

_Static_assert(CHUNK_BUFFERS == 64, "bits of `used`");

// What one takes, with its part of the chunk's head and of the rest of the chunk's last page.
#define COST ((sizeof(struct chunk) + DSM_PAGE_BYTES) / CHUNK_BUFFERS)

static void list(struct dsm *dsm, struct chunk *chunk)
{
    chunk->next = dsm->chunks;
    chunk->prev = &dsm->chunks;
    if (chunk->next != NULL)
        chunk->next->prev = &chunk->next;
    dsm->chunks = chunk;
}

static void unlist(struct chunk *chunk)
{
    *chunk->prev = chunk->next;
    if (chunk->next != NULL)
        chunk->next->prev = chunk->prev;
    chunk->prev = NULL;
}

// One with room; an empty one only when there is no other. NULL: no memory.
static struct chunk *chunk_with_room(struct dsm *dsm)
{
    struct chunk *chunk = dsm->chunks != NULL ? dsm->chunks : dsm->empty_chunk;

    if (chunk == NULL) {
        chunk = malloc(sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        chunk->used = 0;
        chunk->prev = NULL;
    }
    if (chunk == dsm->empty_chunk)
        dsm->empty_chunk = NULL;
    if (chunk->prev == NULL)
        list(dsm, chunk);
    return chunk;
}

struct buffer *buffer_make(struct dsm *dsm, const void *bytes)
{
    struct chunk *chunk = chunk_with_room(dsm);

    if (chunk == NULL)
        return NULL;
    uint32_t place = (uint32_t)__builtin_ctzll(~chunk->used);
    struct buffer *buffer = &chunk->buffers[place];
    chunk->used |= bit(place);
    if (~chunk->used == 0)
        unlist(chunk);
    buffer->place = place;
    memcpy(buffer->bytes, bytes, DSM_PAGE_BYTES);
    dsm->stored++;
    dsm->used_bytes += COST;
    return buffer;
}

// Operations may have been shown the bytes, and need them until `flush`.
void buffer_drop(struct dsm *dsm, struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    dsm->stored--;
    dsm->used_bytes -= COST;
    buffer->next = dsm->garbage;
    dsm->garbage = buffer;
}

static void release(struct dsm *dsm, struct buffer *buffer)
{
    struct chunk *chunk = table_element(buffer - buffer->place, struct chunk, buffers[0]);

    if (~chunk->used == 0)
        list(dsm, chunk);
    chunk->used &= ~bit(buffer->place);
    if (chunk->used != 0)
        return;
    unlist(chunk);
    free(dsm->empty_chunk);
    dsm->empty_chunk = chunk;
}

void buffers_collect(struct dsm *dsm)
{
    while (dsm->garbage != NULL) {
        struct buffer *buffer = dsm->garbage;
        dsm->garbage = buffer->next;
        release(dsm, buffer);
    }
}

void buffers_free(struct dsm *dsm)
{
    buffers_collect(dsm);
    free(dsm->empty_chunk);
}
