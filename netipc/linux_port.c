// SPDX-License-Identifier: BSD-2-Clause
// See linux_port.h. Frames from Linux are taken behind each batch, some at a time, so
// that a flood of them does not keep the wire waiting. Of what Linux has written, the
// Ethernet header is copied before the switch looks at it; whoever takes the rest
// copies that.
#include "netipc/linux_port.h"

#include "netipc/memory.h"

#include "lib/ethernet_ring.h"
#include "lib/port.h"

#include <corvus/ethernet_dispatch.h>
#include <corvus/host.h>
#include <corvus/init_stubs.h>

#include <stdio.h>
#include <string.h>

#define BATCH       64   // frames from Linux in one step
#define DEFAULT_MTU 1500 // without a card

static struct {
    struct switch_port port;
    struct network_switch *network;
    struct event_source service, bell;
    struct event_step step;
    struct ethernet_memory *memory;
    struct ethernet_producer to_client;
    struct ethernet_consumer from_client;
    struct linux_port_counters counters;
    uint64_t mtu;
    port_name_t notify; // send right
    bool open;
    bool connected; // the wire
    bool due;       // there may be frames from Linux
} self;

static void ring_bell(void)
{
    self.counters.bells++;
    (void)msg_notify(self.notify, ETHERNET_EVENT); // a dead Linux is told otherwise
}

static void show_link(void)
{
    __atomic_store_n(&self.memory->link, self.connected ? 1 : 0, __ATOMIC_RELEASE);
}

// --- Frames ----------------------------------------------------------------------------

static void note_broken(bool broken)
{
    if (!broken)
        return;
    self.counters.broken_rings++;
    self.open = false;
}

static bool transmit(struct switch_port *port, const struct frame_piece *pieces, unsigned count)
{
    size_t bytes = frame_bytes(pieces, count);
    uint8_t *space;

    (void)port;
    if (!self.open) {
        self.counters.not_open++;
        return false;
    }
    space = bytes <= ETHERNET_FRAME_MAX ? ethernet_reserve(&self.to_client, (uint32_t)bytes) : NULL;
    if (space == NULL) {
        note_broken(self.to_client.broken);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        memcpy(space, pieces[i].data, pieces[i].bytes);
        space += pieces[i].bytes;
    }
    ethernet_commit(&self.to_client);
    if (ethernet_producer_must_ring(&self.to_client))
        ring_bell();
    return true;
}

static void pass_on(const uint8_t *frame, uint32_t bytes)
{
    uint8_t header[FRAME_HEADER_BYTES];
    const struct frame_piece pieces[2] = {{header, sizeof header},
                                          {frame + sizeof header, bytes - sizeof header}};

    memcpy(header, frame, sizeof header);
    switch_receive(self.network, &self.port, pieces, bytes > sizeof header ? 2 : 1);
}

static void take_frames(void)
{
    const void *frame;
    uint32_t bytes;

    for (unsigned taken = 0; taken < BATCH; taken++) {
        frame = ethernet_peek(&self.from_client, &bytes);
        if (frame == NULL) {
            self.due = ethernet_await_frames(&self.from_client);
            if (!self.due)
                break;
            continue;
        }
        pass_on(frame, bytes);
        ethernet_take(&self.from_client);
    }
    if (ethernet_consumer_must_ring(&self.from_client))
        ring_bell();
    self.counters.bad_frames += self.from_client.bad_frames;
    self.from_client.bad_frames = 0;
    note_broken(self.from_client.broken);
}

static uint64_t step(struct event_step *unused)
{
    (void)unused;
    if (self.open && self.due)
        take_frames();
    return self.open && self.due ? 0 : UINT64_MAX;
}

static void bell_rung(struct event_source *source, struct message *message)
{
    (void)source;
    message_drop_rights(message->tag);
    self.due = true;
}

// --- Opening and closing -----------------------------------------------------------------

static void close_port(void)
{
    self.open = self.due = false;
    if (self.notify == PORT_NULL)
        return;
    server_remove_source(&self.bell);
    (void)port_deallocate(self.notify);
    self.notify = PORT_NULL;
    (void)memory_unmap(NAME_TASK_SELF, (uint64_t)(uintptr_t)self.memory, ETHERNET_MEMORY_BYTES,
                       ACCESS_ALL, NULL, NULL, NULL);
    self.counters.closed++;
}

// A port for the client to ring at, and a send right, at whose end we hear of it.
static corvus_error_t make_bell(port_name_t *send)
{
    corvus_error_t error;

    self.bell = (struct event_source){.message = bell_rung};
    error = server_add_source(&self.bell);
    if (error != ERR_OK)
        return error;
    error = port_make_send(self.bell.receive, send);
    if (error == ERR_OK) {
        error =
            port_request_notification(self.bell.receive, NOTIFY_NO_SENDERS, self.service.receive);
        if (error != ERR_OK)
            (void)port_deallocate(*send);
    }
    if (error != ERR_OK)
        server_remove_source(&self.bell);
    return error;
}

