// SPDX-License-Identifier: BSD-2-Clause
// Between main.c, which lists the groups, harness.c, which runs them, and seen.c.
#pragma once

#include "harness.h"

void run_group(const struct test_group *group);
_Noreturn void run_end(void);

// Which service gave which error, for tests/kernel/errors.sh: the kernel traces
// it, so no message is fast. Without seen_enable the others do nothing.
void seen_enable(void);
void seen_begin(void);   // before a test: tests may have changed what is traced
void seen_collect(void); // after it; expects that none was lost
void seen_print(void);   // a line for each pair

// Body of a thread that calls watchdog_bark when a test takes too long.
// `port` is a struct test_port of its own, which it waits at.
void watchdog(void *port);

// Says which test hangs and ends the run.
void watchdog_bark(const char *test, unsigned seconds);
