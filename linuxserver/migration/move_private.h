// SPDX-License-Identifier: GPL-2.0-only
// What the parts of the mover share: it runs the commit protocol (commit.h) for each move.
//
//   move.c           the records; events and what follows from them; time
//   move_message.c   the protocol's messages
//   move_source.c    freezing, serving, thawing; the request to move
//   move_target.c    checking, building, running, discarding; the shepherd's requests
//   move_request.c   who wants a process moved, here or by another node
//   home.c           a process comes back: its stub becomes it again
//   move_parts.c     its calls and signals go home from then on (forward.h)
//   move_hold.c      moves that tests hold at a step
//   move_device.c    what commands ask for; status.c how the node is doing
//
// Linux here neither preempts nor has a second processor: what does not sleep needs no lock. A
// record's state changes before anything that follows from it is done.
#pragma once

#include "linuxserver/migration/cor.h"
#include "linuxserver/migration/messages.h"
#include "linuxserver/migration/migration.h"
#include "linuxserver/migration/package.h"
#include "linuxserver/migration/peer.h"

#include <corvus/migrate.h>

#define MOVE_TICK       (2 * HZ)
#define MOVE_LIMIT      (30 * HZ)
#define MOVE_BYTES_MOST (64u << 20) // of a package

// --- move.c ------------------------------------------------------------------------------

extern struct list_head move_all;

// A new record, counted twice: in the list, and for the caller. NULL: no memory.
struct migration *move_make(unsigned int source, u64 number, pid_t tgid);
// One whose shepherd has ended, counted; NULL: there is none.
struct migration *move_orphan(void);
struct migration *move_find(unsigned int source, u64 number);
// The move of that process that is not decided yet; NULL: there is none. Not counted.
struct migration *move_under_way(pid_t tgid);
// What is known of a process that is away from here: it is at home here. NULL; not counted.
struct migration *move_away(pid_t tgid);
// Of one that has come here, whether from home or back to it, and runs.
struct migration *move_here(pid_t tgid);

// The event happens; with what follows from it. The record may be forgotten by it, unless counted.
void move_event(struct migration *migration, unsigned int event);

// Whether the process's home is this node.
static inline bool move_is_home(const struct migration *migration)
{
    return migration->home == migration_self();
}

// Whether this is the record of the move's source.
static inline bool move_is_source(const struct migration *migration)
{
    return migration->state <= SOURCE_ABORTED;
}

// It is known no more, but what is served for it goes on being served.
void move_is_over(struct migration *migration);

// It cannot: the reason is kept unless there is one already.
__printf(3, 4) void move_fails(struct migration *migration, int error, const char *format, ...);

// --- move_message.c ------------------------------------------------------------------------

// What is in the state of a move that is not known: late, or of a source that has forgotten.
void move_send(struct migration *migration, unsigned int actions);
// The highest number of a move of that source that is over here and forgotten.
void move_remember_over(unsigned int source, u64 number);
void move_forget_over(unsigned int source);

// --- move_source.c -------------------------------------------------------------------------

void move_freeze(struct migration *migration);
void move_thaw(struct migration *migration);
void move_serve(struct migration *migration);
// Before COMMIT of a process that comes home: signals that came since it was written down are there
// before it is. Home sends none any more.
void move_send_signals(struct migration *migration);

// --- move_request.c ------------------------------------------------------------------------

// The process of that pid goes to that node. Waits until it has, or has not. 0, or a negative error
// number and why.
int move_process(pid_t pid, unsigned int node, bool eager, char reason[MIGRATION_REASON]);

// --- move_target.c -------------------------------------------------------------------------

void move_check(struct migration *migration, const struct package_process *process);
void move_build(struct migration *migration);
void move_discard(struct migration *migration);
void move_run(struct migration *migration);
// What has pages in the package becomes memory on reference, in the current address space.
int move_map_pages(struct migration *migration, const struct migration_package *package);

// --- move_parts.c --------------------------------------------------------------------------

// In the context of the process that has been built: all its threads' calls go home.
int move_attach(struct migration *migration);
// By each thread of a process that goes on from here, where it is not at home, instead of going on.
void move_leave(void *unused);
// A child of the shepherd with that device has ended, stopped or goes on, as waitid tells.
void move_child(const struct file *shepherd, pid_t pid, int code, int status);

// --- move_hold.c ---------------------------------------------------------------------------

// Of the actions, those whose messages are not held here.
unsigned int move_hold_sends(const struct migration *migration, unsigned int actions);
// Whether the message that has come is held.
bool move_holds(const struct migration *migration, u32 message);
// Whether a process that may run is held.
bool move_holds_process(const struct migration *migration);

// --- home.c --------------------------------------------------------------------------------

// Whether the process can come home from that node. 0; negative, with the reason.
int home_check(pid_t tgid, unsigned int source, const struct package_process *process,
               char reason[MIGRATION_REASON]);
// Its stub makes its memory: CAN or CANNOT follows, perhaps at once.
void home_begin(struct migration *migration);
// That was for nothing: the stub goes on being one.
void home_discard(const struct migration *migration);
// The stub becomes the process. False: it was killed meanwhile.
bool home_run(const struct migration *migration);
