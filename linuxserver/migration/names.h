// SPDX-License-Identifier: GPL-2.0-only
// States, events and actions of the commit protocol (commit.def). Plain numbers, because the
// model checker's language reads them, too.
#pragma once

#define SOURCE_IDLE      0
#define SOURCE_PREPARING 1 // the target is asked whether it can; the process runs
#define SOURCE_FREEZING  2 // its threads are brought to a stop, its state is written down
#define SOURCE_FROZEN    3 // the state is on its way
#define SOURCE_COMMITTED 4 // the process is the target's
#define SOURCE_AWAY      5 // and runs there
#define SOURCE_LOST      6 // and died with the target's node
#define SOURCE_ABORTING  7 // the process runs here; the target has not heard it yet
#define SOURCE_ABORTED   8
#define TARGET_NONE      9
#define TARGET_CHECKING  10 // processor features, memory, file systems
#define TARGET_PREPARED  11 // memory and pid are reserved
#define TARGET_BUILDING  12
#define TARGET_READY     13 // the process is there, suspended
#define TARGET_RUNNING   14
#define TARGET_SETTLED   15 // and the source knows
#define TARGET_ENDED     16 // nothing is left of it here
#define COMMIT_STATES    17

// Messages to the target, then to the source, then what happens on a node itself.
#define PREPARE       0
#define STATE         1
#define COMMIT        2
#define ABORT         3
#define SETTLE        4
#define PREPARED      5
#define REFUSED       6
#define READY         7
#define RUNNING       8
#define ABORTED       9
#define BEGIN         10
#define CAN           11 // what was asked for locally is done
#define CANNOT        12
#define TICK          13 // nothing was heard for a while
#define CANCEL        14 // the user, or a time limit
#define PEER_DEAD     15 // the other node is taken for dead; it may only be cut off
#define PEER_GONE     16 // it is there with another incarnation, or known never to come back
#define COMMIT_EVENTS 17

#define NOTHING       0
#define SEND_PREPARE  (1 << 0)
#define SEND_STATE    (1 << 1)
#define SEND_COMMIT   (1 << 2)
#define SEND_ABORT    (1 << 3)
#define SEND_SETTLE   (1 << 4)
#define SEND_PREPARED (1 << 5)
#define SEND_REFUSED  (1 << 6)
#define SEND_READY    (1 << 7)
#define SEND_RUNNING  (1 << 8)
#define SEND_ABORTED  (1 << 9)
#define FREEZE        (1 << 10) // and write the state down: CAN or CANNOT
#define THAW          (1 << 11) // the process goes on, as if nothing had been
#define SERVE         (1 << 12) // the process here becomes a stub; its pages are served
#define CHECK         (1 << 13) // reserve: CAN or CANNOT
#define BUILD         (1 << 14) // out of the state: CAN or CANNOT
#define DISCARD       (1 << 15) // reservation, or process; also while CHECK or BUILD goes on
#define RUN           (1 << 16)
#define REPORT        (1 << 17) // tell who asked how it ended
#define KILL          (1 << 18) // the process that runs
