// SPDX-License-Identifier: BSD-2-Clause
// One program in many roles, by its first argument: init's configuration
// (tests/kernel/init.conf) starts it as the suites that print TAP, and as the
// servers that fault, fail, hang and call at random around them.
#pragma once

#include "lib/port.h"

#include <corvus/init_stubs.h>

#include <stdbool.h>

// Prints a line of TAP and counts.
void ok(bool passed, const char *text);
// Prints the plan; returns the exit status.
int tests_end(void);

// The suites.
void test_memory(void);
void test_names(void);
void test_services(void);
void test_supervision(void);
void test_allocator(void);
void test_devices(void);

// Plays the role of a server that ends badly; does not return when it knows the role.
void misbehave(const char *role);
// Calls init's services with arguments by chance.
int call_at_random(const char *seed, const char *calls);
int call_allocator_at_random(const char *seed, const char *calls);

#define AREA  0x300000000000ull // addresses that the C library does not use
#define PAGE  4096ull
#define LARGE (2ull << 20)
