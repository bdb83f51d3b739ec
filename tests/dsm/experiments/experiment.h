// SPDX-License-Identifier: BSD-2-Clause
// What the experiments share: ordinary POSIX programs of several processes, on one machine or on
// many, with one memory between them (shm_open). Under `corvus run` each process is a rank of it;
// else
// `-p COUNT` forks them. Each checks its own result and prints one line of `name=value` pairs.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPERIMENT_RANKS_MAX 64
#define EXPERIMENT_LOCKS     8
#define EXPERIMENT_PAGE      4096 // what is to lie in pages of its own is a multiple of it

struct experiment {
    const char *name;
    unsigned rank, count; // this process; all
    long size;            // -n, in the program's own unit
    long rounds;          // -r, likewise
    long variant;         // -v
    uint64_t seed;        // -s
    bool words;           // -w: locks and barriers are words of the memory under `corvus run`, too
    long spoiled;         // -x: a byte of the memory that is changed before the check; -1: none
};

// Defaults of a program and their bounds.
struct experiment_limits {
    const char *name, *size_text; // what -n counts
    long size, size_min, size_max;
    long rounds, variant, variant_max;
};

// Reads arguments and environment; with -p returns in each of the processes, of which the first one
// waits for the others before it ends. Wrong arguments end the program with status 2.
struct experiment *experiment_begin(int argc, char **argv, const struct experiment_limits *limits);

// The memory that all processes share: zeroed, begins at a page. Once, before all else that is
// shared; ends the program when there is none.
void *experiment_memory(struct experiment *experiment, size_t bytes);

// Waits for all processes; ends the program when one does not come in the time of -t.
void barrier(struct experiment *experiment);

// One of EXPERIMENT_LOCKS locks, first come, first served.
void lock(struct experiment *experiment, unsigned number);
void unlock(struct experiment *experiment, unsigned number);

// Begins and ends what is measured; all processes call them at the same points.
void experiment_start(struct experiment *experiment);
void experiment_stop(struct experiment *experiment);

// Prints the line (first rank only), with further pairs in `more` ("" for none), and ends the
// program: status 0 when `right`, as the first rank tells it, 1 when not.
_Noreturn void experiment_end(struct experiment *experiment, bool right, const char *more);

// One line, and status 3.
_Noreturn void experiment_fail(const char *what);

// The part of `total` that is the rank's: [*first, *end), of nearly equal size.
void experiment_share(const struct experiment *experiment, long total, long *first, long *end);

// A small generator of numbers, the same everywhere (xorshift64*); *state is not 0.
uint64_t random_next(uint64_t *state);

// Likewise, of its index: for data that each process makes a part of.
uint64_t random_at(uint64_t seed, uint64_t index);
