// SPDX-License-Identifier: BSD-2-Clause
// The bytes of one port. What arrives stays in the buffer that the device filled
// until it has been read, and the buffer then goes back: so a reader that is slow
// makes the host wait. The ring of arrivals keeps the order of buffers and of
// the ends of sessions between them.
#include "console_port.h"

void virtio_port_offer(struct virtqueue *queue, struct virtio_console_buffer *buffer,
                       uint32_t bytes)
{
    struct virtio_segment segment = {.bus = buffer->bus, .bytes = bytes};
    struct virtqueue_chain chain = {.segments = &segment, .writable = 1, .cookie = buffer};

    // There is room for every buffer; a broken queue is for the restart to mend.
    (void)virtqueue_add_chain(queue, &chain);
}

void virtio_port_reclaim(struct virtqueue *queue, struct virtio_console_buffer **free)
{
    struct virtqueue_completion completion;

    while (virtqueue_take(queue, &completion)) {
        struct virtio_console_buffer *buffer = completion.cookie;
        buffer->next = *free;
        *free = buffer;
    }
}

void virtio_port_initialize(struct virtio_console *console, struct virtio_console_port *port)
{
    port->posted = false;
    port->transmit_free = NULL;
    for (uint32_t i = console->sizes.transmit_buffers; i-- > 0;) {
        port->transmit_buffers[i].next = port->transmit_free;
        port->transmit_free = &port->transmit_buffers[i];
    }
    virtqueue_interrupts_off(&port->transmit);
}

void virtio_port_post(struct virtio_console *console, struct virtio_console_port *port)
{
    if (port->posted)
        return;
    for (uint32_t i = 0; i < console->sizes.receive_buffers; i++)
        virtio_port_offer(&port->receive, &port->receive_buffers[i], console->sizes.receive_bytes);
    port->posted = true;
    virtio_kick(console->device, &port->receive);
}

// --- Receiving ---------------------------------------------------------------------

static struct virtio_console_arrival *arrival_at(const struct virtio_console *console,
                                                 const struct virtio_console_port *port,
                                                 uint32_t index)
{
    return &port->arrivals[(port->arrival_first + index) % virtio_port_arrivals_max(console)];
}

static void add_arrival(struct virtio_console *console, struct virtio_console_port *port,
                        struct virtio_console_buffer *buffer, uint32_t bytes)
{
    *arrival_at(console, port, port->arrival_count) =
        (struct virtio_console_arrival){.buffer = buffer, .end = bytes};
    port->arrival_count++;
}

static struct virtio_console_arrival remove_arrival(struct virtio_console *console,
                                                    struct virtio_console_port *port)
{
    struct virtio_console_arrival arrival = *arrival_at(console, port, 0);

    port->arrival_first = (port->arrival_first + 1) % virtio_port_arrivals_max(console);
    port->arrival_count--;
    return arrival;
}

static void take_received(struct virtio_console *console, struct virtio_console_port *port)
{
    struct virtqueue_completion completion;

    while (virtqueue_take(&port->receive, &completion)) {
        console->counters.bad_lengths += completion.bad_length;
        // What is said to be longer than the buffer may be anything.
        if (port->attached && !completion.bad_length && completion.bytes != 0) {
            add_arrival(console, port, completion.cookie, completion.bytes);
            continue;
        }
        port->refused_bytes += completion.bytes;
        virtio_port_offer(&port->receive, completion.cookie, console->sizes.receive_bytes);
    }
    virtio_kick(console->device, &port->receive);
}

void virtio_port_poll(struct virtio_console *console, struct virtio_console_port *port)
{
    take_received(console, port);
    virtio_port_reclaim(&port->transmit, &port->transmit_free);
    if (port->transmit_free != NULL && port->transmit.interrupts)
        virtqueue_interrupts_off(&port->transmit);
}

void virtio_port_end_session(struct virtio_console *console, struct virtio_console_port *port)
{
    uint32_t count = port->arrival_count;

    // Two ends in a row look like one.
    if (count != 0 && arrival_at(console, port, count - 1)->buffer == NULL)
        return;
    add_arrival(console, port, NULL, 0);
    port->hangups++;
}

