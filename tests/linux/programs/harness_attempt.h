// SPDX-License-Identifier: BSD-2-Clause
// Machine code tried out in this very process: which signal it raises, or none.
#pragma once

#include "harness.h"

struct outcome {
    int signal; // 0: none, it came back
    int code;
    uint64_t address;
    uint64_t vector;
    uint64_t rax; // what it came back with
};

// Executes the bytes, then returns; with these values in rax, rbx, rcx and rdx. The direction, trap
// and other flags are put right afterwards.
struct outcome attempt(const void *bytes, size_t count, const uint64_t values[4]);

// The same in a child of its own, for what may kill: the signal that it got.
int attempt_apart(const void *bytes, size_t count, const uint64_t values[4]);

// Whether the signal is one of up to four; the others are 0.
bool is_one_of(int signal, const int expected[4]);

// A process beside those that do harm: it checks its memory, its registers and what system calls
// tell it, over and over.
struct witness;
struct witness *witness_start(void);
// Fails the test when something of it was not right, or when it has not got on.
void witness_check(struct witness *witness);
void witness_end(struct witness *witness);
