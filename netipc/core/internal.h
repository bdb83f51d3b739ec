// SPDX-License-Identifier: BSD-2-Clause
// What the files of the core share. core.h says what it does; in which file a
// thing lives:
//
//   core.c      life, ticks, peers       link.c      connections and their sessions
//   segment.c   building segments        outbound.c  which segment goes next
//   format.c    bytes of messages        inbound.c   segments into messages
//   export.c    ports of this node       import.c    ports of others
//   call.c      answers waited for       delivery.c  messages for ports of this node
//   rights.c    rights in messages       control.c   the small records between cores
#pragma once

#include "netipc/core/core.h"
#include "netipc/core/pool.h"
#include "netipc/core/table.h"

// --- Limits ---------------------------------------------------------------------------

#define PAYLOAD_MAX     16384u // of a segment: so much of a long message holds up a short one
#define MESSAGE_MAX     (CORE_COPY_MAX + 2048u)
#define WINDOW_MESSAGES 32u          // sent to one import and not yet accepted
#define WINDOW_BYTES    (256u << 10) // likewise; one more message may begin below that
#define SESSION_BYTES   (8u << 20)   // likewise of all imports of a peer together
#define MUTE_LINKS_MAX  32u          // connections of others over which there is no session yet
#define ACCEPT_MESSAGES 8u           // accepted ones are told of in such lots
#define ACCEPT_BYTES    (64u << 10)

// --- Segments -----------------------------------------------------------------------------

enum segment_kind { SEGMENT_REQUEST = 1, SEGMENT_ANSWER, SEGMENT_CONTROL };
#define SEGMENT_FIRST 1u // of a message; begins with the length of all of it (32 bits)
#define SEGMENT_LAST  2u
#define SEGMENT_HEAD  8u // kind, flags, 16 bits of zero, stream (32 bits)

// A segment that is being built, waits, or is on its way. Allocated by the
// operation of that name.
struct segment {
    struct segment *next;
    struct core_link *link; // once transmitted
    uint32_t allocated;     // bytes of all this
    uint32_t room;          // for the body
    uint32_t body;          // bytes of it, head included
    uint8_t bytes[];        // SECURE_HEADER_BYTES, body, SECURE_TAG_BYTES
};

struct segment_list {
    struct segment *first, *last;
};

// Segments that must go out in order. All of a peer take turns.
struct stream {
    struct stream *next; // of those that have segments, in a ring
    struct segment_list segments;
    bool queued;
    void (*drained)(struct stream *stream); // it has become empty, and may be freed; or NULL
};

struct segment *segment_allocate(struct core *core, uint32_t body_room);
void segment_free(struct core *core, struct segment *segment);
void segment_list_free(struct core *core, struct segment_list *list);

// Writes a message of a known length into new segments.
struct builder {
    struct segment_list segments;
    struct segment *at;
};
bool builder_begin(struct core *core, struct builder *builder, enum segment_kind kind,
                   uint32_t stream, size_t bytes);
void builder_put(struct builder *builder, const void *data, size_t bytes);
void builder_put8(struct builder *builder, uint8_t value);
void builder_put32(struct builder *builder, uint32_t value);
void builder_put64(struct builder *builder, uint64_t value);

// Reads bytes; beyond the end it reads zeroes and is bad.
struct reader {
    const uint8_t *at, *end;
    bool bad;
};
const void *reader_get(struct reader *reader, size_t bytes); // NULL when bad
uint8_t reader_get8(struct reader *reader);
uint32_t reader_get32(struct reader *reader);
uint64_t reader_get64(struct reader *reader);

// --- Bytes of messages ----------------------------------------------------------------------

// A right in a message.
struct wire_right {
    uint8_t kind;         // enum core_right_kind
    uint32_t number;      // of the export, or the sender's call
    uint32_t generation;  // of that
    uint32_t home;        // CORE_SEND: the export's node; 16 bits
    uint64_t incarnation; // of that node
    uint32_t serial;      // of the sender's import, to be named by UNPIN; 0: it has none
};
#define WIRE_RIGHT_BYTES 24u

// What is before words, rights and items.
struct wire_head {
    uint32_t generation; // of the export; of the call
    uint32_t serial;     // REQUEST: of the import it was sent to
    uint32_t call;       // REQUEST: number of the call + 1, 0: none
    uint32_t call_generation;
    uint32_t accepted; // ANSWER: messages accepted of the call's import
    uint32_t id;
    uint8_t words, rights, items;
    uint8_t flags; // REQUEST: WIRE_ACCEPT_NOW
    uint8_t error; // ANSWER
    uint32_t room[MESSAGE_ITEMS];
};
#define WIRE_ACCEPT_NOW 1u

