// SPDX-License-Identifier: BSD-2-Clause
// Requests of /dev/corvus-migrate, by which commands, shepherds and tests speak to a node's
// migration driver. All want CAP_SYS_ADMIN.
#pragma once

#include <corvus/linux.h>

#define MIGRATE_DEVICE "/dev/corvus-migrate"

// As CORVUS_REQUEST, of another type: direction 1 is written to the driver, 2 read from it, 3 both.
#define MIGRATE_REQUEST(direction, number, type)                                                   \
    ((uint32_t)(direction) << 30 | (uint32_t)sizeof(type) << 16 | 0xc8u << 8 | (number))

// Numbers: 1..31 moves and status, 32..63 packages, 64..95 pages, 96..127 forwarding.

// --- Moves ---------------------------------------------------------------------------------------

#define MIGRATE_REASON 96
#define MIGRATE_COMM   16

// Moves a process to a node; returns when it is there. 0, or -1 with errno and why in words.
struct migrate_move {
    int32_t pid;
    uint32_t node;
    uint32_t flags;
    uint32_t padding;
    char reason[MIGRATE_REASON]; // returned, ended by a zero
};
_Static_assert(sizeof(struct migrate_move) == 112, "ABI");
#define MIGRATE_EAGER 1u // returns only when all of its memory has followed, too

#define MIGRATE_MOVE MIGRATE_REQUEST(3, 1, struct migrate_move)

// A process that moves, or has moved: the one behind that with the index that is given.
struct migrate_entry {
    uint32_t index;  // 0: the first one; its own comes back. ENOENT: there are no more
    int32_t pid;     // the same on all nodes
    uint32_t source; // of its last move
    uint32_t target;
    uint32_t home;    // the node of its files, terminal and parent
    uint32_t here;    // 1: it has come to this node; 0: this is where it came from
    uint64_t pages;   // not here yet, or not gone from here yet, as far as is known
    uint64_t regions; // of 2 MiB of which it is not known yet
    uint64_t move;    // number, of the source's
    char state[16];   // of the commit protocol
    char comm[MIGRATE_COMM];
    uint32_t uid;
    uint32_t padding;
    // Nanoseconds from the command to the steps of the move, by the clock of its source and only
    // there; 0: not yet. The process stands still from `freezing` to a little before `away`.
    uint64_t freezing;  // its threads are told to stop
    uint64_t frozen;    // its state is written down, and sent
    uint64_t committed; // it is built, and is the target's
    uint64_t away;      // the source has heard that it runs there
};
_Static_assert(sizeof(struct migrate_entry) == 120, "ABI");
#define MIGRATE_LIST MIGRATE_REQUEST(3, 2, struct migrate_entry)

// A message to a node's driver and its answer; how long it took.
struct migrate_echo {
    uint32_t node;
    uint32_t bytes; // of data, both ways, up to 256 KiB
    uint64_t nanoseconds;
};
_Static_assert(sizeof(struct migrate_echo) == 16, "ABI");
#define MIGRATE_ECHO MIGRATE_REQUEST(3, 3, struct migrate_echo)

// --- Shepherds -----------------------------------------------------------------------------------

// Of a shepherd: which pid its child is to have. Of that child: it becomes the process.
struct migrate_shepherd {
    uint32_t source;
    int32_t tgid; // returned
    uint64_t move;
};
_Static_assert(sizeof(struct migrate_shepherd) == 16, "ABI");
#define MIGRATE_SHEPHERD MIGRATE_REQUEST(3, 4, struct migrate_shepherd)
#define MIGRATE_BECOME   MIGRATE_REQUEST(1, 5, struct migrate_shepherd)

// What waitid has told of a child; or, before there is one, an error number as status.
struct migrate_child {
    int32_t pid;
    int32_t code; // CLD_EXITED and so on
    int32_t status;
    int32_t padding;
};
_Static_assert(sizeof(struct migrate_child) == 16, "ABI");
#define MIGRATE_CHILD MIGRATE_REQUEST(1, 6, struct migrate_child)

// --- Packages: a process as a file, for tests -------------------------------------------------

#define MIGRATE_DUMP_PAGES 1u // with all pages' contents

