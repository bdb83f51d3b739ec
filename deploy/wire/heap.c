// SPDX-License-Identifier: BSD-2-Clause
// A binary heap in the wire's array of pending frames.
#include "deploy/wire/heap.h"

static bool before(const struct delivery *left, const struct delivery *right)
{
    return left->time != right->time ? left->time < right->time : left->order < right->order;
}

bool heap_put(struct wire *wire, struct delivery delivery)
{
    if (wire->pending_count == WIRE_PENDING_MAX)
        return false;
    delivery.order = wire->order++;
    unsigned place = wire->pending_count++;
    while (place > 0 && before(&delivery, &wire->pending[(place - 1) / 2])) {
        wire->pending[place] = wire->pending[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    wire->pending[place] = delivery;
    return true;
}

struct delivery heap_take(struct wire *wire)
{
    struct delivery first = wire->pending[0];
    const struct delivery *last = &wire->pending[--wire->pending_count];
    unsigned place = 0;
    for (;;) {
        unsigned child = 2 * place + 1;
        if (child >= wire->pending_count)
            break;
        if (child + 1 < wire->pending_count &&
            before(&wire->pending[child + 1], &wire->pending[child]))
            child++;
        if (!before(&wire->pending[child], last))
            break;
        wire->pending[place] = wire->pending[child];
        place = child;
    }
    wire->pending[place] = *last;
    return first;
}