struct wire_message {
    struct wire_head head;
    struct wire_right rights[MESSAGE_RIGHTS];
    uint64_t words[MESSAGE_WORDS];
    struct core_bytes items[MESSAGE_ITEMS]; // into the bytes that were read
};

size_t wire_bytes(enum segment_kind kind, const struct wire_head *head,
                  const struct core_bytes *items);
void wire_write(struct builder *builder, enum segment_kind kind, const struct wire_head *head,
                const uint64_t *words, const struct wire_right *rights,
                const struct core_bytes *items);
// False: impossible contents.
bool wire_read(enum segment_kind kind, const void *bytes, size_t count,
               struct wire_message *message);

enum control_kind {
    CONTROL_PING =
        1,           // "I am here": number is my clock, generation the newest of yours that I heard
    CONTROL_RELEASE, // importer → home: value credits come back
    CONTROL_DIED,    // home → importer: the port is no more; credits are given back all the same
    CONTROL_FORGET,  // home → importer: and all of them are back
    CONTROL_ACCEPTED, // home → importer: value messages have been accepted
    CONTROL_CLAIM,    // importer → home: a third node gave me this port
    CONTROL_GRANT,    // home → importer: value credits, on a claim
    CONTROL_UNPIN,    // importer → the third node: I have it from its home; home → importer:
                      // a right of mine that you sent has come
    CONTROL_KINDS
};

struct control {
    uint8_t kind;
    uint32_t number, generation, value;
    uint32_t home;   // UNPIN: whose port
    uint32_t serial; // ACCEPTED, UNPIN: of the import of whoever this goes to
};
#define CONTROL_BYTES 24u

void control_write(uint8_t bytes[CONTROL_BYTES], const struct control *control);
bool control_read(const uint8_t bytes[CONTROL_BYTES], struct control *control);

// --- Connections ----------------------------------------------------------------------------

struct core_link {
    struct core *core;
    struct core_link *next, **self;
    void *owner;
    struct peer *peer; // once its session is adopted
    struct secure_session session;
    bool initiator, closed;
    uint32_t expected;  // node, of the initiator
    uint32_t in_flight; // segments that core_sent will give back
    uint64_t opened_ns, heard_ns;
    bool processing;   // on the stack: not to be freed now
    uint8_t *incoming; // bytes as they come: a hello or a segment
    uint32_t incoming_bytes;
    struct segment *sealed; // found no room yet
};

// Transmits what was sealed before. False: no room now.
bool link_transmit(struct core_link *link);
// Seals a segment; nothing else is sealed and untransmitted.
void link_seal(struct core_link *link, struct segment *segment);
// Ends the link, and the session over it.
void link_finish(struct core_link *link, const char *why);
void links_destroy(struct core *core);

// --- Peers ------------------------------------------------------------------------------------

struct inbound;

struct peer {
    struct core *core;
    uint32_t node;
    uint64_t incarnation;
    uint32_t sessions;
    bool suspect, touched;
    uint64_t pinged_ns;    // the last PING to it
    uint64_t reached_ns;   // so new is what it says it has heard of this node; or its begin
    uint32_t heard_number; // of its newest PING, 0: none
    const char *lost;      // why the session ends as soon as it may; or NULL
    struct peer *touched_next;
    struct peer *live_next, **live_self; // of those with a session
    struct core_link *link;              // NULL: no session
    struct stream *turn;          // the last of the ring of streams that have something to send
    struct stream answers;        // short answers
    struct segment_list controls; // go before all else; the last is being filled
    uint64_t unaccepted_bytes;
    struct table imports;  // by number
    struct table inbounds; // by export number
    struct table held;     // holdings, by export number
    struct table dead;     // ports of it that have died, and rights may still be on their way
    struct core_import *import_list;
    struct call *calls;          // that this peer is to answer
    struct core_slot *slots;     // whose calls are the peer's
    struct delivery *deliveries; // not yet given back
    struct holding *holdings;    // exports that the peer holds
    struct pin *pins;            // of imports that were given on to it
    uint64_t import_count, call_count, holding_count;
};

