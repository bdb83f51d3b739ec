// SPDX-License-Identifier: GPL-2.0-only
// What is known of a process that moves or has moved, on its home and on the node where it is, and
// how the parts of migration meet.
//
//   peer*.c     messages between nodes (peer.h)
//   move*.c     runs the commit protocol (commit.h); the records
//   freeze.c    brings all threads of a process to a stop, and lets them go on
//   device.c    /dev/corvus-migrate: what commands and tests ask for
//   pids.c      pids that no two nodes give
//   package.c, capture.c, build.c    the state of a process, written down and made anew (package.h)
//   cor*.c      its memory on reference
//   clocks.c    what it sees of time: home's clocks (clocks.h)
//   interrupted.c    calls that a move must not end (interrupted.h)
//   forward*.c, stub*.c    system calls, signals and the end of a process, between it and its home
#pragma once

#include "linuxserver/migration/commit.h"

#include <linux/compat.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/thread_info.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct migration_package;
struct package_process;

// The process has come from another node. Children inherit it by Linux's copying.
#define TIF_MIGRATED 30
// Its threads are to park before they go back to user mode, or are parked (freeze.c).
#define TIF_FROZEN_HERE 29
// It has been built within a system call, which is to be made again (build_thread.c).
#define TIF_BUILT 28

#define MIGRATION_REASON 96 // bytes of a reason in words, with the zero behind it

struct migration {
    struct list_head link;       // of all, in the order of `serial`
    u32 serial;                  // of this node's records, from 1 on
    unsigned int users;          // migration_put
    u64 move;                    // number, of the source's life; unique with `source`
    unsigned int source, target; // nodes: the ends of this move
    unsigned int home;           // whose stub executes its calls
    pid_t tgid;                  // the same on all nodes
    u8 state;                    // of the commit protocol, here
    u64 since[SOURCE_AWAY + 1];  // ktime_get_ns, when the source came into each state first
    bool eager;
    bool resident;              // it is here, and its home is another node
    struct task_struct *leader; // of the process here, or of its stub; counted, NULL: there is none
    char comm[TASK_COMM_LEN];
    // The rest is the mover's own.
    bool over;                     // nothing is to follow
    bool busy;                     // a work freezes, or builds
    bool served;                   // pages are
    bool orphaned;                 // its shepherd has ended
    bool unbuildable;              // no child of a shepherd will build it
    bool run, discarded;           // what the gate says
    bool moved;                    // capture_moved has been called
    int error;                     // negative error number of how it ended
    char reason[MIGRATION_REASON]; // in words, or empty
    unsigned long tick;            // jiffies, when to ask again
    unsigned long limit;           // jiffies, when the source gives up before COMMIT
    wait_queue_head_t wait;        // for its end, or the gate
    struct file *shepherd;         // its open device; not counted
    struct work_struct work;
    void *outline; // a struct package_process: what the target is asked with
    void *bytes;   // of the package, as it goes or comes
    size_t length, came;
    u32 round; // of going through all
};

void migration_get(struct migration *migration);
void migration_put(struct migration *migration);

static inline bool migration_is_migrated(const struct task_struct *task)
{
    return test_ti_thread_flag(task_thread_info((struct task_struct *)task), TIF_MIGRATED);
}

// Whether the process of that home was here, and has gone on from here not long ago.
bool move_has_gone_on(unsigned int home, pid_t tgid);

// Whether the process of that home is here, but its home cannot have heard yet that it runs, or may
// not have: what a broken link has lost of it is said again. Or it is another node's since COMMIT,
// and waits here for that node's word.
bool move_is_unsettled(unsigned int home, pid_t tgid);

// The process, which is at home here, runs on that node from now on.
void move_is_on(pid_t tgid, unsigned int node);

// The process is no more, on this node: its record goes with its last user.
void migration_end(struct migration *migration);

// Of each thread that build.c has made, before it goes to user mode: waits until the process may
// run. 0; -ECANCELED: never, and the thread is to exit.
int migration_gate(struct migration *migration);

// By build_process, in the context of the process, when it has mappings and threads: those of its
// mappings whose pages come with it become memory on reference (cor_map), its calls its home's
// (forward_arrive). Pages that are in the package have been written before. 0 or a negative error
// number.
int migration_built(struct migration *migration, const struct migration_package *package);

// --- What the mover calls of the other parts -------------------------------------------------
// Each returns 0, or a negative error number and why in words; none waits for a peer unless it says
// so. The first four with the process's threads parked, but for capture_check.

// capture.c: whether it can move at all; and `process` for the target's build_check, with features,
// xcr0 and resident.
int capture_check(struct task_struct *leader, struct package_process *process,
                  char reason[MIGRATION_REASON]);
// The frozen process as a package: *bytes are kvmalloc's, the caller's.
int capture_process(struct task_struct *leader, void **bytes, size_t *count,
                    char reason[MIGRATION_REASON]);

// build.c: whether this node has what such a process wants: processor, memory.
int build_check_room(const struct package_process *process, char reason[MIGRATION_REASON]);
// Likewise, and that its pid is free.
int build_check(const struct package_process *process, char reason[MIGRATION_REASON]);
// current, a single-threaded child of the shepherd with the right pid, in a task work before it
// goes to user mode, becomes the process. It calls migration_built when there
// are mappings and threads; its other threads call migration_gate before they go to user mode,
// current's caller does for it. Pages in package->pages are filled in by it. After an error current
// is killed.
int build_process(struct migration *migration, const struct migration_package *package,
                  char reason[MIGRATION_REASON]);

// --- freeze.c ----------------------------------------------------------------------------

// Brings all threads of the process to a stop before they go back to user mode; their registers
// are then in task->thread.regs as a restarted call needs them. 0; -EBUSY: one does not come within
// a second, and all go on; -ESRCH: it ends; -EINTR.
int freeze_process(struct task_struct *leader);

// They go on, as if nothing had been.
void thaw_process(struct task_struct *leader);

// Each thread runs `stub` in its own context instead of going on, and goes on when that returns.
// All have begun to when this returns, also those that are stopped, as which the process is known
// yet.
void freeze_into_stub(struct task_struct *leader, void (*stub)(void *context), void *context);

// --- stopped.c ---------------------------------------------------------------------------

// A stopped thread runs, but goes no further than the kernel: it calls stopped_again.
void stopped_interrupt(struct task_struct *task);
// Whether the current thread's process is stopped: then it stops where it looks at signals next,
// which is told nobody.
bool stopped_again(void);

// --- device.c ----------------------------------------------------------------------------

// A request of /dev/corvus-migrate (include/corvus/migrate.h), by who has CAP_SYS_ADMIN. Returns
// what the ioctl does.
typedef long migration_request(struct file *file, void __user *argument);
void migration_device_handle(u32 request, migration_request *handler);

// An open device is closed: if a shepherd had it, nobody tells of its processes any more, and they
// are killed.
void migration_shepherd_gone(struct file *file);
