// SPDX-License-Identifier: BSD-2-Clause
// Sessions between two nodes that hold the key of one cluster: who may have one,
// and the segments that travel in it. docs/netipc-sessions.md has the layout of
// every message and what is promised. Pure functions: no I/O, no clock, no
// allocation; nothing is counted or printed here.
//
//   initiator                                          responder
//   secure_initiate  --- hello, SECURE_HELLO_BYTES --->  secure_accept
//   secure_complete  <-- hello, SECURE_HELLO_BYTES ----
//   secure_seal      --- segment -------------------->   secure_open: confirmed
//                    <------------------- segments --->
//
// A responder that refuses answers nothing. A session ends for good, and its keys
// are wiped, with the first thing that is not as it must be.
#pragma once

#include "netipc/core/noise.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECURE_VERSION       1
#define SECURE_KEY_BYTES     32
#define SECURE_CLUSTER_BYTES 32
#define SECURE_HELLO_BYTES   120 // each of the two
#define SECURE_HEADER_BYTES  4
#define SECURE_TAG_BYTES     16
#define SECURE_BODY_MAX      (17 * 1024)
// What surrounds the body of a segment.
#define SECURE_OVERHEAD_BYTES (SECURE_HEADER_BYTES + SECURE_TAG_BYTES)
#define SECURE_SEGMENT_MAX    (SECURE_BODY_MAX + SECURE_OVERHEAD_BYTES)
// So many segments go in one direction, then the session ends.
#define SECURE_SEGMENTS_MAX (((uint64_t)1 << 48) - 1)

// Options; both nodes must have the same.
#define SECURE_ENCRYPT 1u // else bodies can be read by all, but not changed

#define SECURE_ERRORS(X)                                                                           \
    X(SECURE_OK, "no error")                                                                       \
    X(SECURE_ERROR_KEY, "hello made with another cluster key, or altered on the way")              \
    X(SECURE_ERROR_MALFORMED, "hello with impossible values")                                      \
    X(SECURE_ERROR_VERSION, "other version of the session protocol")                               \
    X(SECURE_ERROR_CLUSTER, "node of another cluster")                                             \
    X(SECURE_ERROR_SELF, "node with our own number")                                               \
    X(SECURE_ERROR_NODE, "not the node that was expected")                                         \
    X(SECURE_ERROR_ECHO, "answer to another incarnation's hello")                                  \
    X(SECURE_ERROR_OPTIONS, "one node encrypts and the other does not")                            \
    X(SECURE_ERROR_LENGTH, "segment with an impossible length")                                    \
    X(SECURE_ERROR_SEGMENT, "segment altered, repeated, lost or out of order")                     \
    X(SECURE_ERROR_EXHAUSTED, "as many segments as one session may have")                          \
    X(SECURE_ERROR_CLOSED, "session not open")

enum secure_error {
#define SECURE_ERROR_NAME(name, text) name,
    SECURE_ERRORS(SECURE_ERROR_NAME)
#undef SECURE_ERROR_NAME
        SECURE_ERROR_COUNT
};

// What a node says of itself in its hello.
struct secure_node {
    uint32_t node;                         // its number, from 1 on
    uint32_t cluster_size;                 // nodes that the cluster is configured for, from 1 on
    uint64_t incarnation;                  // differs with each start of the node
    uint32_t options;                      // SECURE_ENCRYPT or 0
    uint8_t cluster[SECURE_CLUSTER_BYTES]; // from secure_cluster
};

struct secure_identity {
    struct secure_node self;
    uint8_t key[SECURE_KEY_BYTES]; // the key of the cluster
};

enum secure_state {
    SECURE_CLOSED,      // not begun, or ended; no keys in it
    SECURE_INITIATED,   // the initiator waits for the second hello
    SECURE_UNCONFIRMED, // the responder waits for the first segment
    SECURE_OPEN,
};

// Owned by the caller, who changes nothing in it. Zeroed memory is a session that
// has not begun.
struct secure_session {
    enum secure_state state;
    enum secure_error ended_by; // SECURE_OK while it lives, or if its owner ended it
    struct secure_node self, peer;
    uint32_t expected_node;
    struct noise_handshake handshake; // until the hellos are through
    uint8_t send_key[NOISE_KEY_BYTES], receive_key[NOISE_KEY_BYTES];
    uint64_t sent, received; // segments
};

// The hash that stands for a cluster's name.
void secure_cluster(const char *name, size_t bytes, uint8_t cluster[SECURE_CLUSTER_BYTES]);

// Begins a session with `expected_node`, whatever the structure held. `entropy` is
// 32 random bytes that are used for nothing else, and wiped by the caller.
// MALFORMED or SELF: the caller's own values are not possible, and nothing begins.
enum secure_error secure_initiate(struct secure_session *session,
                                  const struct secure_identity *identity, uint32_t expected_node,
                                  const uint8_t entropy[SECURE_KEY_BYTES],
                                  uint8_t hello[SECURE_HELLO_BYTES]);

// Judges the first hello. Only with SECURE_OK there is an answer, and a session,
// which is not to be relied on before secure_is_open: the hello can be an old one,
// sent again. To whoever sent a refused hello, nothing may be said.
enum secure_error secure_accept(struct secure_session *session,
                                const struct secure_identity *identity,
                                const uint8_t entropy[SECURE_KEY_BYTES],
                                const uint8_t hello[SECURE_HELLO_BYTES],
                                uint8_t answer[SECURE_HELLO_BYTES]);

// Judges the second hello; with SECURE_OK the session is open. The responder waits
// for a segment, so one is to be sent at once.
enum secure_error secure_complete(struct secure_session *session,
                                  const uint8_t answer[SECURE_HELLO_BYTES]);

// Makes a segment in place of a body of 1 to SECURE_BODY_MAX bytes that lies at
// segment + SECURE_HEADER_BYTES, with SECURE_TAG_BYTES of room behind it. Returns
// its length, or 0: the session is not open, or has just ended (EXHAUSTED), or the
// body has no such length.
size_t secure_seal(struct secure_session *session, uint8_t *segment, size_t body_bytes);

// Reads how many bytes of body follow a header; a tag follows them. LENGTH ends
// the session.
enum secure_error secure_open_header(struct secure_session *session,
                                     const uint8_t header[SECURE_HEADER_BYTES], size_t *body_bytes);

// Checks a whole segment, as long as its header says, and decrypts its body in
// place. With any error the session ends and nothing of the segment may be used.
enum secure_error secure_open(struct secure_session *session, uint8_t *segment);

// Segments can be sent and received; of the responder's session: its initiator is
// there now, and holds the key.
static inline bool secure_is_open(const struct secure_session *session)
{
    return session->state == SECURE_OPEN;
}

// Who is at the other end of an open session; else NULL.
static inline const struct secure_node *secure_peer(const struct secure_session *session)
{
    return secure_is_open(session) ? &session->peer : NULL;
}

// Ends a session and wipes all of it but ended_by.
void secure_end(struct secure_session *session);

const char *secure_error_text(enum secure_error error);
