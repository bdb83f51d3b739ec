// SPDX-License-Identifier: BSD-2-Clause
// Bodies that attract each other, all pairs, leapfrog steps. Bodies are parted; each process reads
// all positions and writes those of its own. Each sum is made in the same order whoever makes it,
// so the result is the sequential program's, bit by bit.
#include "experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP     0.001
#define SOFTNESS 0.01 // keeps near bodies' forces finite

static const struct experiment_limits limits = {
    .name = "nbody",
    .size_text = "bodies",
    .size = 256,
    .size_min = 2,
    .size_max = 65536,
    .rounds = 5,
};

struct body {
    double position[3], speed[3], mass;
};

static void make_body(struct body *body, uint64_t seed, long index)
{
    for (int axis = 0; axis < 3; axis++) {
        uint64_t word = random_at(seed, (uint64_t)(index * 3 + axis));
        body->position[axis] = (double)(word & 0xffff) / 0x8000 - 1;
        body->speed[axis] = (double)(word >> 16 & 0xffff) / 0x80000 - 0.0625;
    }
    body->mass = 1;
}

static void accelerate(struct body *bodies, long count, struct body *body)
{
    double force[3] = {0};

    for (long other = 0; other < count; other++) {
        double away[3], square = SOFTNESS, by;
        for (int axis = 0; axis < 3; axis++) {
            away[axis] = bodies[other].position[axis] - body->position[axis];
            square += away[axis] * away[axis];
        }
        by = bodies[other].mass / (square * sqrt(square));
        for (int axis = 0; axis < 3; axis++)
            force[axis] += by * away[axis];
    }
    for (int axis = 0; axis < 3; axis++)
        body->speed[axis] += STEP * force[axis];
}

static void move(struct body *body)
{
    for (int axis = 0; axis < 3; axis++)
        body->position[axis] += STEP * body->speed[axis];
}

static bool is_right(const struct body *bodies, uint64_t seed, long count, long rounds)
{
    struct body *own = calloc((size_t)count, sizeof *own);
    bool right = own != NULL;

    for (long i = 0; right && i < count; i++)
        make_body(&own[i], seed, i);
    for (long round = 0; right && round < rounds; round++) {
        for (long i = 0; i < count; i++)
            accelerate(own, count, &own[i]);
        for (long i = 0; i < count; i++)
            move(&own[i]);
    }
    right = right && memcmp(own, bodies, (size_t)count * sizeof *own) == 0;
    free(own);
    return right;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long count = experiment->size, first, end;
    struct body *bodies = experiment_memory(experiment, (size_t)count * sizeof *bodies);

    experiment_share(experiment, count, &first, &end);
    for (long i = first; i < end; i++)
        make_body(&bodies[i], experiment->seed, i);
    experiment_start(experiment);
    for (long round = 0; round < experiment->rounds; round++) {
        for (long i = first; i < end; i++)
            accelerate(bodies, count, &bodies[i]);
        barrier(experiment);
        for (long i = first; i < end; i++)
            move(&bodies[i]);
        barrier(experiment);
    }
    experiment_stop(experiment);
    experiment_end(
        experiment,
        experiment->rank != 0 || is_right(bodies, experiment->seed, count, experiment->rounds), "");
}
