// SPDX-License-Identifier: BSD-2-Clause
// A bounded queue in shared memory, used by all: each process puts in its items and takes out what
// it finds, under one lock. Checked: each item came out once, and those of one process in their
// order.
#include "experiment.h"

#include <stdio.h>

#define LOCK_QUEUE 0
#define ROOM       64

static const struct experiment_limits limits = {
    .name = "queue",
    .size_text = "items of each process",
    .size = 500,
    .size_min = 1,
    .size_max = 1000000,
    .rounds = 1,
};

struct item {
    uint32_t from, number;
    uint64_t content; // random_at of both
};

struct queue {
    uint64_t put, taken; // ever
    struct item items[ROOM];
};

// What one process took; only it writes there.
struct takings {
    _Alignas(EXPERIMENT_PAGE) uint64_t taken, sum;
    uint64_t wrong; // contents that were not what was put in
};

static uint64_t content(uint32_t from, uint32_t number)
{
    return random_at(from + 1, number);
}

static bool put(struct queue *queue, uint32_t from, uint32_t number)
{
    if (queue->put - queue->taken == ROOM)
        return false;
    queue->items[queue->put % ROOM] = (struct item){from, number, content(from, number)};
    queue->put++;
    return true;
}

static bool take(struct queue *queue, struct item *item)
{
    if (queue->put == queue->taken)
        return false;
    *item = queue->items[queue->taken % ROOM];
    queue->taken++;
    return true;
}

// Puts and takes in turn until all of all processes has been taken.
static void work(struct experiment *experiment, struct queue *queue, struct takings *mine)
{
    uint32_t next = 0, size = (uint32_t)experiment->size;
    uint64_t all = (uint64_t)size * experiment->count;
    // The queue keeps order, so what one process sees of another only rises.
    int64_t last[EXPERIMENT_RANKS_MAX];

    for (unsigned rank = 0; rank < EXPERIMENT_RANKS_MAX; rank++)
        last[rank] = -1;
    for (bool more = true; more;) {
        struct item item;
        bool got;
        lock(experiment, LOCK_QUEUE);
        while (next < size && put(queue, experiment->rank, next))
            next++;
        got = take(queue, &item);
        more = queue->taken < all;
        unlock(experiment, LOCK_QUEUE);
        if (!got)
            continue;
        mine->taken++;
        mine->sum += item.content;
        if (item.from >= experiment->count || item.content != content(item.from, item.number) ||
            item.number <= last[item.from])
            mine->wrong++;
        else
            last[item.from] = item.number;
    }
}

static bool is_right(const struct experiment *experiment, const struct takings *takings)
{
    uint64_t taken = 0, sum = 0, expected = 0, wrong = 0;

    for (unsigned rank = 0; rank < experiment->count; rank++) {
        taken += takings[rank].taken;
        sum += takings[rank].sum;
        wrong += takings[rank].wrong;
        for (long number = 0; number < experiment->size; number++)
            expected += content(rank, (uint32_t)number);
    }
    return wrong == 0 && sum == expected && taken == (uint64_t)experiment->size * experiment->count;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    size_t queue_bytes = (sizeof(struct queue) + EXPERIMENT_PAGE - 1) & -(size_t)EXPERIMENT_PAGE;
    char *memory =
        experiment_memory(experiment, queue_bytes + experiment->count * sizeof(struct takings));
    struct takings *takings = (struct takings *)(memory + queue_bytes);
    char more[64];

    experiment_start(experiment);
    work(experiment, (struct queue *)memory, &takings[experiment->rank]);
    experiment_stop(experiment);
    snprintf(more, sizeof more, "taken_by_first=%llu", (unsigned long long)takings[0].taken);
    experiment_end(experiment, experiment->rank != 0 || is_right(experiment, takings), more);
}
