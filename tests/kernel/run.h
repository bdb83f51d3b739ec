// SPDX-License-Identifier: BSD-2-Clause
// Between main.c, which lists the groups, and harness.c, which runs them.
#pragma once

#include "harness.h"

void run_group(const struct test_group *group);
_Noreturn void run_end(void);

// Body of a thread that calls watchdog_bark when a test takes too long.
void watchdog(void *unused);

// Says which test hangs and ends the run.
void watchdog_bark(const char *test, unsigned seconds);
