// SPDX-License-Identifier: BSD-2-Clause
// Memory that the network server shares with the client of its Ethernet port: two
// rings of frames, one for each direction. lib/ethernet_ring.h is the code for
// both ends.
//
// Indices count frames and run freely modulo 2^32. A line of 64 bytes has one
// writer, who never reads it back: what it needs of its own it keeps in memory of
// its own. Each end takes the other for hostile, and reads what that wrote once.
//
// The `wake` indices say when the writer wants its bell rung: when the count that it
// follows passes from `wake` to `wake + 1`. One that lies behind asks for nothing, so
// that a busy ring costs no traps.
#pragma once

#ifndef __KERNEL__
#include <stddef.h>
#include <stdint.h>
#endif

#define ETHERNET_NAME "ethernet" // under which the server checks in

#define ETHERNET_HEADER_BYTES 14
#define ETHERNET_MTU_MIN      68
#define ETHERNET_MTU_MAX      9000
#define ETHERNET_FRAME_MAX    (ETHERNET_MTU_MAX + ETHERNET_HEADER_BYTES + 4) // one VLAN tag

#define ETHERNET_RING_FRAMES  256u // in a ring at most
#define ETHERNET_MEMORY_BYTES (2u << 20)
#define ETHERNET_HEAD_BYTES   8192u
#define ETHERNET_DATA_BYTES   ((ETHERNET_MEMORY_BYTES - ETHERNET_HEAD_BYTES) / 2)

#define ETHERNET_EVENT 1u // event bit 0 of both bells

// A frame: an even `offset` into the data of its direction, and its length, from the
// destination address on, without check sequence.
struct ethernet_descriptor {
    uint32_t offset;
    uint32_t bytes; // ETHERNET_HEADER_BYTES..ETHERNET_FRAME_MAX
};

struct ethernet_ring {
    // Written by the producer.
    uint32_t produced;  // frames that have been put in
    uint32_t wake_room; // ring when `consumed` passes this
    uint32_t padding0[14];
    struct ethernet_descriptor frames[ETHERNET_RING_FRAMES];
    // Written by the consumer.
    uint32_t consumed;    // frames that have been taken out; their data can be overwritten
    uint32_t wake_frames; // ring when `produced` passes this
    uint32_t padding1[14];
};

struct ethernet_memory {
    uint32_t link; // written by the server: 1 when the wire is connected
    uint32_t padding[15];
    struct ethernet_ring to_server, to_client;
    uint8_t padding_head[ETHERNET_HEAD_BYTES - 64 - 2 * sizeof(struct ethernet_ring)];
    uint8_t data_to_server[ETHERNET_DATA_BYTES];
    uint8_t data_to_client[ETHERNET_DATA_BYTES];
};
_Static_assert(sizeof(struct ethernet_ring) == 2176, "ABI");
_Static_assert(sizeof(struct ethernet_memory) == ETHERNET_MEMORY_BYTES, "ABI");
_Static_assert(offsetof(struct ethernet_ring, consumed) % 64 == 0, "lines of their own");
_Static_assert(offsetof(struct ethernet_memory, to_client) % 64 == 0, "lines of their own");
