// SPDX-License-Identifier: BSD-2-Clause
// A task that carries bytes to another machine by the network server's lower half
// (netipc/transport.h). Node 1 asks and judges; node 2 does as it is told by the first
// bytes of each link. tests/kernel/net.sh starts both, and ends node 2.
#pragma once

#include "netipc/transport.h"

// A request: the kind, then a number of bytes.
#define REQUEST_BYTES 8u
enum request {
    REQUEST_SINK = 'S',     // takes so many bytes, answers with a struct verdict
    REQUEST_GENERATE = 'G', // sends so many
    REQUEST_DISCARD = 'D',  // like SINK, and does not look at them
    REQUEST_ANYTHING = 'A', // like GENERATE, of any contents
    REQUEST_ECHO = 'E',     // sends back whatever comes
    REQUEST_CLOSE = 'Q',    // closes in order
    REQUEST_BREAK = 'R',    // breaks the link off
};

struct verdict {
    uint64_t bytes;
    uint64_t good; // 1: all of them were right
};

// The byte at a place of a stream.
static inline uint8_t pattern_at(uint64_t place)
{
    return (uint8_t)(place * 13 + place / 251 + (place >> 16));
}

#define STREAM_BYTES (10u << 20)
#define STREAM_CHUNK 65536u // of one send

// Fills a chunk with the stream from `place` on.
void fill_pattern(uint8_t *bytes, uint64_t place, size_t count);
// Compares pieces with it.
bool is_pattern(const struct frame_piece *piece, uint64_t place);

extern struct transport *transport;
extern const struct transport_events active_events, passive_events;

// Begins the tests of node 1.
void active_begin(void);
void active_tick(void); // each 50 ms

// What the loop has cost so far, in clock ticks (with -icount, instructions), and frames.
struct cost {
    uint64_t ticks, frames_in, frames_out, rounds;
};
struct cost cost_now(void);

void ok(bool passed, const char *text);
_Noreturn void finish(void);
