// SPDX-License-Identifier: BSD-2-Clause
// The vector unit (x87, SSE, AVX): its state stays in the registers until
// another thread uses them (CR0.TS), so a message moves none of it.
#pragma once

#include "thread.h"

// #NM: the current thread used the unit and does not own it.
void vector_trap(void);

// Before `thread` runs: the unit is usable if and only if it owns it.
void vector_before_run(struct thread *thread);

// The thread's state is not needed any more.
void vector_release(struct thread *thread);

// Saves what is live of the thread into its kernel area and disowns it.
void vector_save(struct thread *thread);

void vector_init(void);
