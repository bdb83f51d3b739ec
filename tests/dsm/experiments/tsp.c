// SPDX-License-Identifier: BSD-2-Clause
// The travelling salesman by branch and bound: the first cities of all tours are tasks, which
// processes take from a shared counter; the shortest tour known is shared, and read without its
// lock, for an old one only bounds less. Checked by dynamic programming (Held and Karp, 1962).
#include "experiment.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CITIES_MAX 20
#define LOCK_TASK  0
#define LOCK_BEST  1

static const struct experiment_limits limits = {
    .name = "tsp",
    .size_text = "cities",
    .size = 12,
    .size_min = 4,
    .size_max = CITIES_MAX,
    .rounds = 1,
};

struct shared {
    long next_task;
    _Alignas(EXPERIMENT_PAGE) _Atomic int best;
    int tour[CITIES_MAX];
};

static struct experiment *experiment;
static struct shared *shared;
static int count, distance[CITIES_MAX][CITIES_MAX], shortest[CITIES_MAX];
static long visited;

static void place_cities(void)
{
    int x[CITIES_MAX], y[CITIES_MAX];

    for (int i = 0; i < count; i++) {
        uint64_t word = random_at(experiment->seed, (uint64_t)i);
        x[i] = (int)(word % 1000);
        y[i] = (int)(word / 1000 % 1000);
    }
    for (int i = 0; i < count; i++) {
        shortest[i] = INT_MAX;
        for (int j = 0; j < count; j++) {
            distance[i][j] = abs(x[i] - x[j]) + abs(y[i] - y[j]);
            if (i != j && distance[i][j] < shortest[i])
                shortest[i] = distance[i][j];
        }
    }
}

static int length_of(const int *tour)
{
    int length = 0;

    for (int i = 0; i < count; i++)
        length += distance[tour[i]][tour[(i + 1) % count]];
    return length;
}

static void offer(const int *tour, int length)
{
    lock(experiment, LOCK_BEST);
    if (length < shared->best) {
        shared->best = length;
        memcpy(shared->tour, tour, sizeof shared->tour);
    }
    unlock(experiment, LOCK_BEST);
}

// `rest`: the least that leaving the cities from the last one on can cost.
static void search(int *tour, int depth, unsigned seen, int length, int rest)
{
    visited++;
    if (length + rest >= shared->best)
        return;
    if (depth == count) {
        if (length + distance[tour[depth - 1]][0] < shared->best)
            offer(tour, length + distance[tour[depth - 1]][0]);
        return;
    }
    for (int city = 1; city < count; city++) {
        if ((seen >> city & 1) != 0)
            continue;
        tour[depth] = city;
        search(tour, depth + 1, seen | 1u << city, length + distance[tour[depth - 1]][city],
               rest - shortest[tour[depth - 1]]);
    }
}

// A task is the second and the third city.
static void do_task(long task)
{
    int tour[CITIES_MAX] = {0, (int)(task / (count - 1)) + 1, (int)(task % (count - 1)) + 1};
    int rest = 0;

    if (tour[1] == tour[2])
        return;
    for (int i = 0; i < count; i++)
        rest += i == 0 || i == tour[1] ? 0 : shortest[i];
    search(tour, 3, 1u | 1u << tour[1] | 1u << tour[2],
           distance[0][tour[1]] + distance[tour[1]][tour[2]], rest);
}

static void work(void)
{
    long tasks = (long)(count - 1) * (count - 1), task;

    for (;;) {
        lock(experiment, LOCK_TASK);
        task = shared->next_task++;
        unlock(experiment, LOCK_TASK);
        if (task >= tasks)
            return;
        do_task(task);
    }
}

// The length of the shortest tour, from all sets of cities to all last ones.
static int by_dynamic_programming(void)
{
    size_t sets = (size_t)1 << (count - 1);
    int *table = malloc(sets * (size_t)count * sizeof *table), best = INT_MAX;

    if (table == NULL)
        experiment_fail("no memory");
    for (size_t set = 1; set < sets; set++)
        for (int last = 1; last < count; last++) {
            int *cell = &table[set * (size_t)count + (size_t)last];
            size_t before = set & ~((size_t)1 << (last - 1));
            *cell = before == 0 ? distance[0][last] : INT_MAX / 2;
            if (before == set)
                *cell = INT_MAX / 2;
            for (int city = 1; before != 0 && before != set && city < count; city++) {
                int length;
                if ((before >> (city - 1) & 1) == 0)
                    continue;
                length = table[before * (size_t)count + (size_t)city] + distance[city][last];
                *cell = length < *cell ? length : *cell;
            }
        }
    for (int last = 1; last < count; last++) {
        int length = table[(sets - 1) * (size_t)count + (size_t)last] + distance[last][0];
        best = length < best ? length : best;
    }
    free(table);
    return best;
}

int main(int argc, char **argv)
{
    char more[96];
    bool right = true;

    experiment = experiment_begin(argc, argv, &limits);
    count = (int)experiment->size;
    shared = experiment_memory(experiment, sizeof *shared);
    place_cities();
    if (experiment->rank == 0)
        shared->best = INT_MAX / 2;
    experiment_start(experiment);
    work();
    experiment_stop(experiment);
    if (experiment->rank == 0)
        right = shared->best == by_dynamic_programming() && length_of(shared->tour) == shared->best;
    snprintf(more, sizeof more, "length=%d visited_by_first=%ld", shared->best, visited);
    experiment_end(experiment, right, more);
}
