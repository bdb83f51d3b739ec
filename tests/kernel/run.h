// SPDX-License-Identifier: BSD-2-Clause
// Between main.c, which lists the groups, and harness.c, which runs them.
#pragma once

#include "harness.h"

void run_group(const struct test_group *group);
_Noreturn void run_end(void);

// Body of a thread that calls watchdog_bark when a test takes too long.
// `port` is a struct test_port of its own, which it waits at.
void watchdog(void *port);

// Says which test hangs and ends the run.
void watchdog_bark(const char *test, unsigned seconds);
