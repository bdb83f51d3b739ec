// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.3: opening, memory, starting, and sessions.
#include "console_port.h"

#define F_MULTIPORT (1ull << 1)

#define CONFIG_PORTS 4u // of the device's configuration: how many there can be

// Queues: of port 0, of the control messages, of the ports from 1 on.
#define CONTROL_IN  2u
#define CONTROL_OUT 3u

#define CONTROL_BUFFERS    32u
#define RESPONSES_PER_CALL 4u // at most, to one message from here
#define BUFFER_BYTES_MAX   65536u
#define OWN_ALIGNMENT      16u
#define SINGLE_PORT        0u

static uint16_t receive_queue(uint32_t port)
{
    return (uint16_t)(port == 0 ? 0 : 2 * port + 2);
}

static uint16_t transmit_queue(uint32_t port)
{
    return (uint16_t)(receive_queue(port) + 1);
}

// --- Opening -----------------------------------------------------------------------

static enum virtio_error check_sizes(const struct virtio_console_sizes *sizes)
{
    bool sense = sizes->ports != 0 && sizes->ports <= VIRTIO_CONSOLE_PORTS_MAX &&
                 sizes->receive_buffers != 0 && sizes->receive_bytes != 0 &&
                 sizes->transmit_buffers != 0 && sizes->transmit_bytes != 0 &&
                 sizes->receive_bytes <= BUFFER_BYTES_MAX &&
                 sizes->transmit_bytes <= BUFFER_BYTES_MAX;

    return sense ? VIRTIO_OK : VIRTIO_INVALID;
}

static uint16_t power_of_two_from(uint32_t count)
{
    uint32_t power = 1;

    while (power < count && power < VIRTQUEUE_SIZE_MAX)
        power *= 2;
    return (uint16_t)power;
}

static void make_at_most(uint16_t *value, uint32_t limit)
{
    if (*value > limit)
        *value = (uint16_t)limit;
}

// How many ports the device can have. Without control messages there is one.
static void limit_ports(struct virtio_console *console)
{
    uint32_t ports = 1;

    if (console->multiport)
        ports = (uint32_t)virtio_read(console->device, CONFIG_PORTS, 4);
    make_at_most(&console->sizes.ports, ports);
}

static enum virtio_error find_queue_sizes(struct virtio_console *console)
{
    struct virtio_console_sizes *sizes = &console->sizes;

    console->receive_size = virtio_queue_size(console->device, receive_queue(0),
                                              power_of_two_from(sizes->receive_buffers));
    console->transmit_size = virtio_queue_size(console->device, transmit_queue(0),
                                               power_of_two_from(sizes->transmit_buffers));
    make_at_most(&sizes->receive_buffers, console->receive_size);
    make_at_most(&sizes->transmit_buffers, console->transmit_size);
    bool found = console->receive_size != 0 && console->transmit_size != 0;
    if (console->multiport) {
        console->control_in_size = virtio_queue_size(console->device, CONTROL_IN, CONTROL_BUFFERS);
        console->control_out_size =
            virtio_queue_size(console->device, CONTROL_OUT, CONTROL_BUFFERS);
        found = found && console->control_in_size != 0 && console->control_out_size != 0;
    }
    return found ? VIRTIO_OK : VIRTIO_NO_QUEUE;
}

enum virtio_error virtio_console_open(struct virtio_console *console, struct virtio_device *device,
                                      const struct virtio_console_sizes *sizes)
{
    *console = (struct virtio_console){.device = device, .sizes = *sizes};
    if (device->type != VIRTIO_TYPE_CONSOLE)
        return VIRTIO_NO_DEVICE;
    enum virtio_error error = check_sizes(sizes);
    if (error == VIRTIO_OK)
        error = virtio_begin(device, F_MULTIPORT, 0);
    if (error != VIRTIO_OK)
        return error;
    console->multiport = virtio_has(device, F_MULTIPORT);
    limit_ports(console);
    return console->sizes.ports != 0 ? find_queue_sizes(console) : VIRTIO_BAD_CONFIGURATION;
}

// --- Memory ------------------------------------------------------------------------

static uint32_t control_in_count(const struct virtio_console *console)
{
    return console->control_in_size < CONTROL_BUFFERS ? console->control_in_size : CONTROL_BUFFERS;
}

// A device that finds no buffer for an answer loses it, so there are never more
// calls under way than have room for their answers.
static uint32_t control_out_count(const struct virtio_console *console)
{
    uint32_t count = control_in_count(console) / RESPONSES_PER_CALL;

    if (count > console->control_out_size)
        count = console->control_out_size;
    return count != 0 || !console->multiport ? count : 1;
}

