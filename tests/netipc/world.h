// SPDX-License-Identifier: BSD-2-Clause
// A world of nodes, each a real protocol core on a model of a kernel: ports,
// rights, no-senders and dead-name notices; and a network of ordered links that
// carries one piece at a time, chosen by a seed. Everything runs in one thread, and
// the same seed gives the same run.
//
// The model is exact about rights: each is an object that is made, moved and
// dropped; world_end tells of all that are left.
#pragma once

#include "netipc/core/core.h"

#define WORLD_NODES_MAX 1024u

struct world;
struct node;

struct port {
    uint64_t id;
    struct node *node;
    struct port *next, **self; // of the node
    struct port *marked_next;
    bool marked;
    bool dead;
    unsigned sends, onces; // rights in existence
    struct core_import *import;
    struct core_slot *slot;
    bool paused;
    uint32_t watched; // export number + 1
    const struct right *watcher;
    struct arrived *first, *last;
    unsigned queued;
    void *owner; // the answer that is waited for through it, or NULL
    void *tag;   // the test's
};

struct right {
    enum core_right_kind kind;
    struct port *port; // NULL: dead
    struct node *node;
};

// A message in a port's queue.
struct arrived {
    struct arrived *next;
    uint32_t id;
    unsigned word_count, right_count, item_count;
    uint64_t words[MESSAGE_WORDS];
    struct right *rights[MESSAGE_RIGHTS];
    uint8_t *items[MESSAGE_ITEMS];
    size_t item_bytes[MESSAGE_ITEMS];
    struct core_delivery *call; // to be answered by world_answer, or NULL
};

struct answer {
    bool done;
    unsigned times; // that it came: never more than once
    corvus_error_t error;
    struct arrived *message; // NULL with an error
};

struct node {
    struct world *world;
    uint32_t number;
    struct core *core;
    uint64_t incarnation;
    struct port *ports;
    uint64_t right_count, segment_count, port_count;
    bool dead, frozen;
    uint64_t abandoned;
    uint64_t changes; // of sessions
};

struct world {
    struct node *nodes; // by number, from 1
    uint32_t count;
    uint64_t now_ns, random, next_id, steps;
    struct wire_link *links;
    struct wire_end **active;
    uint32_t active_count, active_room;
    struct pending *pendings;
    uint32_t pending_count, pending_room;
    struct port *marked_first, *marked_last;
    uint32_t
        link_room; // segments that a link holds; 0: any number. Else segments come in parts, too
    uint32_t failures;         // of 10,000 operations that need memory or ports so many are refused
    uint64_t refusals;         // of these
    uint64_t changes;          // of sessions
    uint32_t *changes_between; // of two nodes' sessions, seen by both: see world_changes
    bool tell_changes;
    bool (*cut)(struct world *world, uint32_t from, uint32_t to); // or NULL: nothing is cut
    uint64_t arrived_count;
    struct core_settings settings;
};

// Nodes 1..count, not yet connected. `options` as in struct secure_node.
struct world *world_begin(uint32_t count, uint64_t seed, uint32_t options);
// Lets all that is on its way arrive and all unused rights be given back. Returns how
// many steps it took.
uint64_t world_settle(struct world *world);
// Carries one piece, or does one thing in a kernel; false: there was none.
bool world_step(struct world *world);
// Connects who wants to be connected; world_connect settles, too.
void world_link(struct world *world);
void world_connect(struct world *world);
// Time passes for all but the frozen; world_pass settles, too.
void world_tick(struct world *world, uint64_t nanoseconds);
void world_pass(struct world *world, uint64_t nanoseconds);
void world_kill(struct world *world, uint32_t number);
void world_start(struct world *world, uint32_t number); // a killed one
// Breaks the connection of two nodes.
void world_break(struct world *world, uint32_t one, uint32_t other);
// Beginnings and ends, at both sides, of sessions of two nodes; of a node with itself none.
uint64_t world_changes(const struct world *world, uint32_t one, uint32_t other);
// Frees everything. Returns rights, ports, segments and messages that were left.
uint64_t world_end(struct world *world);
uint32_t world_random(struct world *world, uint32_t below);
// Whether what the core asks for now is refused.
bool world_fails(struct world *world);
// Not zero while memory is asked for by the model itself.
// Volatile, for compilers believe that an allocator does not look at it.
extern volatile unsigned world_own_memory;

// --- What programs on the nodes do -----------------------------------------------------

struct port *port_make(struct node *node);
void port_kill(struct port *port); // its receive right goes
struct right *right_make(struct port *port, enum core_right_kind kind);
struct right *right_copy(const struct right *right);
void right_drop(struct right *right);

struct letter {
    uint32_t id;
    unsigned word_count, right_count, item_count;
    uint64_t words[MESSAGE_WORDS];
    struct right *rights[MESSAGE_RIGHTS]; // move
    const void *items[MESSAGE_ITEMS];
    size_t item_bytes[MESSAGE_ITEMS];
};

// Sends; a send-once right is used up. With `answer`, an RPC. WOULD_BLOCK: a paused proxy.
corvus_error_t world_send(struct right *to, const struct letter *letter, struct answer *answer,
                          const uint32_t room[MESSAGE_ITEMS]);
struct arrived *port_receive(struct port *port); // NULL: nothing there
void arrived_free(struct arrived *arrived);      // drops rights not taken out
// Answers an RPC that was received; `letter` NULL: with an error.
void world_answer(struct arrived *request, const struct letter *letter, corvus_error_t error);
