// SPDX-License-Identifier: BSD-2-Clause
// What happens to a frame between two ports: where it goes, what it meets on each link, when it is
// there.
#include "deploy/wire/core.h"

#include <string.h>

#include "deploy/wire/bit_errors.h"
#include "deploy/wire/heap.h"
#include "deploy/wire/random.h"

static uint32_t all_ports(const struct wire *wire)
{
    return (UINT32_C(1) << wire->ports) - 1;
}

// --- Settings -----------------------------------------------------------------------------------

static void set_spec(struct wire *wire, const struct wire_spec *spec)
{
    wire->spec = *spec;
    for (unsigned from = 0; from < wire->ports; from++) {
        for (unsigned to = 0; to < wire->ports; to++) {
            struct wire_link *link = &wire->links[from][to];
            link->impairments = spec->links[from][to];
            link->perfect = impairments_none(&link->impairments);
            link->generator = random_link(spec->seed, from, to);
            link->number = 0;
            // Else a wire that was slow and is quick now would wait for what it sent before.
            link->free_at = 0;
            link->last_due = 0;
        }
    }
}

void wire_initialize(struct wire *wire, unsigned ports, struct frame_pool *pool)
{
    struct wire_spec perfect;
    memset(wire, 0, sizeof *wire);
    wire->ports = ports;
    wire->pool = pool;
    addresses_initialize(&wire->addresses);
    spec_initialize(&perfect);
    set_spec(wire, &perfect);
}

static void put(struct wire *wire, uint64_t due, unsigned from, unsigned to, struct frame *frame)
{
    struct delivery delivery = {.time = due, .frame = frame, .from = from, .to = to};
    if (!heap_put(wire, delivery)) {
        wire->links[from][to].counters.memory++;
        frame_release(wire->pool, frame);
    }
}

static void let_go(struct wire *wire, uint64_t due, unsigned from, unsigned to)
{
    struct held_frame *held = &wire->links[from][to].held;
    put(wire, due, from, to, held->frame);
    held->frame = NULL;
    wire->held--;
}

// Lets go what is held back: all of it, or what is over its deadline.
static void let_go_held(struct wire *wire, uint64_t now, bool all)
{
    for (unsigned from = 0; from < wire->ports && wire->held > 0; from++) {
        for (unsigned to = 0; to < wire->ports; to++) {
            const struct held_frame *held = &wire->links[from][to].held;
            if (held->frame != NULL && (all || held->deadline <= now))
                let_go(wire, all ? now : held->deadline, from, to);
        }
    }
}

void wire_impair(struct wire *wire, uint64_t now, const struct wire_spec *spec)
{
    let_go_held(wire, now, true);
    set_spec(wire, spec);
}

void wire_cut_link(struct wire *wire, unsigned from, unsigned to)
{
    wire->links[from][to].cut = true;
}

void wire_cut_group(struct wire *wire, uint32_t group)
{
    for (unsigned from = 0; from < wire->ports; from++)
        for (unsigned to = 0; to < wire->ports; to++)
            if (((group >> from) & 1) != ((group >> to) & 1))
                wire->links[from][to].cut = true;
}

void wire_heal(struct wire *wire)
{
    for (unsigned from = 0; from < wire->ports; from++)
        for (unsigned to = 0; to < wire->ports; to++)
            wire->links[from][to].cut = false;
}

void wire_end(struct wire *wire)
{
    let_go_held(wire, 0, true);
    while (wire->pending_count > 0)
        frame_release(wire->pool, heap_take(wire).frame);
}

// --- A frame on a link --------------------------------------------------------------------------

// Waits for its turn at the link's rate. False when too much waits already.
static bool take_turn(struct wire_link *link, uint64_t now, uint32_t bytes, uint64_t *due)
{
    uint64_t start = link->free_at > now ? link->free_at : now;
    double nanoseconds_a_byte = 8e9 / (double)link->impairments.rate;
    if ((double)(start - now) > (double)link->impairments.queue * nanoseconds_a_byte)
        return false;
    link->free_at = start + (uint64_t)(bytes * nanoseconds_a_byte);
    *due = link->free_at;
    return true;
}

// The same frame with wrong bits in it, or the frame itself; the reference goes with it. NULL when
// there is no memory for a copy.
static struct frame *corrupt(struct wire *wire, struct wire_link *link, uint64_t generator,
                             struct frame *frame)
{
    double rate = link->impairments.bit_error;
    uint64_t first = bit_error_next(generator, 0, rate);
    if (first >= (uint64_t)frame->length * 8)
        return frame;
    struct frame *copy = frame_take(wire->pool);
    if (copy != NULL) {
        copy->length = frame->length;
        memcpy(copy->bytes, frame->bytes, frame->length);
        bit_errors_make(generator, rate, first, copy->bytes, copy->length);
        link->counters.corrupted++;
    }
    frame_release(wire->pool, frame);
    return copy;
}

// A frame passes one that is held back. The last of its overtakers takes it along.
static void overtake(struct wire *wire, uint64_t due, unsigned from, unsigned to)
{
    struct held_frame *held = &wire->links[from][to].held;
    if (held->frame == NULL)
        return;
    if (!held->overtaken)
        wire->links[from][to].counters.reordered++;
    held->overtaken = true;
    if (--held->overtakers > 0)
        return;
    let_go(wire, due, from, to);
}

