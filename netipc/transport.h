// SPDX-License-Identifier: BSD-2-Clause
// What the protocol between nodes is carried by: a TCP connection ("link") for
// each peer, and beacons by UDP. Over lwIP; nothing of it shows here.
//
// One thread. All events come from transport_poll, never from inside another
// call, so an event may call anything here, transport_close of its own link
// included. Everything is bounded by the constants below.
//
// Addresses are IPv4 in host order: 10.67.0.K is 0x0a430000 | K.
#pragma once

#include "netipc/frame.h"

#define TRANSPORT_PORT             6730u // TCP: links; UDP: beacons
#define TRANSPORT_LINKS_MAX        1024u
#define TRANSPORT_SENDS_MAX        512u    // of a link, not yet acknowledged
#define TRANSPORT_WINDOW           262144u // bytes under way, each direction of each link
#define TRANSPORT_BEACON_BYTES_MAX 1024u
#define TRANSPORT_BROADCAST        0xffffffffu

// TRANSPORT_ERRORS(E): E(NAME, "text")
#define TRANSPORT_ERRORS(E)                                                                        \
    E(OK, "success")                                                                               \
    E(FULL, "no room until something is acknowledged")                                             \
    E(NO_MEMORY, "no memory")                                                                      \
    E(INVALID, "wrong argument")                                                                   \
    E(NOT_CONNECTED, "the link is not connected")                                                  \
    E(NO_ROUTE, "there is no way to that address")                                                 \
    E(REFUSED, "nobody listens there")                                                             \
    E(RESET, "the other side broke the connection off")                                            \
    E(ENDED, "the other side closed the connection")                                               \
    E(TIMED_OUT, "the other side does not answer")                                                 \
    E(LOCAL, "the connection was given up on this side")

#define TRANSPORT_ERROR_ENUM(name, text) TRANSPORT_##name,
enum transport_error { TRANSPORT_ERRORS(TRANSPORT_ERROR_ENUM) TRANSPORT_ERROR_COUNT };
#undef TRANSPORT_ERROR_ENUM

// One line, without a full stop.
const char *transport_error_text(enum transport_error error);

struct transport;
struct transport_link;

struct transport_events {
    // A peer has connected to us. Returns false to break it off at once; else it
    // is connected, and transport_set_context may be called.
    bool (*accepted)(void *context, struct transport_link *link);
    // transport_connect succeeded.
    void (*connected)(void *context, struct transport_link *link);
    // There are bytes to peek at that were not there before.
    void (*received)(void *context, struct transport_link *link);
    // The buffer of the oldest transport_send is the caller's again: all of it has
    // been acknowledged by the other side and left the card, or the link is
    // closing. Comes once for each transport_send, in order.
    void (*sent)(void *context, struct transport_link *link, void *cookie);
    // The link is no more, and its sends have come back by `sent`. What was received
    // may still be peeked at, until this returns; then the link is gone. Also comes when
    // transport_connect failed. Not after transport_close.
    void (*closed)(void *context, struct transport_link *link, enum transport_error reason);
    // A beacon came from that address. May be NULL.
    void (*beacon)(void *context, uint32_t address, const void *data, size_t bytes);
    // Whether TCP of that address is listened to; who is not gets no answer. NULL: all are.
    bool (*admits)(void *context, uint32_t address);
    void *context;
};

struct transport_settings {
    // A link on which bytes stay unacknowledged, or a connection is not answered,
    // for so long is closed with TIMED_OUT. Milliseconds; 0: 10,000.
    uint32_t patience_ms;
};

struct transport_counters {
    uint64_t connects, accepts, refused, resets, ended, timed_out;
    uint64_t links_full; // a peer or a caller, and TRANSPORT_LINKS_MAX links were there
    uint64_t sends, sends_full;
    uint64_t bytes_sent, bytes_received; // acknowledged; consumed or not
    uint64_t beacons_sent, beacons_received, beacons_malformed, beacons_lost;
    uint64_t no_memory;
    uint64_t strangers;        // segments of those who are not admitted
    uint64_t connects_refused; // of those who are, and begin too many connections
};

// The one transport of this task, on the interface opened before. NULL: no memory.
struct transport *transport_open(const struct transport_events *events,
                                 const struct transport_settings *settings);

// Begins to connect to a node. `connected` or `closed` follows. FULL, NO_MEMORY,
// NO_ROUTE.
enum transport_error transport_connect(struct transport *transport, uint32_t address,
                                       void *link_context, struct transport_link **link);

// Queues bytes. They stay the caller's property but must not change until `sent`
// comes with the cookie. Without a copy when they lie in memory of
// netipc/memory.h. Any length; the link takes TRANSPORT_WINDOW of them at a
// time. FULL: TRANSPORT_SENDS_MAX sends are not yet acknowledged. INVALID: no
// bytes. NOT_CONNECTED. Sends of one poll are put on the wire together by
// transport_flush, transport_flush_all or the end of the next poll.
enum transport_error transport_send(struct transport_link *link, const void *data, size_t bytes,
                                    void *cookie);
// How many more sends it takes, and the bytes that are not yet acknowledged.
unsigned transport_room(const struct transport_link *link);
uint64_t transport_unacknowledged(const struct transport_link *link);
// Puts on the wire what was queued by transport_send.
void transport_flush(struct transport_link *link);

// The first bytes that were received and not consumed: up to `max` pieces; returns
// how many. They stay in place until consumed. Which lets the other side send more:
// a link of which nothing is consumed stops at TRANSPORT_WINDOW bytes.
unsigned transport_peek(const struct transport_link *link, struct frame_piece *pieces,
                        unsigned max);
size_t transport_available(const struct transport_link *link);
// At most what is available.
void transport_consume(struct transport_link *link, size_t bytes);

// Closes. What was queued still goes out, for as long as the other side takes it,
// when `orderly`; else the connection is broken off. Its sends still come back by
// `sent`, the last of them perhaps many polls later; no other event comes, and the
// owner uses the link no more.
void transport_close(struct transport_link *link, bool orderly);

void transport_set_context(struct transport_link *link, void *link_context);
void *transport_context(const struct transport_link *link);
uint32_t transport_address(const struct transport_link *link); // of the other side

// One datagram to an address or TRANSPORT_BROADCAST. INVALID (length), NO_ROUTE,
// NO_MEMORY. Copied.
enum transport_error transport_beacon(struct transport *transport, uint32_t address,
                                      const void *data, size_t bytes);

// Delivers events. To be called after frames came in and when the time that it
// returned has come: nanoseconds of clock_now_ns, UINT64_MAX for never, 0 for at once.
uint64_t transport_poll(struct transport *transport);

// Puts on the wire what all links have queued: for the end of a batch.
void transport_flush_all(struct transport *transport);
// The card has room again, after it had none.
void transport_has_room(struct transport *transport);

const struct transport_counters *transport_counters(const struct transport *transport);