// A process that SIGSTOP has stopped, all of its threads, is written as a state package. It is not
// changed. ENOSPC: there is not room enough, `count` says how much is needed; EOPNOTSUPP: it cannot
// move, `reason` says why; EBUSY: it is not stopped; ESRCH.
struct migrate_dump {
    uint32_t pid;
    uint32_t flags;
    uint64_t bytes; // address
    uint64_t room;
    uint64_t count; // of the package
    char reason[MIGRATE_REASON];
};
#define MIGRATE_DUMP MIGRATE_REQUEST(3, 32, struct migrate_dump)

// The calling process, of one thread, with the process number of the package, becomes the package's
// process. EINVAL: it is no package; EOPNOTSUPP: it cannot be built here; `reason` says why. When
// it fails later, the process is killed, and the reason is in the kernel's log.
struct migrate_build {
    uint64_t bytes; // address
    uint64_t count;
    int64_t clock_offsets[3]; // real time, monotonic, since boot: here minus there, in ns
    char reason[MIGRATE_REASON];
};
#define MIGRATE_BUILD MIGRATE_REQUEST(3, 33, struct migrate_build)

// --- Nodes ---------------------------------------------------------------------------------------

// How a node's Linux is doing, asked of its driver. Counters are since its start.
struct migrate_node {
    uint32_t node;      // 1..; also one's own
    uint32_t nodes;     // of the cluster
    uint64_t uptime;    // ns
    uint64_t busy;      // ns of its processor
    uint64_t total;     // bytes of memory
    uint64_t available; // of these, for new programs, estimated as /proc/meminfo does
    uint32_t load[3];   // averages over 1, 5 and 15 minutes, in hundredths
    uint32_t running;   // threads that want the processor
    uint32_t threads;
    uint32_t guests; // processes here whose home is another node
    uint32_t away;   // processes of this node that run on another
    uint32_t padding;
};
_Static_assert(sizeof(struct migrate_node) == 72, "ABI");
#define MIGRATE_NODE MIGRATE_REQUEST(3, 7, struct migrate_node)

// --- Pages on reference (linuxserver/migration/cor.h) -----------------------------------------

// For tests: [start, end) of the caller, private anonymous memory, becomes the same range of
// process `pid` of `node` on reference. That process must not change it until the caller is done,
// and loses each page that has gone. `number` comes back. EINVAL, ESRCH, EHOSTDOWN, ENOMEM.
struct migrate_pages_map {
    uint32_t node;
    int32_t pid;
    uint64_t start, end;
    uint64_t number;
};
#define MIGRATE_PAGES_MAP MIGRATE_REQUEST(3, 64, struct migrate_pages_map)

// What has happened with it; number 0: what is over, and what this node has served, together.
struct migrate_pages_status {
    uint32_t node, reserved;
    uint64_t number;
    uint64_t pages;         // on reference yet
    uint64_t regions;       // of 2 MiB, of which nothing is known yet
    uint64_t faults;        // that waited for another node
    uint64_t demanded;      // pages they were about
    uint64_t ahead;         // pages read ahead
    uint64_t drained;       // pages that the background asked for
    uint64_t came, zero;    // pages that came; of them without data
    uint64_t messages;      // that they came in
    uint64_t unsent;        // pages that were over before they had been asked for
    uint64_t lost;          // asked for in vain
    uint64_t served, freed; // by this node, all of them: pages with data sent, pages given up
};
#define MIGRATE_PAGES_STATUS MIGRATE_REQUEST(3, 65, struct migrate_pages_status)

// Waits until nothing of it is on reference. EHOSTDOWN: it cannot be had.
struct migrate_pages_wait {
    uint32_t node, reserved;
    uint64_t number;
};
#define MIGRATE_PAGES_WAIT MIGRATE_REQUEST(1, 66, struct migrate_pages_wait)

// --- Forwarding ----------------------------------------------------------------------------------

struct migrate_pid {
    int32_t pid;
};

struct migrate_status {
    int32_t pid;    // of the caller's child
    int32_t status; // as waitpid gave it, with WUNTRACED
};

// A shepherd tells of its child.
#define MIGRATE_STATUS MIGRATE_REQUEST(1, 96, struct migrate_status)
// For tests on one node. The caller, which has one thread, becomes the stub of the process that
// says FORWARD_TO it; returns when it has executed a program.
#define MIGRATE_BE_STUB MIGRATE_REQUEST(1, 97, uint32_t)
// The caller's system calls are made by that stub from now on, and its own descriptors closed.
// Waits for the stub a few seconds; ESRCH: there is none.
#define MIGRATE_FORWARD_TO MIGRATE_REQUEST(1, 98, struct migrate_pid)
