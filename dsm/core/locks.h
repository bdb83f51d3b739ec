// SPDX-License-Identifier: BSD-2-Clause
// Locks, semaphores, barriers and reductions of the cluster, without I/O: one node's part.
//
// A lock is a token. Its holder's node keeps it until another wants it; the *home* (one node for
// all of them, the coordinator of the directory) knows the end of the chain of nodes that wait, and
// tells the one at its end whom to pass the token on to: request, recall, token, three messages at
// most. A semaphore's value is the home's; each node remembers what it added and took itself, so
// that a new home adds that up, and what a dead node did is undone. Barriers are counted at the
// home; each node keeps the last result, so that nobody misses one when the home dies.
//
// All is told in *rounds*. When a node dies or another becomes home, the home begins one: each node
// tells what it has and asks again for what it waits for, and everything of an earlier round is
// dropped. A lock that somebody knows, whose token nobody has after a node was lost, is made anew
// with the mark that its owner died.
//
// Not thread-safe; callbacks must not call back.
#pragma once

#include <corvus/error.h>
#include <corvus/segments.h>

#include <stdbool.h>

#define LOCKS_MESSAGE_MAX 512u
// Locks, semaphores and barriers that a node knows, and requests that wait on it.
#define LOCKS_KNOWN_MAX   16384u
#define LOCKS_WAITING_MAX 4096u

struct locks_output {
    void (*send)(void *context, unsigned node, const void *bytes, size_t count);
    // Ends a request, with words behind the error. False: who asked has gone.
    bool (*answer)(void *context, void *token, corvus_error_t error, const uint64_t *words,
                   size_t count);
};

struct lock_counters {
#define LOCK_COUNTER_FIELD(name, text) uint64_t name;
    LOCK_COUNTERS(LOCK_COUNTER_FIELD)
#undef LOCK_COUNTER_FIELD
};

struct locks;

struct locks *locks_create(unsigned node, const struct locks_output *output, void *context);
void locks_destroy(struct locks *locks);

// This node is home from now on, with these members (bit n - 1 of the words is node n; itself among
// them): begins a round. Rounds of all homes ever grow. `lost`: a node has died since the last one.
void locks_lead(struct locks *locks, uint64_t round, const uint64_t members[4], bool lost);
// This node is in a minority, or knows no home any more and has been forgotten by the last: all
// that wait end with PEER_DIED, all tokens are gone; who holds a lock learns it at its end (STATE).
void locks_lose(struct locks *locks);
// False: it was not valid.
bool locks_receive(struct locks *locks, unsigned from, const void *bytes, size_t count);

// `owner` is any number that stands for who asks. Each of these ends with one `answer`, perhaps
// before it returns, of the words that segments.def tells.
void locks_acquire(struct locks *locks, uint64_t owner, uint64_t group, uint64_t lock, bool try,
                   void *token);
void locks_wait(struct locks *locks, uint64_t owner, uint64_t group, uint64_t semaphore,
                uint64_t initial, bool try, void *token);
// `operation` of a plain barrier is LOCKS_BARRIER, without values.
#define LOCKS_BARRIER 255u
void locks_barrier(struct locks *locks, uint64_t owner, uint64_t group, uint64_t barrier,
                   uint64_t count, uint64_t operation, const uint64_t *values, size_t value_count,
                   void *token);
// STATE: it is not the owner's (any more).
corvus_error_t locks_release(struct locks *locks, uint64_t owner, uint64_t group, uint64_t lock);
corvus_error_t locks_post(struct locks *locks, uint64_t group, uint64_t semaphore, uint64_t initial,
                          uint64_t count);
// The owner is no more: what it waits for is forgotten, what it holds is released with the mark.
void locks_owner_died(struct locks *locks, uint64_t owner);

const struct lock_counters *locks_counters(const struct locks *locks);
