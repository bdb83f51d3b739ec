// SPDX-License-Identifier: GPL-2.0-only
// Calls that Linux ends with EINTR whatever it was that interrupted them. A program expects that of
// a signal whose handler has run, not of a move. So where no signal is to be taken such a call is
// made again, and one with a limit is gone on with for what is left of it.
#pragma once

#include <linux/ktime.h>
#include <linux/types.h>

struct restart_block;

// Whether the call has such a limit: *end is when it is over, by CLOCK_MONOTONIC. Before the call.
bool interrupted_limit(unsigned int nr, const u64 arguments[6], ktime_t *end);

// What such a call's result becomes.
long interrupted_wait(unsigned int nr, long result, ktime_t end);

// What becomes of the result of any call without a limit.
long interrupted_call(unsigned int nr, const u64 arguments[6], long result);

// The current thread stands still at the end of a call: as interrupted_call, in its registers.
void interrupted_by_freeze(void);

// Goes on with a call that has a limit: its number is futex.val of the block, its end futex.time.
long interrupted_restart(struct restart_block *block);
bool interrupted_has_limit(u32 nr);
