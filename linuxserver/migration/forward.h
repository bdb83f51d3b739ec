// SPDX-License-Identifier: GPL-2.0-only
// System calls, signals and the end of a process that has moved: what it does on the node where it
// runs, and its *stub*, the original at home, which has its files, parent, children and session.
//
//   calls.def, marshal*.c   which calls, and what their arguments point to
//   forward.c               the process's side: calls that go home, and their results
//   forward_own.c           those in which both nodes have a part
//   forward_time.c          those with times in them: clocks are home's (clocks.h)
//   forward_clone.c         fork, clone, exec
//   forward_process.c       records of processes and threads; signals that come from home; ends,
//   stops
//   forward_leave.c         it goes on to another node
//   stub.c                  home: what a parked thread does all day
//   stub_call.c             makes a call
//   stub_messages.c         what comes for stubs
//   home.c                  the process comes back (move_private.h)
//   forward_device.c        requests of shepherds and tests
//
// One processor, and kernel code is not preempted: records are looked up and used without sleeping
// in between, and have no locks.
#pragma once

#include <linux/sched.h>
#include <linux/types.h>

struct pt_regs;
struct restart_block;

// --- The node where it runs --------------------------------------------------------------

// From now on the thread's calls go to the stub's thread `stub_tid` of the node `home`. Each thread
// is attached before it first runs; the first one of a process makes that known. `local`: a test on
// one node, where the numbers of process and stub differ. 0; -ENOMEM; -EEXIST.
int forward_attach(struct task_struct *task, unsigned int home, pid_t stub_tgid, pid_t stub_tid,
                   bool local);

// A thread that has been attached and never ran, or whose process goes on elsewhere: nothing is
// told home.
void forward_detach(struct task_struct *task);

// Whether the caller is in a clone whose child gets its stub's number.
bool forward_clones(void);

// Whether a process of that home is here.
bool forward_is_any_of(unsigned int home);

// The home of a process that has come from another node; 0: it has not.
unsigned int forward_home(pid_t tgid);

// The process, all of whose threads stand still, goes on on another node. Signals that are left
// go home; its threads' calls are their own again, and their ends, which are to follow, are told
// nobody and touch no memory. `node`: where; home is told, unless it is that.
void forward_leave(struct task_struct *leader, unsigned int node);

// Signals that came since it was written down go home.
void forward_send_signals(struct task_struct *leader);

// The process has come from a node that is not its home, which has to know before its first call.
// 0, or a negative error number: home cannot be told.
int forward_here(unsigned int home, pid_t tgid);

// A call of a process with TIF_MIGRATED. True: it has been made, and its result stored.
bool forward_call(struct pt_regs *regs);

// What the shepherd has heard by waitpid of its child, which home is told: end, stop.
void forward_status(pid_t tgid, int status);

// The restart block of poll in a process that has moved (in place of do_restart_poll): same fields;
// also right when it has come home.
long forward_restart_poll(struct restart_block *block);

// --- Home --------------------------------------------------------------------------------

// Run by each parked thread of a process that now runs on `node` (a number cast to a pointer, as
// freeze_into_stub gives it). Ends with the process; returns when the thread is to go on to user
// mode here: the process has executed a program, or has come home (home.c).
void stub_serve(void *node);

// Where the process with that stub runs; 0: there is no stub of that number.
unsigned int stub_node(pid_t tgid);
