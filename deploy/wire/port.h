// SPDX-License-Identifier: BSD-2-Clause
// The hub's end of the cable to one node: two Unix datagram sockets. Nodes and hub may come and go
// in any order.
//
//     wireN     the hub's; the node sends to it. One a node: that tells from whom a frame is.
//     nodeN.nic the node's; the hub sends to it, from a socket without a name that is connected to
//     it.
//               Connected, so that epoll tells when there is room again, which it does not
//               otherwise.
//
// A Unix datagram socket holds some ten datagrams (net.unix.max_dgram_qlen); what it has no room
// for waits here.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "deploy/wire/frame.h"

enum {
    // Frames that wait for a node: 256 KiB in frames of 1,500 bytes, twice over.
    PORT_WAITING_MAX = 512,
    // Frames that are received or sent by one system call.
    PORT_BATCH = 16,
};

// How long a node that is not there is left alone before it is looked for again.
#define PORT_RETRY_NS UINT64_C(10000000)

// Counters of a port, each a number of frames, but for the two of bytes.
#define WIRE_PORT_COUNTERS(C)                                                                      \
    C(received)       /* from the node, good ones */                                               \
    C(received_bytes) /* in them */                                                                \
    C(runt)           /* from the node, too short for Ethernet */                                  \
    C(giant)          /* from the node, above an MTU of 9000 */                                    \
    C(exhausted)      /* from the node, no memory for them */                                      \
    C(sent)           /* to the node */                                                            \
    C(sent_bytes)     /* in them */                                                                \
    C(full)           /* not sent: the node took none, and too many waited */                      \
    C(absent)         /* not sent: no node was there */                                            \
    C(failed)         /* not sent for another error of the socket */

struct wire_port_counters {
#define C(name) uint64_t name;
    WIRE_PORT_COUNTERS(C)
#undef C
};

struct port {
    int in;            // the hub's socket
    int out;           // connected to the node's
    bool present;      // it is connected
    uint64_t retry_at; // when an absent node is looked for again
    struct sockaddr_un node;
    struct frame *batch[PORT_BATCH]; // where the next frames are received
    struct frame *waiting[PORT_WAITING_MAX];
    unsigned first; // of those that wait, in the ring
    unsigned count;
    struct wire_port_counters counters;
};

// Makes the hub's socket of node `number` in a folder. Says why and returns false when it cannot.
bool port_open(struct port *port, const char *folder, unsigned number, struct frame_pool *pool);

// Receives up to PORT_BATCH frames into `frames`; returns how many. Whoever calls gets the
// references.
unsigned port_receive(struct port *port, struct frame_pool *pool, struct frame *frames[PORT_BATCH]);

// Puts a frame behind those that wait for the node, or drops and counts it. Takes the reference.
void port_append(struct port *port, uint64_t now, struct frame_pool *pool, struct frame *frame);

// Sends what the node takes. True when frames still wait for room in its socket.
bool port_flush(struct port *port, uint64_t now, struct frame_pool *pool);

// Finds out whether the node is there now.
void port_look(struct port *port, uint64_t now, struct frame_pool *pool);

// Gives back all frames, and removes the socket.
void port_close(struct port *port, const char *folder, unsigned number, struct frame_pool *pool);
