// SPDX-License-Identifier: BSD-2-Clause
// Fourier transform of n = m * m complex numbers in six steps (Bailey, "FFTs in external or
// hierarchical memory", 1990): transpose, m transforms of m, twiddle factors, transpose, m
// transforms, transpose. Rows are parted; a transposition is all-to-all. Checked at some
// frequencies by the definition, and by Parseval's theorem.
#include "experiment.h"

#include <complex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKS 5

typedef double complex complex_t;

static const struct experiment_limits limits = {
    .name = "fft",
    .size_text = "log2 of the count of numbers, even",
    .size = 14,
    .size_min = 2,
    .size_max = 24,
    .rounds = 1,
};

static complex_t unit(double turns)
{
    return cexp(-2 * M_PI * I * turns);
}

static complex_t input(uint64_t seed, long index)
{
    uint64_t word = random_at(seed, (uint64_t)index);

    return (double)(word & 1023) / 512 - 1 + I * ((double)(word >> 10 & 1023) / 512 - 1);
}

// In place, m a power of two: decimation in time.
static void transform(complex_t *row, long m)
{
    for (long i = 1, j = 0; i < m; i++) {
        long bit = m >> 1;
        for (; (j & bit) != 0; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            complex_t kept = row[i];
            row[i] = row[j];
            row[j] = kept;
        }
    }
    for (long half = 1; half < m; half *= 2)
        for (long k = 0; k < half; k++) {
            complex_t factor = unit((double)k / (double)(2 * half));
            for (long i = k; i < m; i += 2 * half) {
                complex_t odd = factor * row[i + half];
                row[i + half] = row[i] - odd;
                row[i] += odd;
            }
        }
}

static void transpose(const complex_t *from, complex_t *to, long m, long first, long end)
{
    for (long i = first; i < end; i++)
        for (long j = 0; j < m; j++)
            to[i * m + j] = from[j * m + i];
}

static void six_steps(struct experiment *experiment, complex_t *a, complex_t *b, long m)
{
    long first, end;

    experiment_share(experiment, m, &first, &end);
    transpose(a, b, m, first, end);
    for (long i = first; i < end; i++) {
        transform(b + i * m, m);
        for (long j = 0; j < m; j++)
            b[i * m + j] *= unit((double)(i * j) / (double)(m * m));
    }
    barrier(experiment);
    transpose(b, a, m, first, end);
    for (long i = first; i < end; i++)
        transform(a + i * m, m);
    barrier(experiment);
    transpose(a, b, m, first, end);
    barrier(experiment);
}

static bool is_right(const complex_t *result, uint64_t seed, long n)
{
    double energy = 0, after = 0, scale = sqrt((double)n);

    for (long check = 0; check < CHECKS; check++) {
        long k = (long)(random_at(seed + 9, (uint64_t)check) % (uint64_t)n);
        complex_t sum = 0;
        for (long i = 0; i < n; i++)
            sum += input(seed, i) * unit((double)(i * k % n) / (double)n);
        if (cabs(sum - result[k]) > 1e-9 * scale)
            return false;
    }
    for (long i = 0; i < n; i++) {
        complex_t before = input(seed, i);
        energy += creal(before * conj(before));
        after += creal(result[i] * conj(result[i]));
    }
    return fabs(after / (double)n - energy) < 1e-9 * energy;
}

int main(int argc, char **argv)
{
    struct experiment *experiment = experiment_begin(argc, argv, &limits);
    long m = 1l << experiment->size / 2, n = m * m, first, end;
    complex_t *a, *b;

    if (experiment->size % 2 != 0)
        experiment_fail("-n is odd");
    a = experiment_memory(experiment, 2 * (size_t)n * sizeof *a);
    b = a + n;
    experiment_share(experiment, m, &first, &end);
    for (long i = first * m; i < end * m; i++)
        a[i] = input(experiment->seed, i);
    experiment_start(experiment);
    six_steps(experiment, a, b, m);
    experiment_stop(experiment);
    experiment_end(experiment, experiment->rank != 0 || is_right(b, experiment->seed, n), "");
}
