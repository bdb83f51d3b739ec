// SPDX-License-Identifier: BSD-2-Clause
// The DSM server of a node: one thread and one event loop, in which nothing blocks. What the files
// of the server share.
#pragma once

#include "dsm/core/directory.h"

#include "lib/message.h"
#include "lib/port.h"

// --- This node -----------------------------------------------------------------------------------

struct dsm_node {
    unsigned number; // 1..254
    unsigned nodes;  // configured size of the cluster, number..254
    uint64_t life;   // nanoseconds since 1970 when this server was started: later lives are larger
    unsigned lend;   // MiB of this node for pages of all nodes, beyond what a server has anyhow
};

extern struct dsm_node this_node;

// Nanoseconds since 1970.
uint64_t real_time_ns(void);

// Whether so many nodes, this one included, are the majority; of half of them, those with node 1
// are.
bool is_majority(const struct directory_nodes *members);

// --- The loop (loop.c) ---------------------------------------------------------------------------

// A port of this server. Its address is the port's label.
struct source {
    // A message, event or notice came. Rights and items are in the message page until the next
    // call; the right to answer is in the thread's slot: to be saved or used before this returns.
    void (*message)(struct source *source, struct message *message);
    struct source *next;
    port_name_t receive;
};

corvus_error_t source_open(struct source *source);
void source_close(struct source *source);

// Called after each message, and when its time has come; returns when it wants to be called at the
// latest.
struct step {
    uint64_t (*step)(uint64_t now_ns);
    struct step *next;
};
void loop_add_step(struct step *step);

// The largest COPY item that is taken: LOOP_BUFFER_SMALL until loop_open_large_buffer was called.
#define LOOP_BUFFER_SMALL (DIRECTORY_MESSAGE_MAX + 4096u)
corvus_error_t loop_open(void);
corvus_error_t loop_open_large_buffer(void);
port_name_t loop_set(void);
// Runs until receiving fails for good; returns why.
corvus_error_t loop_run(void);

// --- Other nodes (peers.c) -----------------------------------------------------------------------

// What a message between servers is for.
enum peer_subject { PEER_HELLO, PEER_DIRECTORY, PEER_PAGES, PEER_LOCKS, PEER_SUBJECTS };

corvus_error_t peers_start(void);
// What is sent to a node that is not there is dropped. The bytes are the caller's.
void peer_send(unsigned node, enum peer_subject subject, const void *bytes, size_t count);
uint64_t peers_refused(void);

// --- Subjects
// ----------------------------------------------------------------------------------------- Each is
// told of nodes that come and go, of what they say, and of the view of the directory.

struct subject {
    void (*node_up)(unsigned node);
    void (*node_down)(unsigned node);
    // False: it was not valid.
    bool (*received)(unsigned node, const void *bytes, size_t count);
};

extern const struct subject directory_subject, pages_subject, locks_subject;

// --- The directory and its services (names.c, calls.h) -------------------------------------------

extern struct directory *directory;

corvus_error_t names_start(void);
// The port `dsm`, for tasks of this node: a send right, made anew.
corvus_error_t names_right(port_name_t *right);
// Who takes part, once the beginning is over.
void names_view(const struct directory_nodes *members);
// No right to the segment's object is left on this node, or no use. False: not asked; else
// pages_told follows, perhaps before this returns.
bool names_closed(uint64_t segment);
// There are some, though the directory says that this node has it not open. Likewise.
bool names_hold(uint64_t segment);

// --- Memory objects (pages.c) --------------------------------------------------------------------

corvus_error_t pages_start(void);
// The segments of the directory may have changed.
void pages_follow_directory(void);
// The segment's object: its receive right, from which send rights are made. `pages_opened` is to be
// called when one has been.
corvus_error_t pages_object(uint64_t segment, port_name_t *receive);
void pages_opened(uint64_t segment);
// It has no name, and nobody on this node may use it any more.
bool pages_is_idle(uint64_t segment);
// The directory has been told, or could not be. 0: nothing could, there is no majority any more.
void pages_told(uint64_t segment);
// Of a segment that is about to go: its counters stay in the sums.
void pages_keep_counters(uint64_t segment);
// Counters in the order of segments.h. False: there is no such segment.
bool pages_counters(uint64_t segment, uint64_t *values, size_t *count);
// Trace records from a sequence number on; *first is the number of the first one returned.
size_t pages_trace(uint64_t sequence, struct segment_trace_record *records, size_t room,
                   uint64_t *first);

// --- For tests (stop.c) --------------------------------------------------------------------------

// This node was booted for tests.
void stop_allow(void);
// Stops at the next record of this kind (enum wire_kind; 0: never). False: not to be had.
bool stop_set(uint64_t kind, bool sending);
// What has arrived, or is to be sent.
void stop_here(const void *bytes, size_t count, bool sending);

// --- Locks (locks.c) -----------------------------------------------------------------------------

corvus_error_t locks_start(void);
// A new owner of locks: the receive right of its port.
corvus_error_t locks_owner(port_name_t *receive);
// A right to it has been given away.
void locks_owner_given(port_name_t receive);
