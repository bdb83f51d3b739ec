// SPDX-License-Identifier: BSD-2-Clause
// What the wire does to frames, as a person writes it (deploy/wire/README.md has the grammar):
//
//     loss=5%,delay=2ms,jitter=1ms,seed=7 1>2:loss=100%
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_PORTS_MAX = 16,
    // Longest delay and jitter, and what `queue` may hold.
    SPEC_SECONDS_MAX = 60,
    SPEC_QUEUE_MAX = 1 << 30,
    // A complaint, with its NUL.
    SPEC_MESSAGE_BYTES = 128,
    // What spec_print writes at most, with its NUL.
    SPEC_TEXT_BYTES = 65536,
};

// Of one link, which is one direction between two ports. All 0: a perfect one.
struct impairments {
    double loss;      // probability that a frame is lost
    double broadcast; // that a frame to all is lost, of those that are left; ARP's are not
    double duplicate; // that it comes twice
    double reorder;   // that later frames overtake it
    double bit_error; // that a bit is wrong, for each bit
    uint64_t delay;   // ns
    uint64_t jitter;  // ns; up to that much is added to the delay
    uint64_t rate;    // bit/s; 0: without bound
    uint64_t queue;   // bytes that may wait for their turn at that rate
};

struct wire_spec {
    uint64_t seed;
    // [from][to], from 0. Those of ports that do not exist are defaults.
    struct impairments links[WIRE_PORTS_MAX][WIRE_PORTS_MAX];
};

// No impairments, seed 1.
void spec_initialize(struct wire_spec *spec);

// Reads `text`, for ports 1 to `ports`. False, with a line without an end of line in `message`,
// when it is not understood; then `spec` is not to be used.
bool spec_parse(const char *text, unsigned ports, struct wire_spec *spec,
                char message[SPEC_MESSAGE_BYTES]);

// Writes a text that is read as the same again: "none", or the sections. Returns its length.
size_t spec_print(const struct wire_spec *spec, unsigned ports, char text[SPEC_TEXT_BYTES]);

// True when nothing is done to frames of that link.
static inline bool impairments_none(const struct impairments *link)
{
    return link->loss == 0 && link->broadcast == 0 && link->duplicate == 0 && link->reorder == 0 &&
           link->bit_error == 0 && link->delay == 0 && link->jitter == 0 && link->rate == 0;
}
