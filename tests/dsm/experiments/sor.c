// SPDX-License-Identifier: BSD-2-Clause
// Red-black successive over-relaxation of Laplace's equation on a square, its rows parted:
// neighbours exchange the rows at their border after each half of a sweep. Every point sees the
// same neighbours in whatever order points of one colour are taken, so the result is the sequential
// program's, bit by bit.
#include "experiment.h"

#include <stdlib.h>
#include <string.h>

#define OMEGA 1.5

static const struct experiment_limits limits = {
    .name = "sor",
    .size_text = "inner rows",
    .size = 254,
    .size_min = 1,
    .size_max = 8190,
    .rounds = 20,
};

// The border is fixed: warm above, cold elsewhere.
static void set_border(double *grid, long width)
{
    for (long j = 0; j < width; j++)
        grid[j] = 100 + (double)(j % 10);
}

static void sweep(double *grid, long width, long first, long end, long colour)
{
    for (long i = first; i < end; i++)
        for (long j = 1 + ((i + colour) & 1); j < width - 1; j += 2) {
            double *at = grid + i * width + j;
            double around = at[-1] + at[1] + at[-width] + at[width];
            *at += OMEGA * (around / 4 - *at);
        }
}

static bool is_right(const double *grid, long width, long rounds)
{
    size_t bytes = (size_t)(width * width) * sizeof *grid;
    double *own = calloc(1, bytes);
    bool right = own != NULL;

    if (right) {
        set_border(own, width);
        for (long half = 0; half < 2 * rounds; half++)
            sweep(own, width, 1, width - 1, half & 1);
        right = memcmp(own, grid, bytes) == 0;
    }
    free(own);
    return right;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long width = experiment->size + 2, first, end;
    double *grid = experiment_memory(experiment, (size_t)(width * width) * sizeof *grid);

    experiment_share(experiment, experiment->size, &first, &end);
    if (experiment->rank == 0)
        set_border(grid, width);
    experiment_start(experiment);
    for (long half = 0; half < 2 * experiment->rounds; half++) {
        sweep(grid, width, first + 1, end + 1, half & 1);
        barrier(experiment);
    }
    experiment_stop(experiment);
    experiment_end(experiment, experiment->rank != 0 || is_right(grid, width, experiment->rounds),
                   "");
}
