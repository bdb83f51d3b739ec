// SPDX-License-Identifier: GPL-2.0-only
// Calls that Linux continues by restart_syscall instead of making them again: what a thread's
// restart_block says, for another node.
#pragma once

#include <linux/types.h>

struct package_thread;
struct task_struct;

// False: the call is continued in a way that is not known here.
bool restart_write(struct package_thread *to, const struct task_struct *from);

// The current thread's; `time` is its restart_time by the clocks here.
void restart_read(const struct package_thread *from, u64 time);
