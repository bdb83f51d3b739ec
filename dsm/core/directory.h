// SPDX-License-Identifier: BSD-2-Clause
// The directory of segments, without I/O: one replica of it, on one node.
//
// Changes are put into one order and are made by all replicas in that order (directory_order.c).
// The member of the lowest number orders them, one at a time: each member has accepted a change
// before any makes it, so a replica that has none accepted and not made knows of all that were ever
// answered. When that member changes, or one comes, the next one asks all for what they have, and
// goes on from the longest history; numbers of epochs keep earlier ones out. A minority does
// nothing.
//
// Not thread-safe. No function blocks; callbacks must not call back into the directory but for
// directory_find, directory_segment and directory_settled.
#pragma once

#include <corvus/error.h>
#include <corvus/segments.h>

#include <stdbool.h>

#define DIRECTORY_NODES_MAX 254u
// Bytes of a replica as it travels (DIRECTORY_MESSAGE_MAX with its envelope), and so the bound of
// how much there can be.
#define DIRECTORY_IMAGE_MAX   60000u
#define DIRECTORY_MESSAGE_MAX 65536u

// A set of nodes: bit n - 1 is node n.
struct directory_nodes {
    uint64_t bits[4];
};

static inline bool directory_has_node(const struct directory_nodes *nodes, unsigned node)
{
    return nodes->bits[(node - 1) / 64] >> (node - 1) % 64 & 1;
}

static inline void directory_add_node(struct directory_nodes *nodes, unsigned node)
{
    nodes->bits[(node - 1) / 64] |= 1ull << (node - 1) % 64;
}

static inline void directory_remove_node(struct directory_nodes *nodes, unsigned node)
{
    nodes->bits[(node - 1) / 64] &= ~(1ull << (node - 1) % 64);
}

struct directory_segment {
    struct directory_segment *next;
    uint64_t number;
    uint64_t size;                  // bytes
    uint64_t modified, changed;     // nanoseconds since 1970
    uint64_t version;               // counts changes of this structure
    uint64_t generation;            // counts the times that it became shorter
    struct directory_nodes holders; // that have it open
    uint32_t mode, uid, gid;
    uint32_t links;
};

struct directory_name {
    struct directory_name *next; // in the order of cookies
    struct directory_segment *segment;
    uint64_t cookie;
    uint32_t bytes;
    char text[]; // without a zero byte
};

enum directory_kind {
    DIRECTORY_CREATE = 1, // name, mode, uid, gid, time
    DIRECTORY_LINK,       // segment, name, time
    DIRECTORY_UNLINK,     // name, time
    DIRECTORY_RENAME,     // name, other, flags, time
    DIRECTORY_SET,        // segment, which, …
    DIRECTORY_HOLD,       // segment, node: has it open
    DIRECTORY_DROP,       // segment, node: no more
    DIRECTORY_GONE,       // node: has none open any more; ordered by the coordinator itself
    DIRECTORY_KINDS,
};

// A change, as it is asked for and as it travels. Names follow behind it there.
struct directory_change {
    uint64_t segment, size, modified;
    uint64_t time; // when it was asked for, nanoseconds since 1970
    uint32_t mode, uid, gid;
    uint8_t kind;  // enum directory_kind
    uint8_t flags; // SEGMENT_NO_REPLACE, SEGMENT_EXCHANGE
    uint8_t which; // SEGMENT_SET_*
    uint8_t node;
    uint8_t name_bytes, other_bytes;
    uint8_t padding[6];
    char name[SEGMENT_NAME_MAX], other[SEGMENT_NAME_MAX];
};

struct directory_output {
    // To the replica of another member; the bytes are the caller's. What cannot be sent is dropped:
    // that member is about to leave.
    void (*send)(void *context, unsigned node, const void *bytes, size_t count);
    // The change that was asked for with this token has been made, or not. `segment` is its number.
    void (*done)(void *context, void *token, corvus_error_t error, uint64_t segment);
    // A segment was changed, or is gone; 0: all may have been.
    void (*changed)(void *context, uint64_t segment);
    // directory_settled has become true.
    void (*settled)(void *context);
};

struct directory;

// `node` is this one's number. `first` is a number that is higher at each start of the node's
// server (its time). NULL: no memory.
struct directory *directory_create(unsigned node, uint64_t first,
                                   const struct directory_output *output, void *context);
void directory_destroy(struct directory *directory);

// Who takes part now, this node among them, and whether that is a majority. Without one all changes
// that wait end with PEER_DIED. Channels to members deliver in order, once, or the member leaves.
void directory_view(struct directory *directory, const struct directory_nodes *members,
                    bool majority);

// A message of another member. False: it is not valid, and was ignored.
bool directory_receive(struct directory *directory, unsigned from, const void *bytes, size_t count);

// To be called some times a second: asks again where an answer is overdue.
void directory_tick(struct directory *directory);

// Asks for a change; `done` is called once, perhaps before this returns. An error that can be seen
// at once, or NO_MEMORY, is returned in its place.
corvus_error_t directory_ask(struct directory *directory, const struct directory_change *change,
                             void *token);

// --- What this replica has ----------------------------------------------------------------------

// Whether it has all changes that were answered anywhere. False: wait for `settled`.
bool directory_settled(const struct directory *directory);
// Whether there is a majority to ask.
bool directory_serves(const struct directory *directory);

// NULL: there is none.
const struct directory_name *directory_find(const struct directory *directory, const char *name,
                                            size_t bytes);
const struct directory_segment *directory_segment(const struct directory *directory,
                                                  uint64_t number);
// All segments, by `next`, in no order.
const struct directory_segment *directory_first_segment(const struct directory *directory);
// The name behind the cookie; 0: the first one.
const struct directory_name *directory_next(const struct directory *directory, uint64_t cookie);

struct directory_status {
    unsigned coordinator; // 0: not known
    uint64_t epoch, sequence;
    struct directory_nodes members;
    bool majority;
};
void directory_status(const struct directory *directory, struct directory_status *status);
