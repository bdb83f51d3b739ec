// SPDX-License-Identifier: BSD-2-Clause
// What is to end, and nobody waits for: done a bounded step at each kernel
// exit, and all of it when the processor is idle.
#pragma once

#include <stdbool.h>

struct task;

// Tears a task down of which some part is gone already.
void reaper_add(struct task *task);

// One step; true when it ended a doomed thread (which is short, and somebody may
// wait for its answer). CPU_HAZARD_REAP tells that there is something to do.
bool reaper_step(void);
