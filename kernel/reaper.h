// SPDX-License-Identifier: BSD-2-Clause
// What is to end, and nobody waits for: done a bounded step at each kernel
// exit, and all of it when the processor is idle.
#pragma once

struct task;

// Tears a task down of which some part is gone already.
void reaper_add(struct task *task);

// One step. CPU_HAZARD_REAP tells that there is something to do.
void reaper_step(void);
