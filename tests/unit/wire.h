// SPDX-License-Identifier: BSD-2-Clause
// What the tests of the wire's core share: a wire whose clock the test turns, and frames that carry
// a number. Ports are named from 0, as in the core.
#pragma once

#include <string.h>

#include "deploy/wire/core.h"

#define MILLISECOND UINT64_C(1000000)

enum {
    EVERYBODY = 0xff,
    ARRIVALS_MAX = 100000,
};

// A frame that came out.
struct arrival {
    uint64_t time;
    unsigned from, to;
    uint32_t number;
    bool intact;
};

static struct frame_pool pool = {.limit = FRAMES_MAX};
static struct wire wire;
static struct arrival arrivals[ARRIVALS_MAX];
static unsigned arrival_count;

static inline void set_address(uint8_t *bytes, unsigned node)
{
    memset(bytes, node == EVERYBODY ? 0xff : 0, ADDRESS_BYTES);
    if (node != EVERYBODY) {
        bytes[0] = 0x52;
        bytes[5] = (uint8_t)(node + 1);
    }
}

// The byte at a place of a frame's contents.
static inline uint8_t filler(uint32_t number, uint32_t place)
{
    return (uint8_t)(number * 31 + place);
}

// A frame with any source, into any port. False when there is no memory for one.
static inline bool send_as(uint64_t now, unsigned port, unsigned source, unsigned destination,
                           uint32_t number, uint32_t length)
{
    struct frame *frame = frame_take(&pool);
    if (frame == NULL)
        return false;
    frame->length = length;
    set_address(frame->bytes, destination);
    set_address(frame->bytes + ADDRESS_BYTES, source);
    memcpy(frame->bytes + 14, &number, sizeof number);
    for (uint32_t i = 18; i < length; i++)
        frame->bytes[i] = filler(number, i);
    wire_input(&wire, now, port, frame);
    return true;
}

static inline void send(uint64_t now, unsigned from, unsigned to, uint32_t number)
{
    send_as(now, from, from, to, number, 100);
}

// Takes what is due, behind what has arrived already; returns how many that were.
static inline unsigned take(uint64_t now)
{
    struct delivery delivery;
    unsigned count = 0;
    while (wire_take(&wire, now, &delivery)) {
        struct frame *frame = delivery.frame;
        struct arrival *arrival = &arrivals[arrival_count];
        arrival->time = delivery.time;
        arrival->from = delivery.from;
        arrival->to = delivery.to;
        memcpy(&arrival->number, frame->bytes + 14, sizeof arrival->number);
        arrival->intact = true;
        for (uint32_t i = 18; i < frame->length; i++)
            arrival->intact = arrival->intact && frame->bytes[i] == filler(arrival->number, i);
        frame_release(&pool, frame);
        arrival_count += arrival_count < ARRIVALS_MAX - 1;
        count++;
    }
    return count;
}

// Begins with a perfect wire; a SPEC of impairments, if any, must be right.
static inline bool begin(unsigned ports, const char *spec)
{
    static struct wire_spec parsed;
    char message[SPEC_MESSAGE_BYTES];
    wire_initialize(&wire, ports, &pool);
    arrival_count = 0;
    if (spec == NULL)
        return true;
    bool good = spec_parse(spec, ports, &parsed, message);
    wire_impair(&wire, 0, &parsed);
    return good;
}

// True when no frame is missing from the pool.
static inline bool end(void)
{
    wire_end(&wire);
    return frame_pool_end(&pool);
}

// True when a link's counters agree, with nothing under way there.
static inline bool balanced(unsigned from, unsigned to)
{
    const struct wire_link_counters *counters = &wire.links[from][to].counters;
    return counters->offered + counters->duplicated == counters->delivered + counters->lost +
                                                           counters->cut + counters->queue +
                                                           counters->memory;
}
