// SPDX-License-Identifier: BSD-2-Clause
// The core's connections over TCP. Who is to be connected to is discovery.c's business.
#include "netipc/card.h"
#include "netipc/exchange.h"
#include "netipc/transport.h"

#include <stdio.h>
#include <stdlib.h>

// What is queued in one connection. More would only make short messages wait behind
// long ones.
#define QUEUED_BYTES_MAX (160u << 10)
#define CONNECT_PIECES   8u

// Of one connection, ours from its beginning to its end.
struct carrier {
    struct core_link *link; // NULL: the core has no interest (any more)
    struct transport_link *transport;
    uint32_t node; // that we connect to; 0: it connected to us
};

static struct transport *transport;
static struct carrier *outgoing[NODE_NUMBER_MAX + 1]; // by node: not yet a session

static uint64_t poll(struct event_step *step)
{
    (void)step;
    uint64_t deadline = transport_poll(transport);

    handoff_step();
    transport_flush_all(transport);
    return deadline;
}

struct transport_counters carrier_connections(void)
{
    return transport != NULL ? *transport_counters(transport) : (struct transport_counters){0};
}

// The loop is asleep, so nobody else shows the card these frames.
void carrier_flush(void)
{
    transport_flush_all(transport);
    card_flush();
}

static void card_has_room(void)
{
    transport_has_room(transport);
}

static struct event_step polling = {.step = poll};

// --- Out --------------------------------------------------------------------------------

bool carrier_transmit(void *context, void *link_owner, const void *data, size_t bytes, void *cookie)
{
    struct carrier *carrier = link_owner;

    (void)context;
    if (transport_unacknowledged(carrier->transport) >= QUEUED_BYTES_MAX)
        return false;
    return transport_send(carrier->transport, data, bytes, cookie) == TRANSPORT_OK;
}

void carrier_close(void *context, void *link_owner)
{
    struct carrier *carrier = link_owner;

    (void)context;
    if (outgoing[carrier->node] == carrier)
        outgoing[carrier->node] = NULL;
    transport_set_context(carrier->transport, NULL);
    transport_close(carrier->transport, false);
    free(carrier);
}

static void sent(void *context, struct transport_link *link, void *cookie)
{
    struct carrier *carrier = transport_context(link);

    (void)context;
    core_sent(exchange_core, cookie);
    if (carrier != NULL && carrier->link != NULL)
        core_link_writable(carrier->link);
}

// --- In ---------------------------------------------------------------------------------

static struct carrier *carrier_make(struct transport_link *link, uint32_t node)
{
    struct carrier *carrier = calloc(1, sizeof *carrier);

    if (carrier != NULL)
        *carrier = (struct carrier){.transport = link, .node = node};
    transport_set_context(link, carrier);
    return carrier;
}

static bool accepted(void *context, struct transport_link *link)
{
    struct carrier *carrier = carrier_make(link, CORE_NODE_NONE);

    (void)context;
    if (carrier == NULL)
        return false;
    carrier->link = core_link_open(exchange_core, CORE_NODE_NONE, carrier);
    if (carrier->link != NULL)
        return true;
    transport_set_context(link, NULL);
    free(carrier);
    return false;
}

static void connected(void *context, struct transport_link *link)
{
    struct carrier *carrier = transport_context(link);

    (void)context;
    outgoing[carrier->node] = NULL; // the core knows of it from here on
    carrier->link = core_link_open(exchange_core, carrier->node, carrier);
    if (carrier->link == NULL)
        carrier_close(NULL, carrier);
}

static void received(void *context, struct transport_link *link)
{
    struct frame_piece pieces[CONNECT_PIECES];
    unsigned count;

    (void)context;
    while ((count = transport_peek(link, pieces, CONNECT_PIECES)) != 0) {
        for (unsigned i = 0; i < count; i++) {
            struct carrier *carrier = transport_context(link);
            if (carrier == NULL || carrier->link == NULL)
                return; // the core has ended it meanwhile
            core_link_received(carrier->link, pieces[i].data, pieces[i].bytes);
            if (transport_context(link) == NULL)
                return;
            transport_consume(link, pieces[i].bytes);
        }
    }
}

static void closed(void *context, struct transport_link *link, enum transport_error reason)
{
    struct carrier *carrier = transport_context(link);

    (void)context;
    if (carrier == NULL)
        return;
    if (outgoing[carrier->node] == carrier)
        outgoing[carrier->node] = NULL;
    if (carrier->link != NULL)
        core_link_closed(carrier->link, transport_error_text(reason));
    free(carrier);
}

// --- Beginnings ---------------------------------------------------------------------------

void carrier_connect(uint32_t node, uint32_t address)
{
    struct transport_link *link;
    struct carrier *carrier;

    if (outgoing[node] != NULL || !core_wants_link(exchange_core, node))
        return;
    carrier = calloc(1, sizeof *carrier);
    if (carrier == NULL || transport_connect(transport, address, carrier, &link) != TRANSPORT_OK) {
        free(carrier);
        return; // the next beacon tries again
    }
    *carrier = (struct carrier){.transport = link, .node = node};
    outgoing[node] = carrier;
}

bool carrier_beacon(uint32_t address, const void *data, size_t bytes)
{
    return transport_beacon(transport, address, data, bytes) == TRANSPORT_OK;
}

static const struct transport_events events = {
    .accepted = accepted,
    .connected = connected,
    .received = received,
    .sent = sent,
    .closed = closed,
    .beacon = discovery_heard,
    .admits = discovery_admits,
};

bool carrier_start(const struct server_context *context)
{
    struct transport_settings settings = {.patience_ms =
                                              (uint32_t)(exchange_settings.dead_ns / 1000000)};

    if (exchange_core == NULL || context->card == NULL)
        return true;
    transport = transport_open(&events, &settings);
    if (transport == NULL) {
        printf("net: no memory for connections\n");
        return false;
    }
    card_on_room(card_has_room);
    server_add_step(&polling);
    discovery_start(context->node);
    return true;
}
