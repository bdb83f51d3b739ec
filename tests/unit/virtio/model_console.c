// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.3.6, from the device's side. Whoever the guest
// says is ready is told about by the test's `control`.
#include "model_console.h"

#include <string.h>

struct message {
    uint32_t port;
    uint16_t event, value;
};

#define DEVICE_READY 0
#define PORT_READY   3
#define PORT_OPEN    6
#define CONTROL_IN   2
#define CONTROL_OUT  3

unsigned console_receive_queue(uint32_t port)
{
    return port == 0 ? 0 : 2 * port + 2;
}

unsigned console_transmit_queue(uint32_t port)
{
    return console_receive_queue(port) + 1;
}

// --- Control -----------------------------------------------------------------------

static void take_control(struct console_model *console, const struct message *message)
{
    console->controls++;
    if (message->event == DEVICE_READY) {
        console->guest_ready = true;
    } else {
        MODEL_CHECK(console->guest_ready);
        MODEL_CHECK(message->event == PORT_READY || message->event == PORT_OPEN);
        if (message->port < CONSOLE_PORTS) {
            struct console_model_port *port = &console->ports[message->port];
            if (message->event == PORT_READY) {
                port->guest_ready = message->value == 1;
                port->refused = message->value == 0;
            } else {
                MODEL_CHECK(port->guest_ready);
                port->guest_open = message->value == 1;
            }
        }
    }
    if (console->control != NULL)
        console->control(console, message->port, message->event, message->value);
}

static void serve_control(struct console_model *console)
{
    static struct model_chain chain;
    struct message message;

    while (model_pop_or_wait(&console->model, CONTROL_OUT, &chain)) {
        MODEL_CHECK(chain.readable_bytes == sizeof message && chain.writable == 0);
        model_read_chain(&console->model, &chain, 0, &message, sizeof message);
        uint16_t head = chain.head;
        take_control(console, &message);
        model_push(&console->model, CONTROL_OUT, head, 0);
        model_signal(&console->model, CONTROL_OUT);
    }
}

static void was_notified(struct model *model, unsigned queue)
{
    if (queue == CONTROL_OUT && (model->accepted & CONSOLE_F_PORTS))
        serve_control(model->context);
}

static void was_reset(struct model *model)
{
    struct console_model *console = model->context;

    console->guest_ready = false;
    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        console->ports[i].guest_ready = false;
        console->ports[i].guest_open = false;
    }
}

void console_model_control(struct console_model *console, uint32_t port, unsigned event,
                           unsigned value, const void *rest, size_t bytes)
{
    static struct model_chain chain;
    struct message message = {.port = port, .event = (uint16_t)event, .value = (uint16_t)value};

    if (!model_pop(&console->model, CONTROL_IN, &chain)) {
        console->controls_lost++;
        return;
    }
    MODEL_CHECK(chain.readable == 0);
    model_write_chain(&console->model, &chain, 0, &message, sizeof message);
    size_t more = model_write_chain(&console->model, &chain, sizeof message, rest, bytes);
    model_push(&console->model, CONTROL_IN, chain.head, (uint32_t)(sizeof message + more));
    model_signal(&console->model, CONTROL_IN);
}

// --- Data --------------------------------------------------------------------------

size_t console_model_send(struct console_model *console, uint32_t port, const void *bytes,
                          size_t count, size_t piece)
{
    static struct model_chain chain;
    unsigned queue = console_receive_queue(port);
    size_t done = 0;

    while (done < count && model_pop(&console->model, queue, &chain)) {
        MODEL_CHECK(chain.readable == 0);
        size_t part = chain.writable_bytes;
        if (piece != 0 && part > piece)
            part = piece;
        if (part > count - done)
            part = count - done;
        model_write_chain(&console->model, &chain, 0, (const uint8_t *)bytes + done, part);
        model_push(&console->model, queue, chain.head, (uint32_t)part);
        done += part;
    }
    model_signal(&console->model, queue);
    return done;
}

void console_model_receive(struct console_model *console, uint32_t number)
{
    static struct model_chain chain;
    struct console_model_port *port = &console->ports[number];
    unsigned queue = console_transmit_queue(number);

    if (port->from_guest == NULL)
        port->from_guest = malloc(CONSOLE_SENT_MAX);
    MODEL_CHECK(port->from_guest != NULL);
    while (port->window != 0 && model_pop(&console->model, queue, &chain)) {
        MODEL_CHECK(chain.writable == 0);
        MODEL_CHECK(chain.readable_bytes <= CONSOLE_SENT_MAX - port->from_guest_count);
        port->from_guest_count +=
            model_read_chain(&console->model, &chain, 0, port->from_guest + port->from_guest_count,
                             chain.readable_bytes);
        model_push(&console->model, queue, chain.head, 0);
        if (port->window != CONSOLE_NO_WINDOW)
            port->window--;
    }
    model_signal(&console->model, queue);
}

// --- Life --------------------------------------------------------------------------

void console_model_initialize(struct console_model *console, enum model_kind kind,
                              uint64_t features, uint16_t queue_size)
{
    uint32_t ports = CONSOLE_PORTS;

    memset(console, 0, sizeof *console);
    model_initialize(&console->model, kind, VIRTIO_TYPE_CONSOLE, features, 2 * CONSOLE_PORTS + 2,
                     queue_size);
    console->model.context = console;
    console->model.notified = was_notified;
    console->model.was_reset = was_reset;
    memcpy(console->model.config + 4, &ports, sizeof ports);
    for (unsigned i = 0; i < CONSOLE_PORTS; i++)
        console->ports[i].window = CONSOLE_NO_WINDOW;
}

void console_model_destroy(struct console_model *console)
{
    for (unsigned i = 0; i < CONSOLE_PORTS; i++)
        free(console->ports[i].from_guest);
    model_destroy(&console->model);
}
