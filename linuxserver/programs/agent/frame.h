// SPDX-License-Identifier: GPL-2.0-only
// Frames out of bytes and bytes out of frames, and what stands in the payload of
// OPEN. Does no input or output and allocates nothing; whatever bytes come in,
// nothing but counters is the worse for it.
#pragma once

#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>

struct frame {
    enum agent_type type;
    uint32_t stream;
    uint32_t session;
    uint32_t length;
    const uint8_t *payload;
};

struct frame_parser {
    bool inside;         // a mark was seen and its frame is not complete
    bool escaped;        // the last byte was an escape
    uint32_t have;       // bytes of the frame so far
    uint32_t want;       // bytes it will have; the header's until that is known
    uint64_t frames;     // complete ones
    uint64_t bad_frames; // cut short or impossible
    uint64_t skipped;    // bytes outside frames
    uint8_t bytes[AGENT_HEADER_BYTES + AGENT_PAYLOAD_MAX];
};

// Consumes bytes up to the end of a frame, or all; returns how many. True in
// *complete: *frame is filled in, and its payload stays until the next call.
size_t frame_parse(struct frame_parser *parser, const uint8_t *bytes, size_t count,
                   struct frame *frame, bool *complete);

// The most bytes a frame takes on the wire.
#define FRAME_WIRE_BYTES(payload) (1 + 2 * ((size_t)AGENT_HEADER_BYTES + (payload)))

// Writes a frame as it goes on the wire; returns its length, at most
// FRAME_WIRE_BYTES(frame->length), which out must have room for.
size_t frame_write(uint8_t *out, const struct frame *frame);

// An OPEN's payload, in place: strings point into it.
struct open_request {
    uint32_t flags;
    uint32_t rows, columns;
    uint32_t argument_count, environment_count;
    const char *strings[AGENT_OPEN_STRINGS]; // arguments, NULL, environment, NULL
    char **arguments, **environment;         // as execve wants them
    const char *folder;
};

// NULL, or what is wrong with it.
const char *open_request_read(struct open_request *request, const uint8_t *payload,
                              uint32_t length);
