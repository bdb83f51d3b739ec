// SPDX-License-Identifier: BSD-2-Clause
// What the files of the locks share: a node's own part (locks.c, locks_token.c, locks_counted.c,
// locks_receive.c) and the home's (locks_home.c).
#pragma once

#include "dsm/core/locks.h"

#define LOCK_BUCKETS 256u
#define LOCK_NODES   254u

enum lock_kind { KIND_LOCK, KIND_SEMAPHORE, KIND_BARRIER, LOCK_KINDS };

enum lock_message_type {
    LOCK_ROUND = 1, // home: a round begins
    LOCK_STATE,     // what a node has of one item; LOCK_READY: that was all
    LOCK_READY,
    LOCK_REQUEST,  // a token is wanted
    LOCK_RECALL,   // pass it on to `node`
    LOCK_TOKEN,    // here it is
    LOCK_PROBE,    // is it free? asked for `node`
    LOCK_PROBED,   // `value`: it is
    LOCK_WAIT,     // at a semaphore
    LOCK_POST,     // `value` more
    LOCK_GRANTED,  // one of it
    LOCK_ARRIVE,   // at a barrier
    LOCK_RELEASED, // it is passed
    LOCK_REFUSED,  // `value` is the error
    LOCK_TYPES,
};

// Flags.
#define LOCK_FLAG_TOKEN    1u // STATE: has the token
#define LOCK_FLAG_DIED     2u // TOKEN: its owner died
#define LOCK_FLAG_TRY      4u // WAIT: do not
#define LOCK_FLAG_AGAIN    8u // ARRIVE: was sent in an earlier round, too
#define LOCK_FLAG_LAST     16u
#define GENERATION_UNKNOWN UINT32_MAX
// What one message can change a semaphore by, so that sums do not overflow.
#define SEMAPHORE_ADDED_MAX (1ll << 40)

struct lock_message {
    uint8_t type, kind, flags, node;
    uint8_t operation, value_count;
    uint16_t count;
    uint32_t generation; // of a barrier: how often it was passed
    uint32_t padding;
    uint64_t round, group, number;
    uint64_t id;                        // of a request, at its node
    uint64_t value;                     // a semaphore's initial value, or as above
    int64_t added;                      // STATE of a semaphore
    uint64_t values[REDUCE_VALUES_MAX]; // as many as value_count
};

// A request of this node that has not been answered.
struct waiter {
    struct waiter *next;
    void *token;
    uint64_t owner, id;
    bool try, sent;
    struct lock_message arrival; // barriers: what is sent; semaphores: its initial value
};

// At the home: somebody of a node who waits.
struct visitor {
    struct visitor *next;
    unsigned node;
    uint64_t id;
};

struct lock_item {
    struct lock_item *next;
    enum lock_kind kind;
    uint64_t group, number;
    struct waiter *waiters;
    // A lock, on this node.
    bool token, held, died, asked;
    unsigned pass_to; // node that gets the token next; 0: none
    uint64_t owner;
    // A semaphore.
    int64_t added; // by this node, less what it took
    uint64_t initial;
    // A barrier.
    uint32_t generation;
    uint8_t result_count;
    uint64_t *results; // REDUCE_VALUES_MAX; NULL: never passed
    // At the home.
    bool known, mark;
    unsigned tail; // node at the end of the chain; 0: nobody has the token
    int64_t value;
    struct visitor *visitors;
    unsigned arrived;
    struct lock_message first; // of those that have arrived: count, operation, values so far
};

struct deferred {
    struct deferred *next;
    unsigned from;
    struct lock_message message;
};

struct locks {
    const struct locks_output *output;
    void *context;
    unsigned node, home; // home 0: none
    uint64_t round, next_id;
    unsigned item_count, waiter_count;
    struct lock_item *items[LOCK_BUCKETS];
    struct lock_counters counters;
    // At the home.
    bool settling, lost;
    uint64_t awaited[4]; // members that are not ready
    struct deferred *deferred, **last_deferred;
};

// --- locks.c ----------------------------------------------------------------------------------

// NULL: there is none.
struct lock_item *lock_find(struct locks *locks, enum lock_kind kind, uint64_t group,
                            uint64_t number);
// NULL: no memory. Made if there is none.
struct lock_item *lock_item(struct locks *locks, enum lock_kind kind, uint64_t group,
                            uint64_t number);
// Also to this node itself, at once.
void lock_tell(struct locks *locks, unsigned node, struct lock_message *message);
struct lock_message lock_about(const struct lock_item *item, enum lock_message_type type);

// Whether a message of that type is for the home.
bool lock_for_home(unsigned type);
size_t lock_message_bytes(const struct lock_message *message);
// Answers a request that was not kept with an error.
void lock_refuse(struct locks *locks, void *token, corvus_error_t error);

// The last who waits. NULL: no memory, or too many.
struct waiter *waiter_add(struct locks *locks, struct lock_item *item, uint64_t owner, void *token);
// Where it is linked. NULL: it is gone.
struct waiter **waiter_find(struct lock_item *item, uint64_t id);
// Takes it out and answers it. False: who asked has gone.
bool waiter_end(struct locks *locks, struct waiter **place, corvus_error_t error,
                const uint64_t *words, size_t count);
// The home has begun a round: tells it everything.
void round_begin(struct locks *locks, unsigned home, uint64_t round);

// --- locks_receive.c --------------------------------------------------------------------------

// A valid message of this round, of another node or this one.
void lock_hear(struct locks *locks, unsigned from, const struct lock_message *message);

// --- locks_token.c ----------------------------------------------------------------------------

// Asks the home for the token, if somebody here waits for it.
void token_ask(struct locks *locks, struct lock_item *item);
// Asks the home whether the lock is free, for waiter `id`.
void token_probe(struct locks *locks, const struct lock_item *item, uint64_t id);
// The one who held it does so no more.
void token_free(struct locks *locks, struct lock_item *item);
void token_recall(struct locks *locks, const struct lock_message *message, struct lock_item *item);
void token_came(struct locks *locks, const struct lock_message *message, struct lock_item *item);
void token_probe_heard(struct locks *locks, const struct lock_message *message,
                       const struct lock_item *item);
void token_probed(struct locks *locks, const struct lock_message *message, struct lock_item *item);

// --- locks_counted.c --------------------------------------------------------------------------

void semaphore_wait(struct locks *locks, const struct lock_item *item, struct waiter *waiter);
void semaphore_granted(struct locks *locks, const struct lock_message *message,
                       struct lock_item *item);
void barrier_arrive(struct locks *locks, struct waiter *waiter);
void barrier_released(struct locks *locks, const struct lock_message *message,
                      struct lock_item *item);

// --- locks_home.c: the home's side. Messages of the current round. ----------------------------

void home_begin(struct locks *locks, const uint64_t members[4], bool lost);
void home_end(struct locks *locks);
void home_hear(struct locks *locks, unsigned from, const struct lock_message *message);
void home_free_item(struct lock_item *item);
