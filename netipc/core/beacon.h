// SPDX-License-Identifier: BSD-2-Clause
// Beacons: one UDP datagram by which a node says that it is there, and where. They
// are authentic, not secret; docs/netipc-sessions.md has their layout. Pure functions.
#pragma once

#include "netipc/core/secure.h"

#include <stddef.h>
#include <stdint.h>

#define BEACON_VERSION   1
#define BEACON_BYTES     96
#define BEACON_KEY_BYTES 32

#define BEACON_ERRORS(X)                                                                           \
    X(BEACON_OK, "no error")                                                                       \
    X(BEACON_ERROR_FORMAT, "no beacon")                                                            \
    X(BEACON_ERROR_VERSION, "beacon of another version")                                           \
    X(BEACON_ERROR_CLUSTER, "beacon of another cluster")                                           \
    X(BEACON_ERROR_KEY, "beacon made with another cluster key, or altered")                        \
    X(BEACON_ERROR_MALFORMED, "beacon with impossible values")                                     \
    X(BEACON_ERROR_SELF, "beacon with our own number")

enum beacon_error {
#define BEACON_ERROR_NAME(name, text) name,
    BEACON_ERRORS(BEACON_ERROR_NAME)
#undef BEACON_ERROR_NAME
        BEACON_ERROR_COUNT
};

struct beacon {
    uint32_t node;        // from 1 on
    uint16_t port;        // of TCP, where the node takes sessions; not 0
    uint64_t incarnation; // larger with each start of the node
    uint64_t sequence;    // larger with each beacon of an incarnation
};

// What a beacon is to one who may have seen earlier ones of the node.
enum beacon_age {
    BEACON_OLD,       // seen before, or sent before one that was: to be ignored
    BEACON_NEXT,      // of the incarnation that is known
    BEACON_NEW_START, // the first of an incarnation
};

// What all beacons of a cluster are made with; to be computed once.
struct beacon_cluster {
    uint8_t cluster[SECURE_CLUSTER_BYTES];
    uint8_t key[BEACON_KEY_BYTES]; // from the key of the cluster, which it does not tell
};

void beacon_cluster(struct beacon_cluster *cluster, const struct secure_identity *identity);

void beacon_make(const struct beacon *beacon, const struct beacon_cluster *cluster,
                 uint8_t datagram[BEACON_BYTES]);

// Reads a datagram of any length. Only with BEACON_OK `beacon` is written. VERSION and
// CLUSTER are told before the key is tried: on a shared wire they are nothing unusual.
enum beacon_error beacon_read(const uint8_t *datagram, size_t bytes,
                              const struct beacon_cluster *cluster, uint32_t own_node,
                              struct beacon *beacon);

// Compares with the newest one known of the same node, or NULL. Whoever keeps that
// one is not deceived by beacons that are sent again.
enum beacon_age beacon_age(const struct beacon *known, const struct beacon *seen);

const char *beacon_error_text(enum beacon_error error);
