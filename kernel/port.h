// SPDX-License-Identifier: BSD-2-Clause
// Ports and port sets. A port is a queue of messages with one receiver; a
// kernel object (task, thread, …) is reached through a port whose receiver is
// the kernel. A sink is where threads wait to receive: a port's own, or that
// of the port set it is enabled in; senders need not know which.
#pragma once

#include <corvus/message.h>

#include "list.h"

struct task;
struct thread;

struct sink {
    struct chain *receivers; // threads waiting here, most recent first
    struct link ready;       // ports that have something to receive (port.ready_link)
    uint32_t ready_count;    // length of `ready`
};

enum port_kind {
    PORT_PLAIN,
    PORT_TASK,
    PORT_THREAD,
    PORT_HOST,
    PORT_HOST_PRIVILEGED,
    PORT_INTERRUPT,
    PORT_TIMER,
    PORT_KIND_COUNT
};

struct port {
    struct sink *sink; // own, or its set's; never NULL, so that a sender need not ask
    uint64_t label;
    struct sink own;
    struct link queue;      // struct queued: messages and waiting senders, in order
    struct link ready_link; // in sink->ready while there is something to receive
    uint64_t events;        // bits not yet received
    uint32_t queued;        // plain messages in `queue`
    uint32_t backlog;
    uint32_t send_rights; // names and messages in transit
    uint32_t send_once_rights;
    uint32_t references; // receive right + send rights + send-once rights + kernel's own pointers
    uint8_t kind;        // enum port_kind
    bool dead;
    bool active;                       // the receive right is in a table or in transit
    uint8_t vcpu_bit;                  // with vcpu: which pending bit
    struct thread *vcpu;               // vCPU thread told of arrivals, or NULL
    struct task *receiver;             // holder of the receive right; NULL for kernel objects
    struct port_set *set;              // the set it is enabled in
    struct link set_link;              // in set->members
    struct link death_notices;         // struct notice: who wants to be told when it dies
    struct link send_possible_notices; // ... when there is room in its queue
    struct notice *no_senders_notice;  // ... when the last send right goes (one at most)
    struct task *charged; // whose quota holds this structure; NULL inside a kernel object
    uint64_t id;          // never reused
};

struct port_set {
    struct sink sink;
    struct link members; // struct port by set_link
    struct task *charged;
    uint64_t id;
};

// An element of a port's queue: a buffered message, or a waiting sender.
struct queued {
    struct link link;
    struct thread *sender;        // waiting sender, or NULL for a buffer
    struct message_copy *message; // buffered message, or NULL
};

// Rights inside a message on its way, by object instead of name.
struct carried_right {
    uint8_t kind; // RIGHT_*
    union {
        struct port *port;     // send, send once, receive
        struct thread *caller; // a reply right
    };
    uint32_t sequence; // of the reply right
    bool is_reply;
};

// A buffered message. Allocated with just as many words as it has.
struct message_copy {
    struct queued entry;
    struct task *charged;
    uint32_t id;
    uint32_t bytes; // of this structure, for the quota
    uint64_t tag;
    struct carried_right reply; // kind RIGHT_NONE when there is none
    uint32_t right_count;
    struct carried_right rights[MESSAGE_RIGHTS];
    uint64_t words[];
};

// Somebody asked to be told once of a port's death, of its last send right's
// going, or of room in its queue. Holds its own message, so it cannot fail.
struct notice {
    struct link link;
    struct link owner_link; // in charged->notices: it goes when who asked is gone
    uint32_t kind;          // NOTIFY_*
    uint64_t word;          // name or label to tell
    struct port *of;        // whose fate it is about, and which holds it
    struct port *to;        // counts as one send-once right
    struct message_copy *message;
    struct task *charged;
};

void port_init(struct port *port, enum port_kind kind);
void sink_init(struct sink *sink);

// Allocates a plain port charged to `charged`, with no rights yet; NULL when
// the quota is exhausted.
struct port *port_allocate(struct task *charged, uint64_t label);
struct port_set *port_set_allocate(struct task *charged);

// References keep the structure, not the port's life.
static inline void port_reference(struct port *port)
{
    port->references++;
}
void port_release(struct port *port);

// The receive right has gone: senders and waiting callers get PEER_DIED,
// buffered messages are destroyed, notices go out.
void port_kill(struct port *port);

void port_set_destroy(struct port_set *set);
void port_enable(struct port *port, struct port_set *set);
void port_disable(struct port *port);

// Send rights are counted so that no-senders can be told.
static inline void port_add_send(struct port *port)
{
    port->send_rights++;
    port->references++;
}

static inline void port_add_send_once(struct port *port)
{
    port->send_once_rights++;
    port->references++;
}

void port_drop_send(struct port *port);
void port_drop_send_once(struct port *port);

// Puts the port on its sink's ready list, or takes it off, as its queue and
// events say; tells the bound vCPU.
void port_update_ready(struct port *port);

// ORs bits into the port's events, and wakes a receiver.
void port_notify(struct port *port, uint64_t bits);

// There is room in the queue, or no send right any more: tells who asked.
void port_tell_send_possible(struct port *port);
void port_tell_no_senders(struct port *port);

// A vCPU thread dies or rebinds: no port may point to it.
void port_unbind_vcpu(struct port *port);
