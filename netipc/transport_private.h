// SPDX-License-Identifier: BSD-2-Clause
// Shared by the parts of the transport: what is known of a link and of all of them.
#pragma once

#include "netipc/interface.h"
#include "netipc/platform.h"
#include "netipc/transport.h"

#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/udp.h>

#define BEACONS_MAX 32u // received and not yet told

enum link_state {
    LINK_CONNECTING,
    LINK_ACCEPTED, // nobody has been told yet
    LINK_CONNECTED,
    LINK_LINGERING, // closed by the owner; what was queued still goes out
    LINK_OVER,      // the connection is no more; sends and the last events are to be told
};

// A transport_send that has not come back.
struct link_send {
    const uint8_t *data;
    size_t bytes;
    void *cookie;
};

struct transport_link {
    struct transport *transport;
    struct tcp_pcb *pcb; // NULL when the connection is no more
    enum link_state state;
    enum transport_error reason;      // of LINK_OVER
    bool connected_due, received_due; // events
    bool abandoned;                   // by the owner: no event but `sent`
    bool dead;                        // all has been told
    uint32_t address;
    void *context;
    // Received: a list through pbuf.next of single buffers, in order.
    struct pbuf *first, *last;
    size_t offset;    // consumed of the first
    size_t available; // bytes behind that
    size_t consumed;  // bytes of which TCP has not been told
    // Sent: a ring. Of the sends, `written` are wholly in TCP's hands, and of the next
    // one `offset_written` bytes; `done` have been acknowledged.
    struct link_send *sends;
    uint32_t send_first, send_count, send_written, send_done;
    size_t offset_written;
    uint64_t queued, acknowledged; // bytes ever
    uint64_t done_bytes;           // at the end of the send that is the next to be done
    uint64_t mark;                 // the first `send_marked` of the done wait until the card has
    uint32_t send_marked;          // sent all up to this
    uint64_t progress_at;          // when the other side last did what it owes, or owed nothing
    bool dirty, on_dirty;          // has something to be put on the wire
    bool on_pending;               // has something to be told
    struct transport_link *next_dirty, *next_pending;
    struct transport_link *next, **previous; // all
};

struct transport {
    struct transport_events events;
    uint64_t patience; // nanoseconds
    struct tcp_pcb *listener;
    struct udp_pcb *beacons;
    struct transport_link *links, *dirty, *pending;
    struct transport_link *waiting; // for the card; with next_pending and on_pending, too
    unsigned link_count;
    uint64_t next_scan;
    struct {
        struct pbuf *buffer;
        uint32_t address;
    } heard[BEACONS_MAX];
    unsigned heard_count;
    struct transport_counters counters;
};

// transport_link.c: links and what lwIP calls for them.
struct transport_link *link_create(struct transport *transport, uint32_t address);
void link_destroy(struct transport_link *link);
void link_adopt(struct transport_link *link, struct tcp_pcb *pcb);
// The connection is no more; the rest is told by the next poll.
void link_end(struct transport_link *link, enum transport_error reason);
// Breaks the connection off.
void link_abort(struct transport_link *link, enum transport_error reason);
void link_mark_pending(struct transport_link *link);
void link_mark_dirty(struct transport_link *link);
// Hands TCP what it has room for, and lets it send.
void link_output(struct transport_link *link);
// Marks the sends that are done, if none are marked.
void link_mark_done(struct transport_link *link);

// transport_admission.c
void admission_open(struct transport *transport);

// transport_beacon.c
bool beacons_open(struct transport *transport);
void beacons_tell(struct transport *transport);
