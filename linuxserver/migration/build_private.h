// SPDX-License-Identifier: GPL-2.0-only
// What the files of building share.
#pragma once

#include "linuxserver/migration/build.h"
#include "linuxserver/migration/package.h"

#include <linux/completion.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/types.h>

// What a thread gets only when it runs: until then it takes no signal.
struct build_last {
    u64 blocked, saved_mask;
    bool has_saved_mask;
};

struct build {
    const struct migration_package *package; // until build_process returns
    struct build_clocks clocks;
    struct migration *migration; // NULL: there is no move
    unsigned int users;          // the leader, and threads that have not gone yet; one processor
    int error;                   // of a thread
    struct completion ready;     // once for each thread that waits
    struct completion go;        // the leader goes to user mode
    struct build_last last;      // the leader's
    struct callback_head work;
    struct package_thread registers; // the leader's, which its system call would overwrite
};

// -EOPNOTSUPP, with a reason.
__printf(3, 4) int build_refuse(int error, char *reason, const char *format, ...);

// A time of a clock as the package has it, by the one here.
u64 build_time(const struct build *build, u32 clock, u64 time);

// --- build_memory.c ------------------------------------------------------------------------------

int build_check_mappings(const struct migration_package *package, char *reason);
// In place of the current program's. Its clocks are those of the node `home`; 0: of this one.
int build_memory(const struct migration_package *package, unsigned int home, char *reason);

// --- build_thread.c ------------------------------------------------------------------------------

// All but registers and masks, of the current thread. Credentials last: it needs its own before.
int build_thread_state(const struct build *build, size_t index);
int build_credentials(const struct build *build, size_t index);
void build_registers(const struct package_thread *from);
void build_last_read(struct build_last *last, const struct package_thread *from);
void build_last_set(const struct build_last *last);

// --- build_signals.c, build_timers.c -------------------------------------------------------------

void build_handlers(const struct migration_package *package);
int build_signals(const struct migration_package *package);
// It stops, if it was stopped, when it takes signals again.
int build_stop(const struct migration_package *package);
int build_timers(const struct build *build);
void build_alarms(const struct build *build);
