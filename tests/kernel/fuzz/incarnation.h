// SPDX-License-Identifier: BSD-2-Clause
// The task that is fuzzed: made, watched, ended, again and again.
#pragma once

#include <corvus/error.h>
#include <stdint.h>

// Makes what all of them share: the pager thread and its pages. Once.
corvus_error_t incarnation_prepare(void);

// Lets the pager wait anew: what its reply slot held of a task that is gone goes.
void incarnation_settle(void);

// Runs one until it has made so many calls, has ended itself, or does not get
// on; then ends it. Returns when it is gone.
corvus_error_t incarnation_run(uint64_t seed, uint64_t calls);