// Has a reference, which goes with the frame.
static void impair(struct wire *wire, uint64_t now, unsigned from, unsigned to, uint64_t generator,
                   struct frame *frame)
{
    struct wire_link *link = &wire->links[from][to];
    const struct impairments *impairments = &link->impairments;
    uint64_t due = now;
    if (impairments->rate > 0 && !take_turn(link, now, frame->length, &due)) {
        link->counters.queue++;
        frame_release(wire->pool, frame);
        return;
    }
    if (impairments->bit_error > 0) {
        frame = corrupt(wire, link, generator, frame);
        if (frame == NULL) {
            link->counters.memory++;
            return;
        }
    }
    due += impairments->delay;
    // 2^-53 of a minute is far below a nanosecond.
    due += (uint64_t)(random_unit(generator, DRAW_JITTER) * (double)impairments->jitter);
    if (due < link->last_due)
        due = link->last_due;
    if (link->held.frame == NULL && random_happens(generator, DRAW_REORDER, impairments->reorder)) {
        unsigned overtakers = 1 + random_bits(generator, DRAW_REORDER_GAP) % WIRE_OVERTAKERS_MAX;
        link->held = (struct held_frame){frame, due + WIRE_HOLD_NS, overtakers, false};
        wire->held++;
        return;
    }
    link->last_due = due;
    bool twice = random_happens(generator, DRAW_DUPLICATE, impairments->duplicate);
    if (twice) {
        link->counters.duplicated++;
        frame_keep(frame);
    }
    put(wire, due, from, to, frame);
    if (twice)
        put(wire, due, from, to, frame);
    overtake(wire, due, from, to);
}

// Goes to all, and is not ARP's (RFC 826), which networks answer that keep broadcasts to
// themselves.
static bool is_plain_broadcast(const struct frame *frame)
{
    static const uint8_t all[ADDRESS_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *type = frame->bytes + 2 * ADDRESS_BYTES;
    return memcmp(frame->bytes, all, sizeof all) == 0 && !(type[0] == 0x08 && type[1] == 0x06);
}

// One draw for both, so that those of `loss` are the same with and without `broadcast`.
static double chance_of_loss(const struct impairments *impairments, const struct frame *frame)
{
    double loss = impairments->loss;
    if (impairments->broadcast > 0 && is_plain_broadcast(frame))
        loss += (1 - loss) * impairments->broadcast;
    return loss;
}

// Has a reference, which goes with the frame. The number of the frame is used up whatever happens
// to it, so that a cut does not shift the fate of later ones.
static void offer(struct wire *wire, uint64_t now, unsigned from, unsigned to, struct frame *frame)
{
    struct wire_link *link = &wire->links[from][to];
    uint64_t number = link->number++;
    link->counters.offered++;
    if (link->cut) {
        link->counters.cut++;
        frame_release(wire->pool, frame);
        return;
    }
    if (link->perfect) {
        put(wire, now, from, to, frame);
        return;
    }
    uint64_t generator = random_frame(link->generator, number);
    if (random_happens(generator, DRAW_LOSS, chance_of_loss(&link->impairments, frame))) {
        link->counters.lost++;
        frame_release(wire->pool, frame);
        return;
    }
    impair(wire, now, from, to, generator, frame);
}

// --- In and out ---------------------------------------------------------------------------------

static uint32_t hearers_of(const struct wire *wire, unsigned port)
{
    uint32_t hearers = 0;
    for (unsigned to = 0; to < wire->ports; to++)
        if (to != port && !wire->links[port][to].cut)
            hearers |= UINT32_C(1) << to;
    return hearers;
}

// The ports that a frame goes to.
static uint32_t route(struct wire *wire, unsigned port, const struct frame *frame)
{
    uint32_t others = all_ports(wire) & ~(UINT32_C(1) << port);
    const uint8_t *destination = frame->bytes;
    addresses_learn(&wire->addresses, frame->bytes + ADDRESS_BYTES, port, hearers_of(wire, port));
    if ((destination[0] & 1) != 0)
        return others;
    unsigned known = addresses_find(&wire->addresses, destination, port);
    return known == ADDRESS_UNKNOWN ? others : UINT32_C(1) << known;
}

void wire_input(struct wire *wire, uint64_t now, unsigned port, struct frame *frame)
{
    for (uint32_t to = route(wire, port, frame); to != 0; to &= to - 1)
        offer(wire, now, port, (unsigned)__builtin_ctz(to), frame_keep(frame));
    frame_release(wire->pool, frame);
}

bool wire_take(struct wire *wire, uint64_t now, struct delivery *delivery)
{
    let_go_held(wire, now, false);
    while (wire->pending_count > 0 && wire->pending[0].time <= now) {
        *delivery = heap_take(wire);
        struct wire_link *link = &wire->links[delivery->from][delivery->to];
        if (!link->cut) {
            link->counters.delivered++;
            return true;
        }
        link->counters.cut++;
        frame_release(wire->pool, delivery->frame);
    }
    return false;
}

uint64_t wire_next_time(const struct wire *wire)
{
    uint64_t next = wire->pending_count > 0 ? wire->pending[0].time : WIRE_NEVER;
    for (unsigned from = 0; from < wire->ports && wire->held > 0; from++)
        for (unsigned to = 0; to < wire->ports; to++)
            if (wire->links[from][to].held.frame != NULL &&
                wire->links[from][to].held.deadline < next)
                next = wire->links[from][to].held.deadline;
    return next;
}
