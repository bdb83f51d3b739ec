// SPDX-License-Identifier: BSD-2-Clause
// A frame of the network on its way through this task: Ethernet header to end of
// payload, without the check sequence, in pieces that need not lie together.
//
// Without a hold the pieces are the caller's again when a call returns. With one
// they stay as they are until frame_release has been called as often as
// frame_keep, and once more by who made the frame.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_ADDRESS_BYTES 6u
#define FRAME_HEADER_BYTES  14u   // two addresses and the type
#define FRAME_BYTES_MAX     9014u // of a jumbo frame: an MTU of 9000
#define FRAME_PIECES_MAX    24u

struct frame_piece {
    const void *data;
    size_t bytes;
};

struct frame_hold {
    uint32_t references;
    void (*release)(struct frame_hold *hold); // the last reference is gone
};

// A checksum that whoever puts the frame on a wire has yet to fill in: that of
// all bytes from `start` on goes to start + offset, where the sum of the
// pseudo-header already is (as virtio has it). Of no use to a port without it.
struct frame_checksum {
    bool partial;
    uint16_t start, offset;
};

struct frame {
    const struct frame_piece *pieces;
    unsigned count; // 1..FRAME_PIECES_MAX
    struct frame_hold *hold;
    struct frame_checksum checksum;
};

static inline void frame_keep(struct frame_hold *hold)
{
    hold->references++;
}

static inline void frame_release(struct frame_hold *hold)
{
    if (--hold->references == 0)
        hold->release(hold);
}

static inline size_t frame_bytes(const struct frame_piece *pieces, unsigned count)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < count; i++)
        bytes += pieces[i].bytes;
    return bytes;
}

// Copies up to `room` bytes from `offset` on; returns how many there were.
size_t frame_copy(const struct frame_piece *pieces, unsigned count, size_t offset, void *to,
                  size_t room);