// What is left of the memory while it is handed out.
struct carve {
    uint8_t *shared, *own;
    uint64_t bus;
    size_t shared_bytes, own_bytes;
};

static void *carve_own(struct carve *carve, size_t bytes)
{
    uint8_t *piece = carve->own;

    bytes = virtio_align(bytes, OWN_ALIGNMENT);
    carve->own_bytes += bytes;
    if (piece != NULL)
        carve->own += bytes;
    return piece;
}

static void carve_queue(struct carve *carve, struct virtio_console *console,
                        struct virtqueue *queue, uint16_t index, uint16_t size)
{
    size_t bytes = virtqueue_shared_bytes(size);
    void *own = carve_own(carve, virtqueue_own_bytes(size));

    carve->shared_bytes += bytes;
    if (own == NULL)
        return;
    virtqueue_initialize(queue, index, size, virtio_queue_options(console->device), carve->shared,
                         carve->bus, own);
    carve->shared += bytes;
    carve->bus += bytes;
}

static struct virtio_console_buffer *carve_buffers(struct carve *carve, uint32_t count,
                                                   uint32_t bytes)
{
    struct virtio_console_buffer *buffers = carve_own(carve, count * sizeof *buffers);

    carve->shared_bytes += (size_t)count * bytes;
    for (uint32_t i = 0; buffers != NULL && i < count; i++) {
        buffers[i] = (struct virtio_console_buffer){.bytes = carve->shared, .bus = carve->bus};
        carve->shared += bytes;
        carve->bus += bytes;
    }
    return buffers;
}

// Hands out all memory, or, when `carve` begins with none, counts what is needed.
// Queues come first, since they are aligned.
static void carve_all(struct virtio_console *console, struct carve *carve)
{
    const struct virtio_console_sizes *sizes = &console->sizes;
    struct virtio_console_port unplaced = {0};
    bool placed = carve->own != NULL;

    struct virtio_console_port *ports = carve_own(carve, sizes->ports * sizeof *ports);
    if (console->multiport) {
        carve_queue(carve, console, &console->control_in, CONTROL_IN, console->control_in_size);
        carve_queue(carve, console, &console->control_out, CONTROL_OUT, console->control_out_size);
    }
    for (uint32_t i = 0; i < sizes->ports; i++) {
        struct virtio_console_port *port = placed ? &ports[i] : &unplaced;
        carve_queue(carve, console, &port->receive, receive_queue(i), console->receive_size);
        carve_queue(carve, console, &port->transmit, transmit_queue(i), console->transmit_size);
    }
    console->control_in_buffers =
        carve_buffers(carve, control_in_count(console), VIRTIO_CONTROL_BYTES);
    console->control_out_buffers =
        carve_buffers(carve, control_out_count(console), VIRTIO_CONTROL_BYTES);
    for (uint32_t i = 0; i < sizes->ports; i++) {
        struct virtio_console_port *port = placed ? &ports[i] : &unplaced;
        port->receive_buffers = carve_buffers(carve, sizes->receive_buffers, sizes->receive_bytes);
        port->transmit_buffers =
            carve_buffers(carve, sizes->transmit_buffers, sizes->transmit_bytes);
        port->arrivals =
            carve_own(carve, virtio_port_arrivals_max(console) * sizeof *port->arrivals);
    }
    console->ports = ports;
}

size_t virtio_console_shared_bytes(const struct virtio_console *console)
{
    struct virtio_console copy = *console;
    struct carve carve = {0};

    carve_all(&copy, &carve);
    return carve.shared_bytes;
}

size_t virtio_console_own_bytes(const struct virtio_console *console)
{
    struct virtio_console copy = *console;
    struct carve carve = {0};

    carve_all(&copy, &carve);
    return carve.own_bytes;
}

// --- Starting ----------------------------------------------------------------------

static enum virtio_error start_queues(struct virtio_console *console)
{
    enum virtio_error error = VIRTIO_OK;

    if (console->multiport) {
        error = virtio_start_queue(console->device, &console->control_in);
        if (error == VIRTIO_OK)
            error = virtio_start_queue(console->device, &console->control_out);
    }
    for (uint32_t i = 0; error == VIRTIO_OK && i < console->sizes.ports; i++) {
        error = virtio_start_queue(console->device, &console->ports[i].receive);
        if (error == VIRTIO_OK)
            error = virtio_start_queue(console->device, &console->ports[i].transmit);
    }
    return error == VIRTIO_OK ? virtio_run(console->device) : error;
}

