// SPDX-License-Identifier: GPL-2.0-only
// A process, all of whose threads are stopped before they go back to user mode (freeze.c, or
// SIGSTOP), written down as a state package. It is not changed. What the mover calls besides is in
// migration.h.
#pragma once

#include "linuxserver/migration/migration.h"

// As capture_process, of a process that SIGSTOP has stopped, which is written down as running; with
// the contents of all pages, or those that its next instructions need.
int capture_dump(struct task_struct *leader, bool all_pages, void **bytes, size_t *count,
                 char reason[MIGRATION_REASON]);

// The process is another node's now: takes from it here the signals that went along, those of
// timers, and the timers. Its threads still stand, and are no one's but the caller's.
void capture_moved(struct task_struct *leader, const struct migration_package *package);
