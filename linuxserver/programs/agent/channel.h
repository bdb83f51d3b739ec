// SPDX-License-Identifier: GPL-2.0-only
// The byte channel to the host: a character device in a node, a socket or a
// terminal in tests. It may not be there yet and may go away; it is opened again
// then. What goes out is collected here; there is room for it or the sender
// waits.
#pragma once

#include "frame.h"

struct channel {
    const char *path;
    int file;           // -1 while it is not open
    int64_t retry_time; // when to open it again, milliseconds
    bool complained;    // that it cannot be opened
    size_t out_start, out_count;
    struct frame_parser parser;
    uint8_t out[4 * FRAME_WIRE_BYTES(AGENT_PIECE_BYTES)];
};

void channel_init(struct channel *channel, const char *path);

// Opens the channel if it is time to. True when it is open.
bool channel_open(struct channel *channel, int64_t now);

// Forgets the connection and all that was to go out.
void channel_close(struct channel *channel, int64_t now);

// Whether a frame with that payload can be sent now.
bool channel_has_room(const struct channel *channel, uint32_t payload);

// Sends one frame, for which there must be room.
void channel_send(struct channel *channel, const struct frame *frame);

// Writes what the channel takes. False when it is broken.
bool channel_flush(struct channel *channel);

// Reads what there is, at most count bytes: 0 for nothing, -1 when it is broken.
int channel_read(struct channel *channel, uint8_t *bytes, size_t count);
