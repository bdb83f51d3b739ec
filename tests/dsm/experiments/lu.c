// SPDX-License-Identifier: BSD-2-Clause
// LU decomposition by blocks, without pivoting (the matrix is diagonally dominant), as SPLASH-2's
// (Woo et al., 1995): blocks belong to processes in a two-dimensional scatter. Variant 0 stores
// each process's blocks together, in pages of their own, variant 1 the matrix by rows, so that a
// page has parts of many owners' blocks. Checked by L (U x) = A x.
#include "experiment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK         16
#define BLOCK_ENTRIES (BLOCK * BLOCK)
#define PAGE_BLOCKS   (4096 / (BLOCK_ENTRIES * (long)sizeof(double)))

static const struct experiment_limits limits = {
    .name = "lu",
    .size_text = "rows, a multiple of 16",
    .size = 192,
    .size_min = BLOCK,
    .size_max = 4096,
    .rounds = 1,
    .variant_max = 1,
};

static double *matrix;
static long size, stride;
static bool by_rows;
static long process_rows, process_columns;

static long divide_up(long value, long by)
{
    return (value + by - 1) / by;
}

// Blocks that there is room for in a process's own pages.
static long process_blocks(void)
{
    long blocks = size / BLOCK;
    long most = divide_up(blocks, process_rows) * divide_up(blocks, process_columns);

    return divide_up(most, PAGE_BLOCKS) * PAGE_BLOCKS;
}

static long owner_of(long i, long j)
{
    return i % process_rows * process_columns + j % process_columns;
}

// A block's first entry; its rows are `stride` apart.
static double *block(long i, long j)
{
    if (by_rows)
        return matrix + i * BLOCK * size + j * BLOCK;
    long among_own =
        i / process_rows * divide_up(size / BLOCK, process_columns) + j / process_columns;
    return matrix + (owner_of(i, j) * process_blocks() + among_own) * BLOCK_ENTRIES;
}

static double *entry(long i, long j)
{
    return block(i / BLOCK, j / BLOCK) + i % BLOCK * stride + j % BLOCK;
}

static double initial(uint64_t seed, long i, long j)
{
    double value = (double)(random_at(seed, (uint64_t)(i * size + j)) >> 40) / (1 << 24);

    return i == j ? value + (double)size : value;
}

static bool is_own(const struct experiment *experiment, long i, long j)
{
    return owner_of(i, j) == (long)experiment->rank;
}

// A block on the diagonal becomes its own L and U.
static void factor(double *a)
{
    for (long k = 0; k < BLOCK; k++)
        for (long i = k + 1; i < BLOCK; i++) {
            double by = a[i * stride + k] /= a[k * stride + k];
            for (long j = k + 1; j < BLOCK; j++)
                a[i * stride + j] -= by * a[k * stride + j];
        }
}

// a := a U^-1, of a block below the diagonal's.
static void divide_by_upper(double *a, const double *diagonal)
{
    for (long i = 0; i < BLOCK; i++)
        for (long k = 0; k < BLOCK; k++) {
            double by = a[i * stride + k] /= diagonal[k * stride + k];
            for (long j = k + 1; j < BLOCK; j++)
                a[i * stride + j] -= by * diagonal[k * stride + j];
        }
}

// a := L^-1 a, of a block right of the diagonal's.
static void divide_by_lower(double *a, const double *diagonal)
{
    for (long k = 0; k < BLOCK; k++)
        for (long i = k + 1; i < BLOCK; i++)
            for (long j = 0; j < BLOCK; j++)
                a[i * stride + j] -= diagonal[i * stride + k] * a[k * stride + j];
}

static void subtract_product(double *a, const double *left, const double *above)
{
    for (long i = 0; i < BLOCK; i++)
        for (long k = 0; k < BLOCK; k++)
            for (long j = 0; j < BLOCK; j++)
                a[i * stride + j] -= left[i * stride + k] * above[k * stride + j];
}

static void decompose(struct experiment *experiment)
{
    long blocks = size / BLOCK;

    for (long k = 0; k < blocks; k++) {
        if (is_own(experiment, k, k))
            factor(block(k, k));
        barrier(experiment);
        for (long i = k + 1; i < blocks; i++) {
            if (is_own(experiment, i, k))
                divide_by_upper(block(i, k), block(k, k));
            if (is_own(experiment, k, i))
                divide_by_lower(block(k, i), block(k, k));
        }
        barrier(experiment);
        for (long i = k + 1; i < blocks; i++)
            for (long j = k + 1; j < blocks; j++)
                if (is_own(experiment, i, j))
                    subtract_product(block(i, j), block(i, k), block(k, j));
    }
}

// The largest difference of L (U x) and A x, relative to A x.
static double error_of(uint64_t seed)
{
    double *x = calloc((size_t)size, sizeof *x), *ux = calloc((size_t)size, sizeof *x), worst = 0;

    if (x == NULL || ux == NULL)
        experiment_fail("no memory");
    for (long i = 0; i < size; i++)
        x[i] = 1 + (double)(random_at(seed + 1, (uint64_t)i) % 100) / 100;
    for (long i = 0; i < size; i++)
        for (long j = i; j < size; j++)
            ux[i] += *entry(i, j) * x[j];
    for (long i = 0; i < size; i++) {
        double lux = ux[i], ax = 0;
        for (long j = 0; j < size; j++) {
            lux += j < i ? *entry(i, j) * ux[j] : 0;
            ax += initial(seed, i, j) * x[j];
        }
        worst = fmax(worst, fabs(lux - ax) / fabs(ax));
    }
    free(x);
    free(ux);
    return worst;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    double error = 0;
    char more[64] = "";

    size = experiment->size;
    by_rows = experiment->variant == 1;
    stride = by_rows ? size : BLOCK;
    if (size % BLOCK != 0)
        experiment_fail("-n is not a multiple of 16");
    process_rows = 1;
    for (long i = 2; i * i <= (long)experiment->count; i++)
        if (experiment->count % (unsigned)i == 0)
            process_rows = i;
    process_columns = (long)experiment->count / process_rows;
    long entries =
        by_rows ? size * size : process_rows * process_columns * process_blocks() * BLOCK_ENTRIES;
    matrix = experiment_memory(experiment, (size_t)entries * sizeof *matrix);
    for (long i = 0; i < size; i++)
        for (long j = 0; j < size; j++)
            if (is_own(experiment, i / BLOCK, j / BLOCK))
                *entry(i, j) = initial(experiment->seed, i, j);
    experiment_start(experiment);
    decompose(experiment);
    experiment_stop(experiment);
    if (experiment->rank == 0) {
        error = error_of(experiment->seed);
        snprintf(more, sizeof more, "error=%.1e", error);
    }
    experiment_end(experiment, error < 1e-12, more);
}