static void greet(struct virtio_console *console)
{
    if (!console->multiport) {
        struct virtio_console_port *port = &console->ports[SINGLE_PORT];
        port->present = true;
        port->host_open = true;
        virtio_port_post(console, port);
        return;
    }
    virtio_control_greet(console, control_in_count(console), control_out_count(console));
}

static enum virtio_error run(struct virtio_console *console)
{
    struct carve carve = {
        .shared = console->memory.shared,
        .own = console->memory.own,
        .bus = console->memory.shared_bus,
    };

    carve_all(console, &carve);
    for (uint32_t i = 0; i < console->sizes.ports; i++)
        virtio_port_initialize(console, &console->ports[i]);
    enum virtio_error error = start_queues(console);
    if (error == VIRTIO_OK)
        greet(console);
    return error;
}

enum virtio_error virtio_console_start(struct virtio_console *console,
                                       const struct virtio_memory *memory)
{
    if (memory->shared_bytes < virtio_console_shared_bytes(console) ||
        memory->own_bytes < virtio_console_own_bytes(console))
        return VIRTIO_NO_MEMORY;
    console->memory = *memory;
    memset(memory->own, 0, virtio_console_own_bytes(console));
    return run(console);
}

// --- Running -----------------------------------------------------------------------

void virtio_console_poll(struct virtio_console *console)
{
    if (console->multiport)
        virtio_control_poll(console);
    for (uint32_t i = 0; i < console->sizes.ports; i++) {
        if (console->ports[i].posted)
            virtio_port_poll(console, &console->ports[i]);
    }
}

static void drop_arrivals(struct virtio_console *console, struct virtio_console_port *port)
{
    bool hangup;
    uint8_t bytes[64];
    uint32_t number = (uint32_t)(port - console->ports);

    while (port->arrival_count != 0)
        (void)virtio_console_read(console, number, bytes, sizeof bytes, &hangup);
}

static void set_attached(struct virtio_console *console, uint32_t number, bool attached)
{
    if (number >= console->sizes.ports || console->ports[number].attached == attached)
        return;
    struct virtio_console_port *port = &console->ports[number];
    if (port->posted)
        virtio_port_poll(console, port); // what came before belongs to before
    drop_arrivals(console, port);
    port->attached = attached;
    port->owes_open = console->multiport && port->present;
    if (console->multiport)
        virtio_control_send(console);
}

void virtio_console_attach(struct virtio_console *console, uint32_t port)
{
    set_attached(console, port, true);
}

void virtio_console_detach(struct virtio_console *console, uint32_t port)
{
    set_attached(console, port, false);
}

bool virtio_console_is_broken(const struct virtio_console *console)
{
    bool broken = console->control_in.fault != VIRTQUEUE_SOUND ||
                  console->control_out.fault != VIRTQUEUE_SOUND;

    for (uint32_t i = 0; i < console->sizes.ports; i++)
        broken = broken || console->ports[i].receive.fault != VIRTQUEUE_SOUND ||
                 console->ports[i].transmit.fault != VIRTQUEUE_SOUND;
    return broken;
}

// Whether the memory is laid out as it was.
static bool is_alike(const struct virtio_console *a, const struct virtio_console *b)
{
    return a->multiport == b->multiport && a->sizes.ports == b->sizes.ports &&
           a->sizes.receive_buffers == b->sizes.receive_buffers &&
           a->sizes.transmit_buffers == b->sizes.transmit_buffers &&
           a->receive_size == b->receive_size && a->transmit_size == b->transmit_size &&
           a->control_in_size == b->control_in_size && a->control_out_size == b->control_out_size;
}

// Unread bytes are lost with the buffers; that a session ended is not.
static void end_sessions(struct virtio_console *console)
{
    for (uint32_t i = 0; i < console->sizes.ports; i++) {
        struct virtio_console_port *port = &console->ports[i];
        bool ended = port->attached && (port->host_open || port->hangups != 0);
        port->present = port->host_open = false;
        port->owes_ready = port->owes_open = false;
        port->arrival_count = port->hangups = 0;
        if (ended)
            virtio_port_end_session(console, port);
    }
}

enum virtio_error virtio_console_restart(struct virtio_console *console)
{
    struct virtio_console before = *console;
    enum virtio_error error = virtio_begin(console->device, F_MULTIPORT, before.device->features);

    end_sessions(console);
    if (error != VIRTIO_OK)
        return error;
    console->multiport = virtio_has(console->device, F_MULTIPORT);
    limit_ports(console);
    error = find_queue_sizes(console);
    if (error != VIRTIO_OK)
        return error;
    return is_alike(console, &before) ? run(console) : VIRTIO_NO_FEATURE;
}
