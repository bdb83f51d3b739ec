// SPDX-License-Identifier: BSD-2-Clause
// Ports across machines: the protocol, without I/O, clock or threads. The same
// files run in the network server, in unit tests and in the simulator; what they
// need from outside is struct core_operations.
//
// A port that leaves its node is an *export* there; on every node that holds
// rights to it stands an *import*, behind which its owner puts a proxy port. A
// message to the proxy is handed in by core_send and comes out on the other side
// as a *delivery*. A right to answer, and any other send-once right, is a *call*
// where it comes from, and where it goes either the delivery itself (an RPC) or a
// *slot* (a send-once right in a message).
//
// References are counted by listing who holds them: an export knows how many
// credits each peer has been given. Copies of a right on one node cost nothing;
// a right that goes on to a third node is claimed by that node from the port's
// home, while the node it came from keeps its own (Birrell, Evers, Nelson, Owicki,
// Wobber: Distributed Garbage Collection for Network Objects, 1993).
//
// All that two nodes have of each other lives as long as one session between
// them; when it ends, for whatever reason, each is dead to the other: imports
// become dead names, calls end with PEER_DIED, credits are taken back.
//
// Not thread-safe: the caller holds a lock. Operations are called from inside
// core_* functions and call none of them themselves. Rights that `deliver` and
// `complete` are given must be made before these return.
#pragma once

#include "netipc/core/secure.h"

#include <corvus/message.h>
#include <corvus/netname.h>

#define CORE_NODES_MAX   4096u // node numbers are 1..CORE_NODES_MAX - 1
#define CORE_NODE_NONE   0u
#define CORE_WELL_KNOWN  8u // export numbers 0..7 are given by core_export_well_known
#define CORE_COPY_MAX    MESSAGE_COPY_MAX
#define CORE_CALLS_MAX   65536u
#define CORE_EXPORTS_MAX (1u << 20)

struct core;
struct core_link;
struct core_import;
struct core_slot;

// --- Messages -------------------------------------------------------------------------

enum core_right_kind { CORE_DEAD, CORE_SEND, CORE_SEND_ONCE };

// A right that leaves the node. `handle` is the caller's name for it, which is the
// core's from then on; it gives it back by the operation `drop_right`.
struct core_right {
    enum core_right_kind kind;
    uint64_t port; // CORE_SEND: identity of the port: equal for equal ports, never 0
    uint64_t handle;
};

struct core_bytes {
    const void *data;
    size_t bytes;
};

struct core_message {
    uint32_t id;
    unsigned word_count, right_count, item_count;
    const uint64_t *words;
    struct core_right rights[MESSAGE_RIGHTS];
    struct core_bytes items[MESSAGE_ITEMS];
};

// A right that has arrived, to be handed to the receiver.
enum core_arrival_kind {
    CORE_ARRIVES_DEAD,   // a dead name
    CORE_ARRIVES_EXPORT, // a send right like `handle`, which stays the core's
    CORE_ARRIVES_IMPORT, // a send right made from the proxy of `import`
    CORE_ARRIVES_SLOT,   // a send-once right made from the port of `slot`
};

struct core_arrival {
    enum core_arrival_kind kind;
    uint64_t handle;
    struct core_import *import;
    struct core_slot *slot;
};

// A message that has arrived. What it points to stays until it is given back.
struct core_incoming {
    uint32_t id;
    unsigned word_count, right_count, item_count;
    uint64_t words[MESSAGE_WORDS];
    struct core_arrival rights[MESSAGE_RIGHTS];
    struct core_bytes items[MESSAGE_ITEMS];
};

// A message for a port of this node. From the operation `deliver` until
// core_delivered or, when it is a call, core_answer.
struct core_delivery {
    uint64_t handle;              // the send right of the port
    bool is_call;                 // an answer is waited for
    uint32_t room[MESSAGE_ITEMS]; // bytes of COPY items that the answer may carry
    struct core_incoming message;
    void *owner; // the caller's
};

// --- What the core needs ----------------------------------------------------------------

struct core_operations {
    // Makes a proxy: a port whose messages are handed in by core_send(import), and
    // tells its identity. False: impossible now; the right arrives dead.
    bool (*open_import)(void *context, struct core_import *import, uint64_t *port);
    // The import is no more: holders of rights to its proxy now have dead names.
    void (*close_import)(void *context, struct core_import *import);
    // Takes no more messages to the proxy until told otherwise, so that senders wait.
    void (*pause_import)(void *context, struct core_import *import, bool paused);

    // Makes a port for one message, which is handed in by core_slot_send. False: the
    // right arrives dead.
    bool (*open_slot)(void *context, struct core_slot *slot);
    void (*close_slot)(void *context, struct core_slot *slot);

    // Wants to be told by core_export_died when the port behind the right dies.
    void (*watch_right)(void *context, uint64_t handle, uint32_t export_number);
    void (*drop_right)(void *context, uint64_t handle);

    // Delivers a message. core_delivered follows when it is in the port's hands,
    // core_answer when a call was answered; neither from inside this.
    void (*deliver)(void *context, struct core_delivery *delivery);
    // Nobody waits for the delivery's answer any more: it should be ended soon, by
    // core_answer all the same.
    void (*abandon)(void *context, struct core_delivery *delivery);
    // Answers a call: by the message, or with an error when `message` is NULL. The
    // right is used up.
    void (*complete)(void *context, uint64_t handle, const struct core_incoming *message,
                     corvus_error_t error);

