// SPDX-License-Identifier: BSD-2-Clause
// Traps: exceptions, page faults, interrupts, and the way back to user mode.
#pragma once

#include "x86/frame.h"

struct thread;

// Called by entry.S.
void trap_from_user(struct frame *frame);
void trap_from_kernel(struct frame *frame);
void trap_uninterruptible(struct frame *frame);
struct thread *kernel_exit(void);

// An interrupt vector (32 and above).
void trap_interrupt(unsigned vector);
