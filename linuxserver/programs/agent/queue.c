// SPDX-License-Identifier: GPL-2.0-only
#include "queue.h"

#include <stdlib.h>
#include <string.h>

// Makes room behind the bytes, by moving them to the front or to a larger place.
static bool make_room(struct queue *queue, size_t count)
{
    if (queue->start + queue->count + count <= queue->room)
        return true;
    size_t room = queue->room != 0 ? queue->room : 4096;
    while (room < queue->count + count)
        room *= 2;
    uint8_t *bytes = queue->bytes;
    if (room != queue->room) {
        bytes = malloc(room);
        if (bytes == NULL)
            return false;
    }
    if (queue->count > 0)
        memmove(bytes, queue_head(queue), queue->count);
    if (bytes != queue->bytes)
        free(queue->bytes);
    queue->bytes = bytes;
    queue->room = room;
    queue->start = 0;
    return true;
}

bool queue_append(struct queue *queue, const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return true;
    if (!make_room(queue, count))
        return false;
    memcpy(queue->bytes + queue->start + queue->count, bytes, count);
    queue->count += count;
    return true;
}

void queue_take(struct queue *queue, size_t count)
{
    queue->start += count;
    queue->count -= count;
    if (queue->count == 0)
        queue_clear(queue);
}

void queue_clear(struct queue *queue)
{
    free(queue->bytes);
    *queue = (struct queue){0};
}