static void start_rings(void)
{
    struct ethernet_memory *memory = self.memory;

    ethernet_memory_clear(memory);
    ethernet_producer_start(&self.to_client, &memory->to_client, memory->data_to_client);
    ethernet_consumer_start(&self.from_client, &memory->to_server, memory->data_to_server);
    show_link();
}

static uint64_t address_word(void)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < FRAME_ADDRESS_BYTES; i++)
        word |= (uint64_t)self.port.address[i] << 8 * i;
    return word;
}

static corvus_error_t open_port(uint64_t label, struct message_right notify, uint64_t *address,
                                uint64_t *mtu, struct message_right *bell,
                                struct message_item *memory)
{
    port_name_t send = PORT_NULL;

    (void)label;
    close_port();
    corvus_error_t error = make_bell(&send);
    if (error != ERR_OK) {
        (void)port_deallocate(notify.name);
        return error;
    }
    self.notify = notify.name;
    start_rings();
    *address = address_word();
    *mtu = self.mtu;
    *bell = move_send(send);
    *memory = (struct message_item){.kind = ITEM_MAP,
                                    .access = ACCESS_READ | ACCESS_WRITE,
                                    .address = (uint64_t)(uintptr_t)self.memory,
                                    .length = ETHERNET_MEMORY_BYTES};
    // Frames that Linux has put in before it is told that we wait for them.
    self.open = self.due = true;
    self.counters.opened++;
    return ERR_OK;
}

static const struct ethernet_operations operations = {.ethernet_open = open_port};

// An old bell's notice may come when there is a new one already.
static void client_gone(void)
{
    struct port_status status;

    if (self.notify != PORT_NULL && port_status(self.bell.receive, &status) == ERR_OK &&
        status.send_rights == 0)
        close_port();
}

static void answer(struct message *reply)
{
    port_name_t given = PORT_NULL;

    if (reply->tag & TAG_RIGHTS_MASK)
        given = utcb_self()->rights[0].name;
    if (msg_reply(reply) == ERR_OK || given == PORT_NULL)
        return;
    (void)port_deallocate(given); // nobody took it
    close_port();
}

static void service_message(struct event_source *source, struct message *message)
{
    struct message reply;

    (void)source;
    if (message->id == MESSAGE_ID_NO_SENDERS) {
        message_drop_rights(message->tag);
        client_gone();
        return;
    }
    if (!ethernet_serve(message, &reply, &operations))
        message_refuse(message, &reply);
    if (message_wants_reply(message))
        answer(&reply);
}

// --- The start ---------------------------------------------------------------------------

static corvus_error_t check_in(void)
{
    uint64_t name[4] = {0};

    memcpy(name, ETHERNET_NAME, strlen(ETHERNET_NAME));
    return bootstrap_check_in(NAME_BOOTSTRAP, name[0], name[1], name[2], name[3],
                              make_send(self.service.receive));
}

static bool open_service(void)
{
    self.service = (struct event_source){.message = service_message};
    corvus_error_t error = server_add_source(&self.service);
    if (error == ERR_OK)
        error = check_in();
    if (error != ERR_OK)
        printf("net: Linux's port cannot be checked in: error %d\n", error);
    return error == ERR_OK;
}

bool linux_port_start(const struct server_context *context)
{
    const uint8_t address[FRAME_ADDRESS_BYTES] = {0x52, 0x54, 0x00,
                                                  0xc1, 0x00, (uint8_t)context->node->number};

    self.network = context->network;
    self.mtu = context->card != NULL ? context->card->mtu : DEFAULT_MTU;
    self.connected = true;
    self.port = (struct switch_port){.name = "linux", .transmit = transmit};
    memcpy(self.port.address, address, sizeof address);
    self.memory = network_memory_allocate(ETHERNET_MEMORY_BYTES);
    if (self.memory == NULL || (uintptr_t)self.memory % ETHERNET_MEMORY_BYTES != 0) {
        printf("net: no memory to share with Linux\n");
        return false;
    }
    if (!open_service())
        return false;
    self.step.step = step;
    server_add_step(&self.step);
    switch_add_port(self.network, &self.port);
    return true;
}

void linux_port_set_link(bool connected)
{
    self.connected = connected;
    if (!self.open)
        return;
    show_link();
    ring_bell();
}

const struct linux_port_counters *linux_port_counters(void)
{
    return &self.counters;
}
