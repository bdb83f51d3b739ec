// SPDX-License-Identifier: BSD-2-Clause
// A fuzz target (LLVMFuzzerTestOneInput) with random inputs, for the suite: without libFuzzer, by a
// seed, for some seconds. Included by a test whose sources are the target's and what it needs.
//
//   test_fuzz_X [FIRST-SEED] [SECONDS]     seeds from there on; a failing one can be had again
#pragma once

#include "tap.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_INPUT_MAX 2048u
#define FUZZ_SECONDS   4

static volatile uint64_t fuzz_seed;

static void fuzz_failed(int number)
{
    char text[] = "not ok 1 - random input of seed 00000000000000000000\n";
    uint64_t seed = fuzz_seed;

    for (size_t i = sizeof text - 3; seed != 0; i--, seed /= 10)
        text[i] = (char)('0' + seed % 10);
    (void)!write(STDOUT_FILENO, text, sizeof text - 1);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

// SplitMix64 (Steele, Lea, Flood, 2014).
static inline uint64_t fuzz_next(uint64_t *state)
{
    uint64_t number = *state += 0x9e3779b97f4a7c15ull;

    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ number >> 27) * 0x94d049bb133111ebull;
    return number ^ number >> 31;
}

// To be returned from main. `runs_min`: so many inputs at least, however slow the host.
static inline int fuzz_random(int count, char **arguments, const char *what, unsigned runs_min)
{
    uint64_t first = count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
    time_t begin = time(NULL), seconds = count > 2 ? atoi(arguments[2]) : FUZZ_SECONDS;
    unsigned runs = 0;

    (void)signal(SIGABRT, fuzz_failed);
    while (runs < runs_min || time(NULL) - begin < seconds) {
        uint64_t state = fuzz_seed = first + runs++;
        size_t size = fuzz_next(&state) % (FUZZ_INPUT_MAX + 1);
        uint8_t *input = malloc(size + 1); // just so long, for the sanitizer
        if (input == NULL)
            return 1;
        for (size_t i = 0; i < size; i++)
            input[i] = (uint8_t)fuzz_next(&state);
        (void)LLVMFuzzerTestOneInput(input, size);
        free(input);
    }
    printf("# %u inputs from seed %lu\n", runs, (unsigned long)first);
    tap_ok(runs >= runs_min, what);
    return tap_end();
}
