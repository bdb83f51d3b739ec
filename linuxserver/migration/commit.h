// SPDX-License-Identifier: GPL-2.0-only
// The commit protocol by which a process goes from one node to another: never two of it run, and
// not none either, while both nodes live and the wire comes back. No I/O: events in, actions out
// (names.h). The same table is model-checked (tests/migration).
#pragma once

#include "linuxserver/migration/names.h"

// Node numbers, incarnations and numbers of moves come as plain integers, so that Linux and the
// host's tests compile the same file.

// The event's effect: the next state and what is to be done, any of the actions, in the order
// THAW, DISCARD, KILL, then local work, then messages, then REPORT. False: the event is of no
// concern.
struct commit_step {
    unsigned char state;
    unsigned actions;
};
_Bool commit_step(unsigned char state, unsigned event, struct commit_step *step);

// Whether a message may meet this state at all. A late or repeated one may; one that may not says
// that the other side does not keep to the protocol, which is counted, and otherwise ignored.
_Bool commit_is_plausible(unsigned char state, unsigned event);

// A target remembers of each source's incarnation the highest number of a move that is over and
// forgotten (`highest_over`). A message about one that is not known and not above that is late:
// it meets TARGET_ENDED, not TARGET_NONE.
static inline _Bool commit_is_over(unsigned long highest_over, unsigned long move)
{
    return move <= highest_over;
}

// Where the process can run in that state: at most one of a move's two states says so.
static inline _Bool commit_runs(unsigned char state)
{
    return state <= SOURCE_FREEZING || state == SOURCE_ABORTING || state == SOURCE_ABORTED ||
           state == TARGET_RUNNING || state == TARGET_SETTLED;
}

// For the log and `corvus ps`; never NULL.
const char *commit_state_name(unsigned char state);