    // Memory of segments, which the network card may read.
    void *(*allocate)(void *context, size_t bytes);
    void (*release)(void *context, void *memory, size_t bytes);
    // Puts bytes on a link; core_sent(cookie) gives them back. False: the link is
    // full, or gone, and nothing was taken.
    bool (*transmit)(void *context, void *link_owner, const void *data, size_t bytes, void *cookie);
    // The core has ended the link: to be closed, orderly or at once. `link_owner`
    // will not be named again.
    void (*close_link)(void *context, void *link_owner);
    // 32 random bytes fit for keys. False: none to be had.
    bool (*entropy)(void *context, uint8_t bytes[SECURE_KEY_BYTES]);
    // A session with a node has begun or ended, and why.
    void (*peer_changed)(void *context, uint32_t node, bool live, const char *why);
};

// --- Counters -----------------------------------------------------------------------------

// See corvus/netname.h.
struct core_counters {
#define CORE_COUNTER_FIELD(name, text) uint64_t name;
    CORE_COUNTERS(CORE_COUNTER_FIELD)
#undef CORE_COUNTER_FIELD
};

// --- Life -----------------------------------------------------------------------------------

struct core_settings {
    struct secure_identity identity;
    uint64_t heartbeat_ns; // a peer hears of us at least so often
    uint64_t suspect_ns;   // unheard so long, it is suspect
    uint64_t dead_ns;      // and so long, it is dead
    // So long it has not said that it has heard of us, it is dead, too: it may hold us for dead. At
    // least dead_ns. So both ends of a session end it within the difference (Gray and Cheriton's
    // leases, 1989), whatever is lost, and in whichever direction.
    uint64_t unreached_ns;
    bool keeps_memory; // some of what messages needed, for the next ones
};

// NULL: no memory. The operations and what is behind context stay the caller's.
struct core *core_create(const struct core_settings *settings,
                         const struct core_operations *operations, void *context);
// Ends all sessions and frees everything. Deliveries not yet answered are forgotten,
// and what was transmitted must not be given back any more.
void core_destroy(struct core *core);

// To be called a few times in `heartbeat_ns`; nanoseconds of any clock that does
// not go backwards.
void core_tick(struct core *core, uint64_t now_ns);

const struct core_counters *core_counters(const struct core *core);

// --- Sessions -------------------------------------------------------------------------------

enum core_peer_state { CORE_PEER_ABSENT, CORE_PEER_LIVE, CORE_PEER_SUSPECT, CORE_PEER_DEAD };

struct core_peer_info {
    enum core_peer_state state; // ABSENT: never seen
    uint64_t incarnation;       // the last one seen
    uint32_t sessions;          // with it, ever
    uint64_t imports, calls;    // ports of it that are used here; answers waited for
    uint64_t exports;           // ports of this node that it holds
};

void core_peer_info(const struct core *core, uint32_t node, struct core_peer_info *info);

// Whether this node should connect to that one: there is no link between them, and
// of two nodes the lower number connects.
bool core_wants_link(const struct core *core, uint32_t node);

// Live nodes, this one included, are more than half of the cluster's configured
// size; of half of them, those are who have node 1 among them.
bool core_has_majority(const struct core *core);

// A connection is there: made by this node to `node`, or by somebody (node 0).
// NULL: no memory, or not wanted; the caller closes it.
struct core_link *core_link_open(struct core *core, uint32_t node, void *link_owner);
// Bytes that came over it, in order.
void core_link_received(struct core_link *link, const void *data, size_t bytes);
// The link can take bytes again.
void core_link_writable(struct core_link *link);
// The connection is no more. Not after `close_link`.
void core_link_closed(struct core_link *link, const char *why);
// Gives back what was transmitted.
void core_sent(struct core *core, void *cookie);
// Ends the session with a node, if there is one.
void core_peer_end(struct core *core, uint32_t node, const char *why);

// --- Ports ----------------------------------------------------------------------------------

// Makes a right known to all nodes under a number below CORE_WELL_KNOWN. IN_USE: the number
// was given before, even if that port has died, or the port has one.
corvus_error_t core_export_well_known(struct core *core, uint32_t number, uint64_t port,
                                      uint64_t handle);
// A port that was exported has died.
void core_export_died(struct core *core, uint32_t export_number);

// Hands in a message to an import's proxy. With a `reply`, a right to answer, it is
// a call, and the answer may carry so many bytes (`room`). All rights in the message
// are the core's afterwards, whatever the result. NO_MEMORY, TOO_LARGE (more than
// CORE_COPY_MAX), INVALID_ARGUMENT (counts), WOULD_BLOCK (sent though paused): nothing was
// sent; a reply right is then *not* taken.
corvus_error_t core_send(struct core_import *import, const struct core_message *message,
                         const uint64_t *reply, const uint32_t room[MESSAGE_ITEMS]);

// No right to the import's proxy is left, and no message waits in it. The owner may
// be told `close_import` from inside, or later.
void core_import_unused(struct core_import *import);
// An import of a live peer's well-known port. NULL: not live, or no memory. It stays
// until the session ends, whether used or not.
struct core_import *core_import_well_known(struct core *core, uint32_t node, uint32_t number);

// The owner's pointer of an import or slot, NULL at first.
void **core_import_owner(struct core_import *import);
void **core_slot_owner(struct core_slot *slot);
uint32_t core_import_node(const struct core_import *import);

// A message has come for a slot: it is over, and `close_slot` has been called. As core_send.
corvus_error_t core_slot_send(struct core_slot *slot, const struct core_message *message);
// The send-once right was destroyed: whoever waits is told the reason.
void core_slot_fail(struct core_slot *slot, corvus_error_t reason);

// The message is in the port's hands, or can never be (`error`; PEER_DIED: the port
// is dead). Unless it is a call, the delivery is no more. For a call: it is on its way.
void core_delivered(struct core *core, struct core_delivery *delivery);
// Ends a call: with an answer, or with an error when that is NULL.
void core_answer(struct core *core, struct core_delivery *delivery,
                 const struct core_message *answer, corvus_error_t error);
