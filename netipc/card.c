// SPDX-License-Identifier: BSD-2-Clause
// One card, one wire.
#include "netipc/card.h"

#include "netipc/interface.h"
#include "netipc/platform.h"
#include "netipc/server.h"

#include "lib/port.h"

#include <stdio.h>

#define BUDGET 64u // frames before others have their turn

static const struct network_driver *const drivers[] = {&virtio_net_driver};

static struct {
    struct network_switch *network;
    struct network_card *card;
    struct switch_port wire;
    struct event_source source;
    struct event_step receive_step, send_step;
    uint64_t event_bits; // came, and not yet handed to the driver
    void (*room)(void);
} wire;

static bool transmit(struct switch_port *port, const struct frame *frame)
{
    (void)port;
    return wire.card->driver->transmit(wire.card, frame);
}

static void received(void *context, const struct frame *frame)
{
    (void)context;
    switch_receive_frame(wire.network, &wire.wire, frame);
}

static void has_room(void *context)
{
    (void)context;
    if (wire.room != NULL)
        wire.room();
}

static void has_interrupted(struct event_source *source, struct message *message)
{
    (void)source;
    if (message->id == MESSAGE_ID_EVENT)
        wire.event_bits |= message->words[0];
}

static uint64_t receive_step(struct event_step *step)
{
    uint64_t bits = wire.event_bits;

    (void)step;
    wire.event_bits = 0;
    wire.network->now = network_now();
    bool more = wire.card->driver->poll(wire.card, bits, BUDGET);
    uint64_t deadline = interface_poll();
    return more ? 0 : deadline;
}

static uint64_t send_step(struct event_step *step)
{
    (void)step;
    card_flush();
    return UINT64_MAX;
}

struct network_card *card_open(struct network_switch *network)
{
    struct network_card_events events = {.received = received, .room = has_room};
    port_name_t send;

    wire.network = network;
    wire.source.message = has_interrupted;
    if (server_add_source(&wire.source) != ERR_OK ||
        port_make_send(wire.source.receive, &send) != ERR_OK) {
        printf("net: no port for the card's interrupts\n");
        return NULL;
    }
    for (unsigned i = 0; wire.card == NULL && i < sizeof drivers / sizeof drivers[0]; i++)
        wire.card = drivers[i]->open(send, &events);
    (void)port_deallocate(send);
    if (wire.card == NULL) {
        server_remove_source(&wire.source);
        return NULL;
    }
    wire.wire = (struct switch_port){.name = "wire", .transmit_frame = transmit};
    switch_set_wire(network, &wire.wire);
    wire.receive_step.step = receive_step;
    server_add_step(&wire.receive_step);
    return wire.card;
}

void card_flush(void)
{
    interface_flush();
    if (wire.card != NULL)
        wire.card->driver->flush(wire.card);
}

void card_finish_steps(void)
{
    if (wire.card == NULL)
        return;
    wire.send_step.step = send_step;
    server_add_step(&wire.send_step);
}

void card_on_room(void (*room)(void))
{
    wire.room = room;
}
