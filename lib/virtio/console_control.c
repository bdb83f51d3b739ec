// SPDX-License-Identifier: BSD-2-Clause
// The control messages of a console device (Virtual I/O Device 1.1, section
// 5.3.6.2), by which ports come, go, get their names, open and close. What is to
// be said and finds no buffer is remembered at its port and said later.
#include "console_port.h"

#define FIRST_PRINTABLE 0x20
#define LAST_PRINTABLE  0x7e

enum control_event {
    DEVICE_READY = 0,
    PORT_ADD = 1,
    PORT_REMOVE = 2,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    RESIZE = 5,
    PORT_OPEN = 6,
    PORT_NAME = 7,
};
struct control_message {
    uint32_t port;
    uint16_t event;
    uint16_t value;
};

// --- Control messages out ------------------------------------------------------------

// False when it must wait for a buffer.
static bool send_control(struct virtio_console *console, uint32_t port, enum control_event event,
                         uint16_t value)
{
    struct virtio_console_buffer *buffer = console->control_free;
    struct control_message message = {.port = port, .event = (uint16_t)event, .value = value};

    if (buffer == NULL)
        return false;
    struct virtio_segment segment = {.bus = buffer->bus, .bytes = sizeof message};
    struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = buffer};
    console->control_free = buffer->next;
    memcpy(buffer->bytes, &message, sizeof message);
    (void)virtqueue_add_chain(&console->control_out, &chain); // only a broken queue refuses it
    virtio_kick(console->device, &console->control_out);
    return true;
}

// Sends what ports have to say, as far as there are buffers. A port is opened only
// after it was said to be ready.
void virtio_control_send(struct virtio_console *console)
{
    for (uint32_t i = 0; i < console->sizes.ports; i++) {
        struct virtio_console_port *port = &console->ports[i];
        if (port->owes_ready && !send_control(console, i, PORT_READY, 1))
            return;
        port->owes_ready = false;
        if (port->owes_open && !send_control(console, i, PORT_OPEN, port->attached))
            return;
        port->owes_open = false;
    }
}

// --- Control messages in -------------------------------------------------------------

static void add_port(struct virtio_console *console, struct virtio_console_port *port)
{
    port->present = true;
    port->console = false;
    port->name[0] = '\0';
    port->owes_ready = true;
    port->owes_open = port->attached;
    virtio_port_post(console, port);
}

static void remove_port(struct virtio_console *console, struct virtio_console_port *port)
{
    virtio_port_set_host(console, port, false);
    port->present = false;
    port->owes_ready = false;
    port->owes_open = false;
}

// Names are shown to people: what is not printable is replaced.
static void name_port(struct virtio_console_port *port, const uint8_t *name, uint32_t bytes)
{
    uint32_t length = 0;

    for (; length < bytes && length < VIRTIO_CONSOLE_NAME_MAX && name[length] != '\0'; length++) {
        bool printable = name[length] >= FIRST_PRINTABLE && name[length] <= LAST_PRINTABLE;
        port->name[length] = printable ? (char)name[length] : '?';
    }
    port->name[length] = '\0';
}

// False when the message makes no sense.
static bool serve_control(struct virtio_console *console, const struct control_message *message,
                          const uint8_t *rest, uint32_t bytes)
{
    if (message->port >= console->sizes.ports) {
        // More ports than there is memory for: the device is told, if that can be at once.
        if (message->event == PORT_ADD)
            (void)send_control(console, message->port, PORT_READY, 0);
        return false;
    }
    struct virtio_console_port *port = &console->ports[message->port];
    if (message->event == PORT_ADD) {
        if (port->present)
            return false;
        add_port(console, port);
        return true;
    }
    if (!port->present)
        return false;
    switch (message->event) {
    case PORT_REMOVE:
        remove_port(console, port);
        return true;
    case CONSOLE_PORT:
        port->console = true;
        return true;
    case RESIZE:
        return true; // of a terminal: nobody here draws on one
    case PORT_OPEN:
        virtio_port_set_host(console, port, message->value != 0);
        return true;
    case PORT_NAME:
        name_port(port, rest, bytes);
        return true;
    default:
        return false;
    }
}

// The message is copied before it is looked at, for the device could change it.
static void take_control(struct virtio_console *console,
                         const struct virtqueue_completion *completion)
{
    const struct virtio_console_buffer *buffer = completion->cookie;
    uint8_t bytes[VIRTIO_CONTROL_BYTES];
    struct control_message message;
    bool sense = !completion->bad_length && completion->bytes >= sizeof message;

    console->counters.bad_lengths += completion->bad_length;
    if (sense) {
        memcpy(bytes, buffer->bytes, completion->bytes);
        memcpy(&message, bytes, sizeof message);
        sense = serve_control(console, &message, bytes + sizeof message,
                              completion->bytes - (uint32_t)sizeof message);
    }
    console->counters.bad_controls += !sense;
}

void virtio_control_poll(struct virtio_console *console)
{
    struct virtqueue_completion completion;

    // In this order: the answers to a call that is done are there.
    virtio_port_reclaim(&console->control_out, &console->control_free);
    while (virtqueue_take(&console->control_in, &completion)) {
        take_control(console, &completion);
        virtio_port_offer(&console->control_in, completion.cookie, VIRTIO_CONTROL_BYTES);
    }
    virtio_kick(console->device, &console->control_in);
    virtio_control_send(console);
}

void virtio_control_greet(struct virtio_console *console, uint32_t in, uint32_t out)
{
    console->control_free = NULL;
    for (uint32_t i = 0; i < out; i++) {
        console->control_out_buffers[i].next = console->control_free;
        console->control_free = &console->control_out_buffers[i];
    }
    for (uint32_t i = 0; i < in; i++)
        virtio_port_offer(&console->control_in, &console->control_in_buffers[i],
                          VIRTIO_CONTROL_BYTES);
    virtio_kick(console->device, &console->control_in);
    (void)send_control(console, 0, DEVICE_READY, 1); // the first: there is a buffer
}
