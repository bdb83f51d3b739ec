// SPDX-License-Identifier: GPL-2.0-only
// What the parts of the transport share (peer.h). Linux here neither preempts nor has a second
// processor: what does not sleep needs no lock.
#pragma once

#include "linuxserver/drivers/memobj_segments.h"
#include "linuxserver/migration/peer.h"

#include <linux/list.h>
#include <linux/wait.h>

#define PEER_NAME       "migrate"
#define PEER_MESSAGE    0x4101u
#define PEER_VERSION    1u
#define PEER_NODES_MAX  MEMOBJ_NODE_MAX
#define PEER_HEAD_WORDS 4u // of a message, before the six
#define PEER_QUEUE_MAX  (8u << 20)
#define PEER_BACKLOG    256u

// The first word: kind, version, sender's number, id. Then the sender's life, the receiver's (0:
// not known), the number of the call.
enum peer_kind { PEER_HELLO, PEER_PLAIN, PEER_CALL, PEER_ANSWER };
#define PEER_HEAD(kind, node, id)                                                                  \
    ((u64)(kind) | PEER_VERSION << 8 | (u64)(node) << 16 | (u64)(id) << 32)

struct peer_packet {
    struct list_head link;
    enum peer_kind kind;
    u32 id;
    u64 call;
    u64 words[MIGRATION_WORDS];
    size_t bytes;
    u8 data[];
};

struct peer_link {
    unsigned int node;
    u32 port; // send right to the other's port; PORT_NULL: to be looked up
    u64 life; // the other's, as it told on this link; 0: it has not
    u64 last; // the last one that it was up with
    bool up;
    bool broken;                // a message could not be sent: the daemon takes it down
    unsigned long wanted_until; // jiffies
    struct send_queue queue;    // packets
    size_t queued;              // bytes of them
    wait_queue_head_t wait;     // for it to come up
};

extern unsigned int peer_nodes;
extern u64 peer_life; // of this Linux, not 0

// --- peer.c ------------------------------------------------------------------------------

// Calls to a node that will not be answered.
void peer_fail_calls(unsigned int node);
// Gives a message to who handles it.
void peer_deliver(unsigned int node, enum peer_kind kind, u32 id, u64 call,
                  const u64 words[MIGRATION_WORDS], const void *data, size_t bytes);
// The next message of this node to itself; false: there is none.
bool peer_deliver_own(void);

// --- peer_queue.c ------------------------------------------------------------------------

// NULL: no memory.
struct peer_packet *peer_packet(enum peer_kind kind, u32 id, u64 call,
                                const u64 words[MIGRATION_WORDS], const void *data, size_t bytes);
// Takes the packet in each case. As migration_send.
int peer_queue(struct peer_link *link, struct peer_packet *packet);
extern const struct send_queue_kind peer_queue_kind;
// Tries again what found no worker; whether some are left.
bool peer_queue_unstick(void);

// --- peer_link.c -------------------------------------------------------------------------

// NULL: there is none yet.
struct peer_link *peer_link(unsigned int node);
// From now on, for a while, it is looked for. NULL: no memory, or no such node.
struct peer_link *peer_link_want(unsigned int node);
struct peer_link *peer_link_next(struct peer_link *link);
void peer_link_hello(unsigned int node, u64 life);
void peer_link_down(struct peer_link *link);
// A port has died.
void peer_link_dead_port(u32 port);
// Something has become of links outside the daemon's thread: it looks at them.
extern bool peer_tend_links;
void peer_link_tend(void);
int peer_link_begin(void);

// --- peer_daemon.c -----------------------------------------------------------------------

extern struct port_daemon peer_daemon;
extern u32 peer_port; // receive right to what others send
