// SPDX-License-Identifier: BSD-2-Clause
// The virtual LAN without sockets and without a clock: frames and times go in, frames with their
// times come out. The hub gives it real time, the tests give it any.
//
// Between each two ports lie two links, one a direction, each with its impairments and its cut. A
// frame that comes in at a port goes to the links of the ports it is meant for, as in a switch.
// Ports are known by the socket a frame came from, never by addresses in it. Ports count from 0
// here, from 1 for people.
//
// Of one link, frames keep their order, whatever delay and jitter they get, but for those that
// `reorder` picks.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deploy/wire/addresses.h"
#include "deploy/wire/frame.h"
#include "deploy/wire/spec.h"

enum {
    // Frames on their way, counted for each port they go to.
    WIRE_PENDING_MAX = 16384,
    // How many frames overtake one that is picked by `reorder`.
    WIRE_OVERTAKERS_MAX = 3,
};

// A frame that waits to be overtaken goes on after that time, if nothing comes.
#define WIRE_HOLD_NS UINT64_C(10000000)

// "No time at all": nothing is under way.
#define WIRE_NEVER UINT64_MAX

// Counters of a link, each a number of frames. offered + duplicated is the sum of delivered, lost,
// cut, queue, memory and those still under way.
#define WIRE_LINK_COUNTERS(C)                                                                      \
    C(offered)    /* meant for that port */                                                        \
    C(delivered)  /* handed on to it */                                                            \
    C(lost)       /* by `loss` or `broadcast` */                                                   \
    C(cut)        /* the link was cut */                                                           \
    C(queue)      /* too many waited for their turn at `rate` */                                   \
    C(memory)     /* too many frames under way in the whole hub */                                 \
    C(duplicated) /* additional copies */                                                          \
    C(reordered)  /* overtaken by later ones */                                                    \
    C(corrupted)  /* with wrong bits */

struct wire_link_counters {
#define C(name) uint64_t name;
    WIRE_LINK_COUNTERS(C)
#undef C
};

// A frame that waits until later ones have overtaken it.
struct held_frame {
    struct frame *frame; // NULL: none
    uint64_t deadline;
    unsigned overtakers; // that are still to come
    bool overtaken;      // by one already
};

struct wire_link {
    struct impairments impairments;
    bool perfect; // no impairments, so nothing is drawn
    bool cut;
    uint64_t generator;
    uint64_t number;   // of the next frame, for its draws
    uint64_t free_at;  // when the last frame has left, at `rate`
    uint64_t last_due; // of the last frame, so that none overtakes it
    struct held_frame held;
    struct wire_link_counters counters;
};

// A frame at its time at the port it goes to. Who takes it has a reference.
struct delivery {
    uint64_t time;  // when it was due
    uint64_t order; // among those of one time
    struct frame *frame;
    unsigned from;
    unsigned to;
};

struct wire {
    unsigned ports;
    struct frame_pool *pool;
    struct wire_spec spec;
    struct wire_link links[WIRE_PORTS_MAX][WIRE_PORTS_MAX]; // [from][to]
    struct addresses addresses;
    unsigned held; // links that hold a frame back
    uint64_t order;
    // A heap: no entry is due later than those at twice its index and one or two more.
    struct delivery pending[WIRE_PENDING_MAX];
    unsigned pending_count;
};

// A perfect wire of so many ports. Frames that it must copy come from `pool`.
void wire_initialize(struct wire *wire, unsigned ports, struct frame_pool *pool);

// Sets impairments, and begins all draws anew. What is already under way keeps its time, but for
// frames held back, which go on now.
void wire_impair(struct wire *wire, uint64_t now, const struct wire_spec *spec);

// Cuts one direction; what is under way there is lost.
void wire_cut_link(struct wire *wire, unsigned from, unsigned to);

// Cuts the ports in `group` (a bit each) off the others, both ways. They reach one another.
void wire_cut_group(struct wire *wire, uint32_t group);

// Ends all cuts.
void wire_heal(struct wire *wire);

// A frame has come in at a port. Takes the caller's reference. `now` never goes back.
void wire_input(struct wire *wire, uint64_t now, unsigned port, struct frame *frame);

// The next frame that is due at `now`; false when there is none.
bool wire_take(struct wire *wire, uint64_t now, struct delivery *delivery);

// When wire_take is to be called again, or WIRE_NEVER.
uint64_t wire_next_time(const struct wire *wire);

// Gives back all frames.
void wire_end(struct wire *wire);