void virtio_port_set_host(struct virtio_console *console, struct virtio_console_port *port,
                          bool open)
{
    if (port->host_open && !open) {
        take_received(console, port); // before its end
        if (port->attached)
            virtio_port_end_session(console, port);
    }
    port->host_open = open;
}

bool virtio_console_can_read(const struct virtio_console *console, uint32_t number)
{
    return number < console->sizes.ports && console->ports[number].arrival_count != 0;
}

// Copies from the oldest arrival; when it is used up its buffer goes back.
static size_t read_arrival(struct virtio_console *console, struct virtio_console_port *port,
                           uint8_t *to, size_t bytes)
{
    struct virtio_console_arrival *arrival = arrival_at(console, port, 0);
    size_t rest = arrival->end - arrival->first;
    size_t part = bytes < rest ? bytes : rest;

    memcpy(to, arrival->buffer->bytes + arrival->first, part);
    arrival->first += (uint32_t)part;
    if (arrival->first == arrival->end) {
        virtio_port_offer(&port->receive, remove_arrival(console, port).buffer,
                          console->sizes.receive_bytes);
        virtio_kick(console->device, &port->receive);
    }
    return part;
}

size_t virtio_console_read(struct virtio_console *console, uint32_t number, void *buffer,
                           size_t bytes, bool *hangup)
{
    size_t done = 0;

    *hangup = false;
    if (number >= console->sizes.ports || bytes == 0)
        return 0;
    struct virtio_console_port *port = &console->ports[number];
    while (done < bytes && port->arrival_count != 0 && arrival_at(console, port, 0)->buffer != NULL)
        done += read_arrival(console, port, (uint8_t *)buffer + done, bytes - done);
    if (done == 0 && port->arrival_count != 0) {
        (void)remove_arrival(console, port);
        port->hangups--;
        *hangup = true;
    }
    return done;
}

// --- Transmitting ------------------------------------------------------------------

enum virtio_error virtio_console_can_write(const struct virtio_console *console, uint32_t number)
{
    if (number >= console->sizes.ports || !console->ports[number].present)
        return VIRTIO_NO_DEVICE;
    const struct virtio_console_port *port = &console->ports[number];
    if (port->hangups != 0)
        return VIRTIO_HANGUP;
    if (port->transmit.fault != VIRTQUEUE_SOUND)
        return VIRTIO_BROKEN;
    return port->host_open && port->transmit_free != NULL ? VIRTIO_OK : VIRTIO_FULL;
}

static struct virtio_console_buffer *take_free(struct virtio_console_port *port)
{
    struct virtio_console_buffer *buffer = port->transmit_free;

    port->transmit_free = buffer->next;
    return buffer;
}

size_t virtio_console_write(struct virtio_console *console, uint32_t number, const void *buffer,
                            size_t bytes)
{
    size_t done = 0;

    while (done < bytes && virtio_console_can_write(console, number) == VIRTIO_OK) {
        struct virtio_console_port *port = &console->ports[number];
        struct virtio_console_buffer *free = take_free(port);
        size_t rest = bytes - done;
        size_t part = rest < console->sizes.transmit_bytes ? rest : console->sizes.transmit_bytes;
        memcpy(free->bytes, (const uint8_t *)buffer + done, part);
        struct virtio_segment segment = {.bus = free->bus, .bytes = (uint32_t)part};
        struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = free};
        if (virtqueue_add_chain(&port->transmit, &chain) != VIRTIO_OK)
            break; // broken: the restart makes the buffer free again
        done += part;
        // Those that were sent meanwhile; if there are none, an interrupt is to tell.
        if (port->transmit_free == NULL)
            virtio_port_reclaim(&port->transmit, &port->transmit_free);
        if (port->transmit_free == NULL && virtqueue_interrupts_on(&port->transmit))
            virtio_port_reclaim(&port->transmit, &port->transmit_free);
    }
    return done;
}

void virtio_console_commit(struct virtio_console *console, uint32_t number)
{
    if (number < console->sizes.ports)
        virtio_kick(console->device, &console->ports[number].transmit);
}
