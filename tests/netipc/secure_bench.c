// SPDX-License-Identifier: BSD-2-Clause
// What sessions cost on the host, in nanoseconds: hellos, and sealing or opening
// segments. Prints rows, NAME MEDIAN MINIMUM; times of a shared machine mean little,
// so counts of instructions come from the task kernel-secure.
#include "tests/unit/secure_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SAMPLES      101
#define SMALL_BYTES  64
#define LARGE_BYTES  16384
#define SMALL_REPEAT 200
#define LARGE_REPEAT 10

static struct scene scene;
static double samples[SAMPLES];
static uint8_t segments[SMALL_REPEAT][SECURE_SEGMENT_MAX];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_row(const char *name, size_t bytes)
{
    qsort(samples, SAMPLES, sizeof samples[0], compare);
    printf("%-18s %10.0f %10.0f ns", name, samples[SAMPLES / 2], samples[0]);
    if (bytes != 0)
        printf(" %8.0f MB/s", (double)bytes * 1000.0 / samples[SAMPLES / 2]);
    printf("\n");
}

static void fail(const char *what)
{
    fprintf(stderr, "secure_bench: %s failed\n", what);
    exit(1);
}

static void measure_segments(uint32_t options, size_t bytes, unsigned repeat, const char *seal_name,
                             const char *open_name)
{
    static double opening[SAMPLES];
    if (scene_open(&scene, options) != SECURE_OK)
        fail("the session");
    for (unsigned sample = 0; sample < SAMPLES; sample++) {
        double start = now_ns();
        for (unsigned i = 0; i < repeat; i++)
            if (secure_seal(&scene.initiator, segments[i], bytes) == 0)
                fail("sealing");
        double middle = now_ns();
        for (unsigned i = 0; i < repeat; i++)
            if (secure_open(&scene.responder, segments[i]) != SECURE_OK)
                fail("opening");
        samples[sample] = (middle - start) / repeat;
        opening[sample] = (now_ns() - middle) / repeat;
    }
    print_row(seal_name, bytes);
    memcpy(samples, opening, sizeof samples);
    print_row(open_name, bytes);
}

static void measure_hellos(void)
{
    for (unsigned sample = 0; sample < SAMPLES; sample++) {
        scene_begin(&scene, SECURE_ENCRYPT);
        double start = now_ns();
        if (scene_hellos(&scene) != SECURE_OK)
            fail("the hellos");
        samples[sample] = now_ns() - start;
    }
    print_row("hellos_both_sides", 0);
}

int main(void)
{
    printf("%-18s %10s %10s\n", "row", "median", "minimum");
    measure_segments(SECURE_ENCRYPT, SMALL_BYTES, SMALL_REPEAT, "seal_64", "open_64");
    measure_segments(SECURE_ENCRYPT, LARGE_BYTES, LARGE_REPEAT, "seal_16k", "open_16k");
    measure_segments(0, SMALL_BYTES, SMALL_REPEAT, "seal_clear_64", "open_clear_64");
    measure_segments(0, LARGE_BYTES, LARGE_REPEAT, "seal_clear_16k", "open_clear_16k");
    measure_hellos();
    return 0;
}
