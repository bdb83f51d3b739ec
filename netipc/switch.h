// SPDX-License-Identifier: BSD-2-Clause
// A small switch between the wire, this task's TCP/IP and the node's Linux. The
// ports of the node have fixed addresses; whatever is none of them is on the
// wire, so nothing needs to be learned. Pure: no clock, no allocation.
//
//   from the wire, to one of ours      to that port; to another: dropped
//   from one of ours, to another       to it
//   from one of ours, to anybody else  to the wire
//   to all, or to a group              to all but the sender
//
// A frame from one of our ports that does not bear its address is dropped, so
// that Linux cannot speak in the name of the network server.
//
// Each port may have a rate in each direction. What is beyond it is dropped and
// counted, so that a flood at one port does not take the time of the others.
#pragma once

#include "netipc/frame.h"

// A token bucket. Each frame costs its bytes and RATE_FRAME_COST besides.
#define RATE_FRAME_COST 256u
struct switch_rate {
    uint64_t bytes_per_second; // 0: no limit
    uint64_t burst;            // what may come at once after a pause, at least one frame
    uint64_t tokens;
    uint64_t filled_at; // time of the last filling, in nanoseconds
};

struct switch_counters {
    uint64_t frames_in, bytes_in;   // from the port, before any check
    uint64_t frames_out, bytes_out; // taken by the port
    uint64_t no_room;               // transmit said so
    uint64_t limited_in, limited_out;
    uint64_t malformed;     // too short, too long, in too many pieces
    uint64_t wrong_sender;  // a source address that is not the port's
    uint64_t not_for_us;    // from the wire, to an address that none of our ports has
    uint64_t no_such_place; // to the wire, and there is none
};

struct switch_port {
    const char *name;
    uint8_t address[FRAME_ADDRESS_BYTES]; // not used of the wire
    // Takes a frame. Copies what it wants, or keeps nothing, on return. False: no
    // room; the switch counts it.
    bool (*transmit)(struct switch_port *port, const struct frame_piece *pieces, unsigned count);
    // Instead of that, of a port that can keep pieces by their hold (frame.h) or
    // knows what to do with a checksum that is left out. NULL: transmit is used.
    bool (*transmit_frame)(struct switch_port *port, const struct frame *frame);
    struct switch_rate to, from; // the port
    struct switch_counters counters;
    void *context;
    struct switch_port *next;
};

struct network_switch {
    struct switch_port *wire;  // or NULL
    struct switch_port *ports; // a list of the node's own
    uint64_t now;              // nanoseconds; set by the owner before frames come, for the rates
};

// The caller keeps the port in place until it is removed.
void switch_add_port(struct network_switch *network, struct switch_port *port);
void switch_remove_port(struct network_switch *network, struct switch_port *port);
void switch_set_wire(struct network_switch *network, struct switch_port *wire);

// Fills the bucket. `burst` is raised to one frame of the largest size.
void switch_set_rate(struct switch_rate *rate, uint64_t bytes_per_second, uint64_t burst,
                     uint64_t now);

// A frame came from the port `from`.
void switch_receive(struct network_switch *network, struct switch_port *from,
                    const struct frame_piece *pieces, unsigned count);
// Likewise, with a hold or without its checksum.
void switch_receive_frame(struct network_switch *network, struct switch_port *from,
                          const struct frame *frame);
