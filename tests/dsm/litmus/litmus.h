// SPDX-License-Identifier: BSD-2-Clause
// Litmus tests: small programs of several threads, and what sequential consistency lets them see.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LITMUS_THREADS   4u
#define LITMUS_STEPS     3u // of a thread
#define LITMUS_REGISTERS 4u // of all, in the order of the program's text
#define LITMUS_VARIABLES 3u

// Values are 0 to 3, so an outcome is a number: two bits for each register, then for each variable
// as it is at the end.
#define LITMUS_OUTCOMES (1u << 2 * (LITMUS_REGISTERS + LITMUS_VARIABLES))

struct litmus_step {
    uint8_t value;    // that is written; 0: reads. The end of a thread has no variable
    uint8_t variable; // 1..LITMUS_VARIABLES; 0: none
};

struct litmus {
    const char *name;
    struct litmus_step threads[LITMUS_THREADS][LITMUS_STEPS];
    // What weaker memories show and sequential consistency forbids: values of registers and of
    // variables at the end; ANY: whatever it is.
    uint8_t registers[LITMUS_REGISTERS], variables[LITMUS_VARIABLES];
};

#define ANY 0xffu

extern const struct litmus litmus_tests[];
extern const unsigned litmus_count;

// The number of steps of a thread.
unsigned litmus_length(const struct litmus *test, unsigned thread);
// The register that a thread's step reads into.
unsigned litmus_register(const struct litmus *test, unsigned thread, unsigned step);
uint32_t litmus_outcome(const uint8_t registers[LITMUS_REGISTERS],
                        const uint8_t variables[LITMUS_VARIABLES]);
// Marks all outcomes that an interleaving of the threads has (LITMUS_OUTCOMES flags).
void litmus_allowed(const struct litmus *test, bool *allowed);
// Whether it is one that only weaker memories show.
bool litmus_is_weak(const struct litmus *test, uint32_t outcome);
