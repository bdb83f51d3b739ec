// SPDX-License-Identifier: BSD-2-Clause
// The two ends of a ring of frames in shared memory (include/corvus/ethernet.h).
// Pure, and compiled with a C library's headers or Linux's. Each end belongs to one
// thread at a time. The other end is not trusted: it can lose and spoil frames, but
// not make this one read or write elsewhere, nor loop.
//
// A producer:                              A consumer:
//   space = ethernet_reserve(p, bytes)       while ((frame = ethernet_peek(c, &bytes)))
//   write the frame there                        copy it; ethernet_take(c)
//   ethernet_commit(p)                       if (ethernet_consumer_must_ring(c)) …
//   if (ethernet_producer_must_ring(p)) …    if (!ethernet_await_frames(c)) sleep
#pragma once

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#endif

#include <corvus/ethernet.h>

struct ethernet_producer {
    struct ethernet_ring *ring;
    uint8_t *data;
    uint32_t produced, consumed;           // as far as known and sensible
    uint32_t rung;                         // `produced` when the bell was last thought about
    uint32_t next;                         // offset behind the newest frame
    uint32_t reserved_at, reserved;        // what is reserved, not yet committed; 0 bytes: nothing
    uint32_t starts[ETHERNET_RING_FRAMES]; // offset of each frame in the ring
    bool broken;                           // the other end wrote nonsense: no room any more
};

struct ethernet_consumer {
    struct ethernet_ring *ring;
    const uint8_t *data;
    uint32_t produced, consumed;
    uint32_t rung;       // `consumed` when the bell was last thought about
    uint64_t bad_frames; // passed over: outside the data, or of an impossible length
    bool broken;         // the other end wrote nonsense: no frames any more
};

// The server's, before the memory is given out: empty rings, no link.
void ethernet_memory_clear(struct ethernet_memory *memory);

// `data` has ETHERNET_DATA_BYTES. The ring must have been cleared and not used since.
void ethernet_producer_start(struct ethernet_producer *producer, struct ethernet_ring *ring,
                             uint8_t *data);
void ethernet_consumer_start(struct ethernet_consumer *consumer, struct ethernet_ring *ring,
                             const uint8_t *data);

// --- Producer ------------------------------------------------------------------------

// Where a frame can be written; what was reserved and not committed before is
// forgotten. NULL: no room, or not a length that a frame can have, or broken.
void *ethernet_reserve(struct ethernet_producer *producer, uint32_t bytes);

// Hands over the frame that was reserved.
void ethernet_commit(struct ethernet_producer *producer);

// Whether the consumer wants to hear of the frames committed since the last call.
bool ethernet_producer_must_ring(struct ethernet_producer *producer);

// Asks to be rung when there is room again, about half of what is taken now. True:
// there is room for a frame of `bytes` by now, so go on.
bool ethernet_await_room(struct ethernet_producer *producer, uint32_t bytes);

// --- Consumer ------------------------------------------------------------------------

// The next frame, which stays where it is until ethernet_take. The other end can
// change its bytes meanwhile: copy them, then look. NULL: none (now), or broken.
const void *ethernet_peek(struct ethernet_consumer *consumer, uint32_t *bytes);

// Gives back the frame that ethernet_peek told.
void ethernet_take(struct ethernet_consumer *consumer);

// Whether the producer wants to hear of the room made since the last call.
bool ethernet_consumer_must_ring(struct ethernet_consumer *consumer);

// Asks to be rung for the next frame. True: there is one by now, so go on.
bool ethernet_await_frames(struct ethernet_consumer *consumer);
