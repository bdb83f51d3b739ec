// SPDX-License-Identifier: BSD-2-Clause
// All general registers of a thread set to known values around a breakpoint instruction.
#pragma once

#include <stdint.h>

struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags;
};
#define GENERAL_REGISTERS 15 // those before rflags

// Loads all of them, executes int3, stores what it then finds.
void registers_around_int3(struct registers *registers);
extern const char registers_trap[]; // address of that int3, which is one byte long

// Loads all of them and stays in a loop, at these two instructions, for ever.
__attribute__((noreturn)) void registers_spin(const struct registers *registers);
extern const char registers_loop[], registers_loop_end[];

// Fills in values that differ from each other; flags that a program may have set.
void registers_make(struct registers *registers, uint64_t seed);
