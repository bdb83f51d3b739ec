// SPDX-License-Identifier: BSD-2-Clause
// Matrix multiplication, C = A B: rows of A and C are parted, B is read by all. Entries are small
// integers, so that every sum is exact. Checked by Freivalds' test: C x = A (B x) for random x.
#include "experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKS 4

static const struct experiment_limits limits = {
    .name = "matmul",
    .size_text = "rows",
    .size = 192,
    .size_min = 1,
    .size_max = 4096,
    .rounds = 1,
};

static double entry(uint64_t seed, long index)
{
    return (double)(random_at(seed, (uint64_t)index) % 19) - 9;
}

// A column of B is used for a whole row of A: B is walked by rows, for the cache.
static void multiply_row(long n, const double *a, const double *b, double *c)
{
    memset(c, 0, (size_t)n * sizeof *c);
    for (long k = 0; k < n; k++)
        for (long j = 0; j < n; j++)
            c[j] += a[k] * b[k * n + j];
}

static void times(long n, const double *matrix, const double *x, double *y)
{
    for (long i = 0; i < n; i++) {
        y[i] = 0;
        for (long j = 0; j < n; j++)
            y[i] += matrix[i * n + j] * x[j];
    }
}

// Owned by the caller; ends the program when there is no memory.
static double *make_vectors(size_t count, long n)
{
    double *vectors = calloc(count * (size_t)n, sizeof *vectors);

    if (vectors == NULL)
        experiment_fail("no memory");
    return vectors;
}

static bool is_right(long n, const double *a, const double *b, const double *c)
{
    double *x = make_vectors(4, n), *bx = x + n, *abx = bx + n, *cx = abx + n;
    bool right = true;

    for (uint64_t check = 0; right && check < CHECKS; check++) {
        for (long i = 0; i < n; i++)
            x[i] = (double)(random_at(77 + check, (uint64_t)i) % 7) - 3;
        times(n, b, x, bx);
        times(n, a, bx, abx);
        times(n, c, x, cx);
        right = memcmp(abx, cx, (size_t)n * sizeof *x) == 0;
    }
    free(x);
    return right;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long n = experiment->size, first, end;
    double *a = experiment_memory(experiment, 3 * (size_t)(n * n) * sizeof *a);
    double *b = a + n * n, *c = b + n * n;
    char more[64];

    experiment_share(experiment, n, &first, &end);
    for (long i = first * n; i < end * n; i++) {
        a[i] = entry(experiment->seed, i);
        b[i] = entry(experiment->seed + 1, i);
    }
    experiment_start(experiment);
    for (long round = 0; round < experiment->rounds; round++)
        for (long i = first; i < end; i++)
            multiply_row(n, a + i * n, b, c + i * n);
    experiment_stop(experiment);
    snprintf(more, sizeof more, "operations=%ld", 2 * n * n * n * experiment->rounds);
    experiment_end(experiment, experiment->rank != 0 || is_right(n, a, b, c), more);
}
