// SPDX-License-Identifier: BSD-2-Clause
// Ethernet frames in the hub and the pool they come from. A frame that goes to several ports is
// kept once and counted; whoever changes it must be its only owner. One thread, so no locks.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    // Two addresses and a type: less is no Ethernet frame.
    FRAME_BYTES_MIN = 14,
    // An MTU of 9000, the header, and a VLAN tag (IEEE 802.1Q).
    FRAME_BYTES_MAX = 9018,
    // Frames that exist at once: 75 MB when all are in use.
    FRAMES_MAX = 8192,
};

struct frame {
    struct frame *next;  // in the pool
    uint32_t references; // 0 in the pool
    uint32_t length;     // bytes of `bytes` in use
    uint8_t bytes[FRAME_BYTES_MAX];
};

// All zero but for limit, it is an empty pool.
struct frame_pool {
    struct frame *free;
    uint32_t made;  // that exist, in use or not
    uint32_t limit; // that may exist
};

// A frame with one reference and no contents; NULL when there are as many as may be.
struct frame *frame_take(struct frame_pool *pool);

// One more owner.
static inline struct frame *frame_keep(struct frame *frame)
{
    frame->references++;
    return frame;
}

// One owner less; the last one's goes back to the pool.
void frame_release(struct frame_pool *pool, struct frame *frame);

// Frees what the pool holds. True when every frame that was made was there.
bool frame_pool_end(struct frame_pool *pool);
