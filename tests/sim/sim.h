// SPDX-License-Identifier: BSD-2-Clause
// Programs on the nodes of a world that send messages and rights in all directions,
// and what must hold of them. One simulation at a time.
#pragma once

#include "tests/netipc/world.h"

#define SIM_PORTS    12u // of a program
#define SIM_RIGHTS   24u // likewise, that it holds
#define SIM_REQUESTS 6u  // likewise, not yet answered
#define SIM_CALLS    16u // likewise, that it waits for

#define WAY_NODES 8u // more than that are not followed

struct call_made;

// The nodes that something goes through, from the first on.
struct way {
    unsigned count;
    uint32_t nodes[2 * WAY_NODES + 2]; // of two of them joined
};

// Why something must come: as long as no session on its way, or of a node there with the home of
// a port, has begun or ended, and nothing was refused for want of memory.
struct ground {
    struct way way;
    uint32_t home; // 0: of no port
    bool firm;     // all that held when it was sent
    uint64_t changes, refusals;
};

// One on each node; a node that starts again has another.
struct program {
    uint32_t id;
    struct node *node;
    struct port *ports[SIM_PORTS]; // 0: well known
    unsigned port_count;
    struct right *rights[SIM_RIGHTS];
    unsigned right_count;
    struct arrived *requests[SIM_REQUESTS];
    unsigned request_count;
    struct call_made *calls;
    unsigned call_count;
};

struct sim {
    struct world *world;
    uint64_t seed;
    struct program *programs; // by node
    uint32_t next_program, next_uid;
    uint8_t *seen; // by message: whether it came
    uint8_t *dead; // by port: whether it has died
    size_t seen_room, dead_room;
    bool faulty; // links and nodes may be cut, frozen, dead
    uint64_t sent, received, calls, rights, blocked, dead_rights;
    uint64_t rests, changes; // of sessions
    uint64_t excused;        // rights and calls that a fault can have cost
};

extern struct sim sim;
extern struct world *failing_world; // whose failures malloc has, too

// Ends the run with its seed, so that it can be run again.
#define must(condition, text)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail(text, __FILE__, __LINE__);                                                    \
    } while (0)
_Noreturn void sim_fail(const char *text, const char *file, int line);
uint32_t sim_random(uint32_t below);

// --- programs.c ------------------------------------------------------------------------

void program_begin(struct node *node);
void program_end(struct program *program);          // drops all that it holds; before its node dies
void program_forget_calls(struct program *program); // after that
void program_act(struct program *program, uint32_t items_max);
// Receives and answers all there is. False: there was nothing.
bool program_drain(struct program *program);
void program_drop_rights(struct program *program);

// --- messages.c ------------------------------------------------------------------------

// What a sender writes into a letter, so that its receiver can judge it. `to` NULL: an answer,
// which goes the way.
void letter_sign(struct program *program, struct letter *letter, const struct right *to,
                 const struct way *way);
void letter_unsent(const struct letter *letter);
void arrived_judge(const struct arrived *arrived, const struct port *port);
void port_died(uint64_t id);
bool port_is_dead(uint64_t id);
// All that was sent in sessions that still live has arrived. At rest only; forgets what
// was said of messages.
void flows_check(void);
void flows_free(void);

// --- ways.c ------------------------------------------------------------------------------

// The port behind a right, wherever it is, and what is between. NULL: dead or not to be told.
struct port *way_of_right(const struct right *right, struct way *way);
// Puts another way, from the same node, in front of this one, backwards.
void way_join(struct way *way, const struct way *other);
void ground_lay(struct ground *ground, const struct way *way, uint32_t home);
bool ground_holds(const struct ground *ground);
bool right_is_doubtful(const struct right *right);

// --- check.c -----------------------------------------------------------------------------

void check_always(struct world *world); // at any time
void check_rest(struct world *world);   // nothing is on its way
void check_empty(struct world *world);  // and nobody holds anything
