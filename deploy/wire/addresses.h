// SPDX-License-Identifier: BSD-2-Clause
// Which Ethernet address is behind which port: what a switch learns from the frames it forwards.
//
// Each port has its own view. A frame teaches only the ports that can hear its sender, so that a
// node behind a cut cannot draw to itself what is meant for somebody on this side, by accident or
// not; with physical cables there would be two switches then, and each would know its own half.
// Nothing is forgotten: what is known depends on the frames alone, and so do the impairments they
// meet. A frame to a node that is gone goes nowhere. If all got it, QEMU's user network, which a
// boot server is, would answer for the dead with a TCP reset.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "deploy/wire/spec.h"

enum {
    ADDRESS_BYTES = 6,
    // Addresses that a port can teach. Further ones are not learned, and frames to them go
    // everywhere: a node that invents addresses cannot push out the others'.
    ADDRESSES_PER_PORT = 64,
    // Never more than half full.
    ADDRESS_SLOTS = 2048,
    ADDRESS_UNKNOWN = 0xff,
};

_Static_assert(ADDRESS_SLOTS >= 2 * ADDRESSES_PER_PORT * WIRE_PORTS_MAX, "half full at most");

struct address {
    uint64_t key;                 // 0: the slot is free
    uint8_t port[WIRE_PORTS_MAX]; // by viewer: where it is, or ADDRESS_UNKNOWN
};

struct addresses {
    struct address slots[ADDRESS_SLOTS];
    uint16_t taught[WIRE_PORTS_MAX]; // addresses by the port that taught them first
};

void addresses_initialize(struct addresses *addresses);

// A frame from `port` carried the source address `bytes`, and the ports in `hearers` can hear it.
void addresses_learn(struct addresses *addresses, const uint8_t *bytes, unsigned port,
                     uint32_t hearers);

// Where `viewer` believes an address to be, or ADDRESS_UNKNOWN.
unsigned addresses_find(const struct addresses *addresses, const uint8_t *bytes, unsigned viewer);