struct peer *core_peer(const struct core *core, uint32_t node); // live, or NULL
// Makes a new session the peer's, and ends the one before.
void peer_begin(struct core_link *link, const struct secure_node *said);
void peer_end(struct peer *peer, const char *why);
// Ends the session at the end of the current call from outside: not now, where lists of
// the session may be under way.
void peer_lose(struct peer *peer, const char *why);
void peer_control(struct peer *peer, const struct control *control);
// Its clock, and what it has heard of this node's.
void peer_ping_received(struct peer *peer, uint32_t number, uint32_t heard);
void peer_stream(struct peer *peer, struct stream *stream, struct segment_list *segments);
void peer_pump(struct peer *peer);
void peer_drop_output(struct peer *peer);
// A whole segment has come.
void peer_received(struct peer *peer, const uint8_t *body, size_t bytes);
void control_received(struct peer *peer, const struct control *control);
// The peer did what no peer may do.
void peer_protocol_error(struct peer *peer, const char *what);
// There is no memory for what it sent: likewise.
void peer_no_memory(struct peer *peer);

// --- Ports of this node -------------------------------------------------------------------------

// What one peer holds of one export.
struct holding {
    struct holding *next, **self;           // of the export
    struct holding *peer_next, **peer_self; // of the peer
    struct table_link by_number;            // likewise
    struct export *export;
    struct peer *peer;
    uint64_t credits;
};

struct export
{
    struct table_link by_port;
    bool used, well_known;
    uint32_t number, generation;
    uint64_t handle;
    uint32_t deliveries; // that need the handle
    bool dead;
    struct holding *holdings;
    struct export *next_free;
};

// NULL: there is no such one, or it is dead; export_known finds dead ones, too.
struct export *export_find(struct core *core, uint32_t number, uint32_t generation);
struct export *export_known(struct core *core, uint32_t number, uint32_t generation);
// The export of a port, made when there is none; takes the handle. NULL: no memory.
struct export *export_of(struct core *core, uint64_t port, uint64_t handle);
bool export_grant(struct export *export, struct peer *peer, uint32_t credits);
void export_release(struct export *export, struct peer *peer, uint64_t credits);
// Tells a peer that the port is dead, or never was.
void export_tell_died(struct peer *peer, uint32_t number, uint32_t generation);
void export_forget_peer(struct peer *peer);
// Frees it when nothing needs it.
void export_settle(struct core *core, struct export *export);
// A delivery needs its right, and no longer does.
void export_needed(struct export *export);
void export_not_needed(struct core *core, struct export *export);

// --- Ports of other nodes ------------------------------------------------------------------------

// A peer that is to be told when a claim was granted. Only in the session in which its right
// came: with that, its pin has gone, and what it has pinned since is another right's.
struct unpin {
    struct unpin *next;
    uint32_t node, session; // peer->sessions then
    uint32_t serial;        // of its import
};

struct core_import {
    struct table_link by_number; // in the home's table; key: number
    struct table_link by_port;
    struct core_import *next, **self;
    struct peer *home; // NULL: dead
    void *owner;
    uint64_t port;
    uint32_t number, generation;
    uint32_t serial; // no two imports of a core have the same: what was accepted of one that was
                     // given back must not be taken for what was sent to the next, nor what was
                     // unpinned
    uint64_t credits;
    uint32_t calls;   // made on it and not yet answered
    struct pin *pins; // those who were given it and do not have it from its home yet
    bool claiming, unused, well_known, paused;
    struct unpin *unpins;
    struct stream stream;
    uint32_t window_first, window_count; // ring of the sizes of messages not yet accepted
    uint32_t window[WINDOW_MESSAGES];
    uint64_t window_bytes;
};

struct core_import *import_find(struct peer *home, uint32_t number, uint32_t generation);
struct core_import *import_make(struct peer *home, uint32_t number, uint32_t generation);
void import_accepted(struct core_import *import, uint32_t messages);
// Gives it back to its home, or frees it, when nothing needs it any more.
void import_settle(struct core_import *import);
// Takes the unpin.
void import_claim(struct core_import *import, struct unpin *unpin);
void import_granted(struct core_import *import, uint32_t credits);
// The home tells that the port has died, and that no right to it is on its way any more.
void import_died(struct peer *home, uint32_t number, uint32_t generation);
void import_forget_dead(struct peer *home, uint32_t number, uint32_t generation);
bool import_is_dead(const struct peer *home, uint32_t number, uint32_t generation);
void import_forget_peer(struct peer *peer);

// A note that rights to an import of ours are on their way to a peer: to a third node,
// that has not claimed it yet, or to its home. The import's credits are not given back
// before these have come, since what gives them back could overtake them.
struct pin {
    struct pin *next, **self;           // of the import
    struct pin *peer_next, **peer_self; // of the peer
    struct core_import *import;
    struct peer *to;
    uint64_t count; // of rights
};
bool pin_add(struct core_import *import, struct peer *to);
// One of the rights has come that left as the import of that serial: not as one that is here
// instead, after another session with the port's home.
void pin_remove(struct peer *to, uint32_t home, uint32_t number, uint32_t generation,
                uint32_t serial);
