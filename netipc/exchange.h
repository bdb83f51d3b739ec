// SPDX-License-Identifier: BSD-2-Clause
// The exchange: the protocol core joined to this node's kernel and network.
//
//   exchange.c   life of the core; time; what is told of peers
//   carrier.c    its connections, over transport.h
//   discovery.c  who is there, and at which address
//   segments.c   memory for what is sent
//   proxy.c      ports that stand for those of other nodes, and send-once rights of theirs
//   handoff.c    messages from other nodes into ports of this one
//   worker.c     threads for deliveries that wait: RPCs, memory, full ports
//
// One lock for all of it. The server's thread holds it while it works; a worker
// takes it when it comes back from a port.
#pragma once

#include "netipc/core/core.h"
#include "netipc/server.h"
#include "netipc/transport.h"

#include "lib/port.h"

// The core, and what its operations are called with: nothing else is needed, as there
// is one of each.
extern struct core *exchange_core;
extern struct core_settings exchange_settings;
extern const struct core_operations exchange_operations;

// Subjects of the server (main.c).
bool exchange_start(const struct server_context *context);
bool carrier_start(const struct server_context *context);

// --- carrier.c ---------------------------------------------------------------------------

bool carrier_transmit(void *context, void *link_owner, const void *data, size_t bytes,
                      void *cookie);
void carrier_close(void *context, void *link_owner);
// Puts on the wire what a worker has sent.
void carrier_flush(void);

struct transport_counters carrier_connections(void);
// Connects to a node, unless there is a link, or that node is the one that connects.
void carrier_connect(uint32_t node, uint32_t address);
// Sends a beacon, once. False: it could not be.
bool carrier_beacon(uint32_t address, const void *data, size_t bytes);

// --- discovery.c -------------------------------------------------------------------------

struct discovery_counters {
    uint64_t beacons_refused, beacons_old;
};
extern struct discovery_counters discovery_counters;

// Of struct transport_events.
void discovery_heard(void *context, uint32_t address, const void *data, size_t bytes);
bool discovery_admits(void *context, uint32_t address);
// Begins to say that this node is there. The identity stays in place.
void discovery_start(const struct node_identity *node);

// --- segments.c --------------------------------------------------------------------------

void *segments_allocate(void *context, size_t bytes);
void segments_release(void *context, void *memory, size_t bytes);

// --- proxy.c -----------------------------------------------------------------------------

bool proxy_open(void *context, struct core_import *import, uint64_t *port);
void proxy_close(void *context, struct core_import *import);
void proxy_pause(void *context, struct core_import *import, bool paused);
bool slot_open(void *context, struct core_slot *slot);
void slot_close(void *context, struct core_slot *slot);
// A right in this task's own table, made from the proxy or slot, to be moved to its
// receiver; dead when it cannot be.
struct message_right proxy_right(struct core_import *import);
struct message_right slot_right(struct core_slot *slot);
// The identity of the port behind a right, 0 for a dead one.
uint64_t port_identity(port_name_t name);
bool proxy_start(void);

// A message as it was received, for the core: words, rights that are the core's from
// then on, and items where they lie. False: it carries a receive right, which does not
// travel; the message's rights have been dropped.
bool message_of_received(const struct message *message, uint64_t words[MESSAGE_WORDS],
                         struct core_message *out);

// --- handoff.c ---------------------------------------------------------------------------

void handoff_watch(void *context, uint64_t handle, uint32_t export_number);
void handoff_drop(void *context, uint64_t handle);
void handoff_deliver(void *context, struct core_delivery *delivery);
void handoff_abandon(void *context, struct core_delivery *delivery);
void handoff_complete(void *context, uint64_t handle, const struct core_incoming *message,
                      corvus_error_t error);
// Tells the core what was delivered since. Behind each batch.
void handoff_step(void);
bool handoff_start(void);
// What has come cannot be handed on for want of memory. Nothing may be lost, so the server
// ends: all sessions do, and everybody is told.
_Noreturn void handoff_no_memory(void);
// Ports whose death would not be told of, for want of memory.
extern uint64_t handoff_unwatched;

// A message on its way into a port, its rights already in this task's table.
struct handoff {
    port_name_t to;
    uint32_t id;
    unsigned word_count, right_count, item_count;
    const uint64_t *words;
    struct message_right rights[MESSAGE_RIGHTS];
    struct core_bytes items[MESSAGE_ITEMS];
};

// Puts it into the current thread's message page and sends it with those phases and
// options; the message that comes back, if any, is left in *message.
corvus_error_t handoff_send(const struct handoff *handoff, uint64_t phases,
                            struct message *message);
// Drops the rights of one that could not be sent.
void handoff_undo(const struct handoff *handoff);

// --- worker.c ----------------------------------------------------------------------------

// Lets a worker make the RPC, or send the message however long that takes.
void worker_call(struct core_delivery *delivery, const struct handoff *handoff);
void worker_deliver(struct core_delivery *delivery, const struct handoff *handoff);
// Likewise for an answer to a port; all that the message points to is copied first.
void worker_answer(const struct handoff *handoff);
// Nobody waits for that RPC any more.
void worker_abandon(struct core_delivery *delivery);
// Ends again RPCs of which the end was asked before they had begun.
void worker_tick(void);

struct worker_counters {
    uint64_t workers, busy, waiting, jobs, abandoned, no_thread;
};
const struct worker_counters *worker_counters(void);
