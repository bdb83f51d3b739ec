// SPDX-License-Identifier: BSD-2-Clause
// One of two nodes on the host, each a process, with TCP/IP and transport, and the wire
// between them: a socket, which loses, doubles and reorders frames.
#pragma once

#include "netipc/heap.h"
#include "netipc/interface.h"
#include "netipc/memory.h"
#include "netipc/platform.h"
#include "netipc/transport.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PATIENCE_MS 4000u
enum { CHECK_LIMIT_MS = 30000 };

uint16_t network_checksum(const void *data, int bytes);

static struct network_switch network;
static struct switch_port wire;
static struct transport *transport;
static int wire_fd;
static unsigned loss; // frames of a thousand
static uint64_t random_state;
static bool quiet; // nothing goes out any more

// --- The platform -----------------------------------------------------------------------------

uint64_t network_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t network_random(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 32);
}

void *network_memory_allocate(size_t bytes)
{
    return aligned_alloc(HEAP_BLOCK_BYTES, bytes);
}

// --- The wire ---------------------------------------------------------------------------------

static bool put_on_wire(struct switch_port *port, const struct frame_piece *pieces, unsigned count)
{
    static uint8_t late[FRAME_BYTES_MAX];
    static size_t late_bytes;
    uint8_t frame[FRAME_BYTES_MAX];
    size_t bytes = frame_copy(pieces, count, 0, frame, sizeof frame);
    uint32_t luck = network_random() % 1000;

    (void)port;
    if (quiet || luck < loss)
        return true;
    if (luck < 2 * loss && late_bytes == 0) { // goes behind the next one
        memcpy(late, frame, bytes);
        late_bytes = bytes;
        return true;
    }
    if (send(wire_fd, frame, bytes, MSG_DONTWAIT) < 0)
        return false;
    if (luck > 1000 - loss / 2)
        (void)!send(wire_fd, frame, bytes, MSG_DONTWAIT);
    if (late_bytes != 0)
        (void)!send(wire_fd, late, late_bytes, MSG_DONTWAIT);
    late_bytes = 0;
    return true;
}

struct arrived {
    struct frame_hold hold; // the first
    uint8_t bytes[];
};

static void free_arrived(struct frame_hold *hold)
{
    free(hold);
}

// In two pieces, as from a card whose buffers are small.
static void arrive(const uint8_t *bytes, size_t count)
{
    struct arrived *arrived = malloc(sizeof *arrived + count);
    size_t first = count > 100 ? 100 : count;

    if (arrived == NULL)
        abort();
    arrived->hold = (struct frame_hold){.references = 1, .release = free_arrived};
    memcpy(arrived->bytes, bytes, count);
    struct frame_piece pieces[2] = {{arrived->bytes, first},
                                    {arrived->bytes + first, count - first}};
    struct frame frame = {.pieces = pieces, .count = first < count ? 2 : 1, .hold = &arrived->hold};
    switch_receive_frame(&network, &wire, &frame);
    frame_release(&arrived->hold);
}

static bool take_from_wire(void)
{
    uint8_t bytes[FRAME_BYTES_MAX];
    ssize_t count = recv(wire_fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (count > 0)
        arrive(bytes, (size_t)count);
    return count > 0;
}

static void run_round(void)
{
    uint64_t deadline = interface_poll(), next = transport_poll(transport), now = network_now();
    struct pollfd wait = {.fd = wire_fd, .events = POLLIN};

    transport_flush_all(transport);
    interface_flush();
    if (next < deadline)
        deadline = next;
    uint64_t ms = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
    (void)poll(&wait, 1, ms > 20 ? 20 : (int)ms);
    for (unsigned i = 0; i < 64 && take_from_wire(); i++) {
    }
    transport_has_room(transport);
}

static bool run_until(const bool *condition)
{
    uint64_t limit = network_now() + CHECK_LIMIT_MS * 1000000ull;

    while (!*condition && network_now() < limit)
        run_round();
    return *condition;
}

static void open_all(unsigned node, const struct transport_events *events)
{
    struct interface_settings settings = {
        .hardware = {2, 0, 0, 0, 0, (uint8_t)node},
        .address = 0x0a430000u | node,
        .mask = 0xffff0000u,
        .mtu = 1500,
    };
    struct transport_settings transport_settings = {.patience_ms = PATIENCE_MS};

    wire = (struct switch_port){.transmit = put_on_wire};
    switch_set_wire(&network, &wire);
    if (!interface_open(&network, NULL, &settings))
        abort();
    transport = transport_open(events, &transport_settings);
    if (transport == NULL)
        abort();
}
