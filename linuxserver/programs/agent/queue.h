// SPDX-License-Identifier: GPL-2.0-only
// Bytes waiting for a slow reader: what has come in for a process that does not
// read its standard input yet. Takes memory only while it holds something.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
    uint8_t *bytes;
    size_t start, count, room;
};

// False when there is no memory; the queue is then as before.
bool queue_append(struct queue *queue, const uint8_t *bytes, size_t count);

static inline const uint8_t *queue_head(const struct queue *queue)
{
    return queue->bytes + queue->start;
}

// Forgets bytes from the head.
void queue_take(struct queue *queue, size_t count);

void queue_clear(struct queue *queue);
