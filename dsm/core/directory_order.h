// SPDX-License-Identifier: BSD-2-Clause
// What the files share that put the directory's changes in order: a replica and its messages
// (directory_order.c), becoming the coordinator (directory_lead.c), the interface (directory.c).
#pragma once

#include "dsm/core/directory_internal.h"

#define EPOCH_STEP 256ull // an epoch's low byte is its coordinator

enum message_type {
    MESSAGE_PROPOSE = 1,
    MESSAGE_PREPARE,
    MESSAGE_PROMISE,
    MESSAGE_REFUSE,
    MESSAGE_SYNC,
    MESSAGE_ACCEPT,
    MESSAGE_ACCEPTED,
    MESSAGE_COMMIT,
};

struct envelope {
    uint32_t type;
    uint32_t origin; // whose request it is; 0: the coordinator's own
    uint64_t epoch;
    uint64_t sequence; // of the change that is meant, or of the contents
    uint64_t request;
};

// A change that is asked for: by a program of this node, or by another node.
struct proposal {
    struct proposal *next;
    void *token;
    uint64_t request;
    unsigned origin;
    struct directory_change change;
};

// A change that was accepted, and will be number `sequence` of the history if it is any.
struct accepted {
    bool there;
    unsigned origin;
    uint64_t epoch, sequence, request;
    struct directory_change change;
};

struct directory {
    const struct directory_output *output;
    void *context;
    unsigned node;
    struct directory_contents contents;
    struct directory_nodes members;
    bool majority;
    uint64_t epoch;       // no earlier one is heard
    unsigned coordinator; // whose epoch it is, when that one has synchronised us; else 0
    struct accepted accepted;
    enum { FOLLOWING, ASKING, LEADING } role;
    struct directory_nodes awaited; // whose PROMISE or ACCEPTED has not come
    struct directory_contents best; // ASKING: the longest history told
    bool has_best;
    struct accepted candidate;  // ASKING: of the highest epoch
    struct proposal *proposals; // LEADING: what is to be ordered
    unsigned proposal_count;
    struct proposal *asks; // this node's, the oldest first; only that one has been proposed
    uint64_t next_request;
    unsigned ticks;
    uint8_t message[DIRECTORY_MESSAGE_MAX]; // being made: an image
};

bool nodes_are_none(const struct directory_nodes *nodes);
unsigned nodes_lowest(const struct directory_nodes *nodes); // 0: there is none

// --- directory_order.c ----------------------------------------------------------------------

void order_send(struct directory *directory, unsigned to, const struct envelope *envelope,
                const void *bytes, size_t count);
void order_send_to_members(struct directory *directory, const struct envelope *envelope,
                           const void *bytes, size_t count);
// Without anything behind the envelope.
void order_send_plain(struct directory *directory, unsigned to, enum message_type type);
// Envelope, in a PROMISE what was accepted, and the contents.
void order_send_image(struct directory *directory, unsigned to, enum message_type type);
void order_free_proposals(struct directory *directory);
// Asks the coordinator for the oldest change that this node wants, if there are both.
void order_propose(struct directory *directory);
// All changes that this node wants end with PEER_DIED.
void order_fail_asks(struct directory *directory);
// The contents, or who is heard, have changed: answers what can be answered now.
void order_settle(struct directory *directory);
void order_await_members(struct directory *directory);
// Has all members accept a change.
void order_change(struct directory *directory, unsigned origin, uint64_t request,
                  const struct directory_change *change);
// The next change, if this node orders them and none is on its way.
void order_next(struct directory *directory);

// --- directory_lead.c -----------------------------------------------------------------------

// Follows whoever synchronises this node.
void lead_end(struct directory *directory);
// Has all members promise.
void lead_ask(struct directory *directory);
// Asks those again who have not promised yet: who did not know this node did not hear it.
void lead_ask_again(struct directory *directory);
// All have.
void lead_begin(struct directory *directory);
void lead_prepare_heard(struct directory *directory, unsigned from,
                        const struct envelope *envelope);
// Both: false if it is not valid.
bool lead_promise_heard(struct directory *directory, unsigned from, const struct envelope *envelope,
                        const uint8_t *bytes, size_t count);
bool lead_sync_heard(struct directory *directory, unsigned from, const struct envelope *envelope,
                     const uint8_t *bytes, size_t count);
