// SPDX-License-Identifier: BSD-2-Clause
// The event loop of the network server: one thread that waits at a port set. Who
// wants messages registers a source; who wants to be called at a time, a timer;
// who has work to do behind each batch of frames and messages, a step. None of
// the functions may block.
#pragma once

#include "netipc/driver.h"
#include "netipc/switch.h"

#include "lib/message.h"

// --- Messages -------------------------------------------------------------------------

struct event_source {
    // A message came to the port, an event (MESSAGE_ID_EVENT) or a notice included.
    // Rights and items are in the message page until the next call. The right to
    // answer, if there is one, is in the thread's slot: msg_reply or
    // message_save_reply, before this returns; else the caller gets NO_REPLY.
    void (*message)(struct event_source *source, struct message *message);
    void *context;
    port_name_t receive; // the port, in the set of the loop
};

// Makes a port in the loop's set; its messages come to the source, which stays in
// place until it is removed. A port that exists already (a proxy's) can be added,
// too: its label must be the address of the source.
corvus_error_t server_add_source(struct event_source *source);
corvus_error_t server_adopt_source(struct event_source *source, port_name_t receive);
// Destroys the port, and takes the source out.
void server_remove_source(struct event_source *source);

// Where COPY items of any message are put, as copy buffer 0..3 of the thread. Set once.
void server_set_copy_buffer(unsigned index, void *buffer, size_t bytes);

// --- Times ----------------------------------------------------------------------------

struct event_timer {
    void (*expired)(struct event_timer *timer);
    void *context;
    uint64_t deadline; // nanoseconds of clock_now_ns
    bool armed;
    struct event_timer *next, *previous;
};

// Arms, or moves, the timer; it is disarmed before `expired` is called.
void server_arm_timer(struct event_timer *timer, uint64_t deadline);
void server_disarm_timer(struct event_timer *timer);

// --- Behind each batch -----------------------------------------------------------------

struct event_step {
    // Called after each batch, in order of registration; returns when it wants to be
    // called again at the latest (nanoseconds of clock_now_ns, UINT64_MAX: never).
    uint64_t (*step)(struct event_step *step);
    void *context;
    uint64_t deadline; // the loop's
    struct event_step *next;
};

void server_add_step(struct event_step *step);

// --- What the node is --------------------------------------------------------------------

#define NODE_PEERS_MAX 64u

struct node_identity {
    unsigned number;  // 1..254
    unsigned nodes;   // configured size of the cluster, 1..254
    char cluster[32]; // its name, "" when none was given
    uint8_t key[32];  // the shared key
    bool has_key;
    bool authenticate_only; // what goes to other nodes can be read, but not changed, by others
    unsigned patience;      // all limits of time between nodes are so many times longer, 1..100
    unsigned peer_count;
    uint32_t peers[NODE_PEERS_MAX]; // addresses that beacons go to besides the LAN's broadcast
    bool peers_own;                 // this node's own stood among them
};

#define NODE_NUMBER_MAX 254u

// The network server's address of a node, in host order, and of its Linux.
static inline uint32_t node_address(unsigned number)
{
    return 0x0a430000u | number;
}

static inline uint32_t node_linux_address(unsigned number)
{
    return 0x0a430100u | number;
}

// --- The rest -----------------------------------------------------------------------------

// What a subject of the server starts from, in the order of the table in main.c.
struct server_context {
    const struct node_identity *node;
    struct network_switch *network;
    struct network_card *card; // NULL: the node has none
};

// Runs until receiving fails for good; returns why.
corvus_error_t server_run(void);

// --- The lock -------------------------------------------------------------------------------

// Held by the loop's thread but while it waits. Other threads of this task take it before
// they touch anything of the server.
void server_lock(void);
void server_unlock(void);
