// SPDX-License-Identifier: BSD-2-Clause
// Between the parts of the console device: console.c, console_control.c with the
// control messages, console_port.c with the bytes of one port.
#pragma once

#include "console.h"

// How many arrivals there can be: each buffer, and an end of a session before
// the first and behind each.
static inline uint32_t virtio_port_arrivals_max(const struct virtio_console *console)
{
    return 2u * console->sizes.receive_buffers + 1;
}

// The queues have been initialized: makes all transmit buffers free ones.
void virtio_port_initialize(struct virtio_console *console, struct virtio_console_port *port);

// Gives the device the receive buffers, once.
void virtio_port_post(struct virtio_console *console, struct virtio_console_port *port);

// Takes what the device has done with the port's queues.
void virtio_port_poll(struct virtio_console *console, struct virtio_console_port *port);

// The host has opened or closed the port.
void virtio_port_set_host(struct virtio_console *console, struct virtio_console_port *port,
                          bool open);

// A session has ended behind what has arrived.
void virtio_port_end_session(struct virtio_console *console, struct virtio_console_port *port);

// Gives one buffer to the device, to write into; later to be published.
void virtio_port_offer(struct virtqueue *queue, struct virtio_console_buffer *buffer,
                       uint32_t bytes);

// Takes sent buffers back to a list of free ones.
void virtio_port_reclaim(struct virtqueue *queue, struct virtio_console_buffer **free);

#define VIRTIO_CONTROL_BYTES 128u // of a buffer for control messages

// Gives the device buffers for control messages and says that the driver is there.
void virtio_control_greet(struct virtio_console *console, uint32_t in, uint32_t out);

// Takes control messages, then sends what there is to be said, as far as it can.
void virtio_control_poll(struct virtio_console *console);
void virtio_control_send(struct virtio_console *console);
