// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the program `process` have of each other.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Ends the program with a line of what and errno.
_Noreturn void give_up(const char *what);

// CLOCK_MONOTONIC in nanoseconds.
uint64_t now(void);

// A number from 1 to most, or the program's end.
unsigned long number_of(const char *text, unsigned long most);

// Each asks this node's migration driver (include/corvus/migrate.h) and prints what it says.
void ask_move(int pid, unsigned node, bool eager);
void ask_echo(unsigned node, unsigned count);
void ask_pages(unsigned node, unsigned long move);
