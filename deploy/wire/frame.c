// SPDX-License-Identifier: BSD-2-Clause
// The pool of frames: grows to its limit as they are needed, and never shrinks.
#include "deploy/wire/frame.h"

#include <stdlib.h>

struct frame *frame_take(struct frame_pool *pool)
{
    struct frame *frame = pool->free;
    if (frame != NULL) {
        pool->free = frame->next;
    } else {
        if (pool->made == pool->limit)
            return NULL;
        frame = malloc(sizeof *frame);
        if (frame == NULL)
            return NULL;
        pool->made++;
    }
    frame->references = 1;
    frame->length = 0;
    return frame;
}

void frame_release(struct frame_pool *pool, struct frame *frame)
{
    if (--frame->references > 0)
        return;
    frame->next = pool->free;
    pool->free = frame;
}

bool frame_pool_end(struct frame_pool *pool)
{
    struct frame *frame;
    while ((frame = pool->free) != NULL) {
        pool->free = frame->next;
        free(frame);
        pool->made--;
    }
    return pool->made == 0;
}
