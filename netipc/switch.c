// SPDX-License-Identifier: BSD-2-Clause
// Where a frame goes is said by its first twelve bytes.
#include "netipc/switch.h"

#include <string.h>

#define NANOSECONDS_PER_SECOND 1000000000ull
#define GROUP_BIT              1u // of an address' first byte: a group, or all
#define ADDRESSES_BYTES        (2 * FRAME_ADDRESS_BYTES)

// --- Ports ------------------------------------------------------------------------------

void switch_add_port(struct network_switch *network, struct switch_port *port)
{
    port->next = network->ports;
    network->ports = port;
}

void switch_remove_port(struct network_switch *network, struct switch_port *port)
{
    struct switch_port **place = &network->ports;

    while (*place != NULL && *place != port)
        place = &(*place)->next;
    if (*place != NULL)
        *place = port->next;
}

void switch_set_wire(struct network_switch *network, struct switch_port *wire)
{
    network->wire = wire;
}

// --- Rates ------------------------------------------------------------------------------

void switch_set_rate(struct switch_rate *rate, uint64_t bytes_per_second, uint64_t burst,
                     uint64_t now)
{
    if (burst < FRAME_BYTES_MAX + RATE_FRAME_COST)
        burst = FRAME_BYTES_MAX + RATE_FRAME_COST;
    *rate = (struct switch_rate){
        .bytes_per_second = bytes_per_second,
        .burst = burst,
        .tokens = burst,
        .filled_at = now,
    };
}

static void fill(struct switch_rate *rate, uint64_t now)
{
    uint64_t passed = now > rate->filled_at ? now - rate->filled_at : 0;
    unsigned __int128 earned =
        (unsigned __int128)passed * rate->bytes_per_second / NANOSECONDS_PER_SECOND;

    if (earned == 0)
        return; // so little time is not forgotten, but counted with the next
    rate->filled_at = now;
    rate->tokens =
        earned < rate->burst - rate->tokens ? rate->tokens + (uint64_t)earned : rate->burst;
}

static bool spend(struct switch_rate *rate, size_t bytes, uint64_t now)
{
    uint64_t cost = bytes + RATE_FRAME_COST;

    if (rate->bytes_per_second == 0)
        return true;
    if (rate->tokens < cost)
        fill(rate, now);
    if (rate->tokens < cost)
        return false;
    rate->tokens -= cost;
    return true;
}

// --- Frames -----------------------------------------------------------------------------

static void deliver(struct network_switch *network, struct switch_port *to,
                    const struct frame *frame, size_t bytes)
{
    bool taken;

    if (!spend(&to->to, bytes, network->now)) {
        to->counters.limited_out++;
        return;
    }
    if (to->transmit_frame != NULL)
        taken = to->transmit_frame(to, frame);
    else
        taken = to->transmit(to, frame->pieces, frame->count);
    if (taken) {
        to->counters.frames_out++;
        to->counters.bytes_out += bytes;
    } else {
        to->counters.no_room++;
    }
}

static void flood(struct network_switch *network, const struct switch_port *from,
                  const struct frame *frame, size_t bytes)
{
    for (struct switch_port *port = network->ports; port != NULL; port = port->next) {
        if (port != from)
            deliver(network, port, frame, bytes);
    }
    if (network->wire != NULL && network->wire != from)
        deliver(network, network->wire, frame, bytes);
}

static bool has_address(const struct switch_port *port, const uint8_t *address)
{
    return memcmp(port->address, address, FRAME_ADDRESS_BYTES) == 0;
}

static bool is_ours(const struct network_switch *network, const uint8_t *address)
{
    const struct switch_port *port = network->ports;

    while (port != NULL && !has_address(port, address))
        port = port->next;
    return port != NULL;
}

static void forward(struct network_switch *network, struct switch_port *from,
                    const struct frame *frame, const uint8_t *addresses, size_t bytes)
{
    if (addresses[0] & GROUP_BIT) {
        flood(network, from, frame, bytes);
        return;
    }
    for (struct switch_port *port = network->ports; port != NULL; port = port->next) {
        if (!has_address(port, addresses))
            continue;
        if (port != from)
            deliver(network, port, frame, bytes);
        return;
    }
    if (from == network->wire)
        from->counters.not_for_us++;
    else if (network->wire == NULL)
        from->counters.no_such_place++;
    else
        deliver(network, network->wire, frame, bytes);
}

void switch_receive_frame(struct network_switch *network, struct switch_port *from,
                          const struct frame *frame)
{
    size_t bytes = frame_bytes(frame->pieces, frame->count);
    uint8_t addresses[ADDRESSES_BYTES];

    from->counters.frames_in++;
    from->counters.bytes_in += bytes;
    if (bytes < FRAME_HEADER_BYTES || bytes > FRAME_BYTES_MAX || frame->count > FRAME_PIECES_MAX) {
        from->counters.malformed++;
        return;
    }
    (void)frame_copy(frame->pieces, frame->count, 0, addresses, sizeof addresses);
    const uint8_t *sender = addresses + FRAME_ADDRESS_BYTES;
    // Nor does anybody on the wire speak in our name.
    bool honest = from == network->wire ? !is_ours(network, sender) : has_address(from, sender);
    if (!honest)
        from->counters.wrong_sender++;
    else if (!spend(&from->from, bytes, network->now))
        from->counters.limited_in++;
    else
        forward(network, from, frame, addresses, bytes);
}

void switch_receive(struct network_switch *network, struct switch_port *from,
                    const struct frame_piece *pieces, unsigned count)
{
    struct frame frame = {.pieces = pieces, .count = count};

    switch_receive_frame(network, from, &frame);
}