void pin_forget_peer(struct peer *peer);

// --- Calls ---------------------------------------------------------------------------------------

// Bytes of a message of which not all have come.
struct partial {
    uint8_t *bytes;
    uint32_t total, have;
};
// Adds a segment's payload. False: it was misplaced, or there is no memory, and the
// session has ended.
bool partial_add(struct peer *peer, struct partial *partial, uint8_t flags, struct reader *reader);

struct call {
    struct call *next, **self; // of the peer
    struct peer *peer;
    struct core_import *import; // it was sent to; NULL: a send-once right
    uint64_t handle;
    uint32_t number, generation;
    struct partial partial;
    struct call *next_free;
    bool used;
};

struct call *call_make(struct peer *peer, uint64_t handle, struct core_import *import);
struct call *call_find(struct core *core, uint32_t number, uint32_t generation);
// Takes the call off, and gives its handle.
uint64_t call_end(struct call *call);
void call_forget_peer(struct peer *peer);
void call_answered(struct peer *peer, uint32_t number, uint8_t flags, struct reader *reader);

struct core_slot {
    struct core_slot *next, **self;
    struct peer *peer;
    void *owner;
    uint32_t call, call_generation; // the peer's
};

struct core_slot *slot_make(struct peer *peer, uint32_t call, uint32_t generation);
void slot_forget_peer(struct peer *peer);
// Sends an answer, or an error, for a peer's call.
corvus_error_t answer_send(struct peer *peer, uint32_t call, uint32_t call_generation,
                           uint32_t accepted, const struct core_message *message,
                           corvus_error_t error);

// --- Deliveries ----------------------------------------------------------------------------------

// Messages of one peer to one export, in order.
struct inbound {
    struct table_link by_number;
    struct peer *peer;
    uint32_t number, generation, serial; // of what was accepted last
    bool orphan; // the peer holds the export no more: not needed once it is empty
    struct partial partial;
    struct delivery *first, *last;     // complete, not yet delivered
    bool busy;                         // one is being delivered
    uint32_t accepted, accepted_bytes; // not yet told
};

struct delivery {
    struct core_delivery public;
    struct delivery *queue_next;
    struct delivery *next, **self; // of the peer
    struct peer *peer;             // NULL: its session has ended
    struct inbound *inbound;       // until it is delivered, or the session ends
    struct export *export;
    bool queued;                 // in the inbound's queue
    bool given;                  // to the owner
    uint32_t number, generation; // of the export
    uint32_t serial;             // of the import
    uint32_t call, call_generation;
    uint32_t bytes;
    bool tell_now;
    struct wire_right rights[MESSAGE_RIGHTS];
    void *memory; // what the items point to, or NULL
};

void delivery_received(struct peer *peer, uint32_t number, uint8_t flags, struct reader *reader);
void delivery_forget_peer(struct peer *peer);
void inbound_forget_export(struct peer *peer, uint32_t number);

// --- Rights in messages --------------------------------------------------------------------------

// Turns rights that leave for a peer into bytes; takes them all. False: no memory, and
// no peer has gained anything.
bool rights_leave(struct peer *peer, const struct core_message *message,
                  struct wire_right rights[MESSAGE_RIGHTS]);
void rights_drop(struct core *core, const struct core_message *message);
// And those that have come from a peer into what their receiver is given at once.
void rights_arrive(struct peer *peer, const struct wire_right *rights, unsigned count,
                   struct core_arrival *arrivals);
// Rights that nobody will be given.
void rights_discard(struct peer *peer, const struct wire_right *rights, unsigned count);

// --- The core ------------------------------------------------------------------------------------

struct core {
    const struct core_operations *operations;
    void *context;
    struct core_settings settings;
    struct core_counters counters;
    uint64_t now_ns;
    struct peer *peers[CORE_NODES_MAX];
    struct peer *live_peers;
    uint32_t live; // of them
    uint32_t serials;
    struct core_link *links;
    uint32_t connecting[CORE_NODES_MAX]; // open links that this node began
    struct export **exports;             // by number, in pages
    uint32_t export_count;
    struct export *free_export;
    struct table exports_by_port, imports_by_port;
    struct call **calls;
    uint32_t call_count;
    struct call *free_call;
    struct peer *touched;
    struct pool pool; // of messages that come
};

// What peers have to send goes out, at the end of each call from outside.
void core_touch(struct peer *peer);
void core_flush(struct core *core);

#define OPERATION(core, name, ...) (core)->operations->name((core)->context, ##__VA_ARGS__)
