// SPDX-License-Identifier: BSD-2-Clause
// The console device (Virtual I/O Device 1.1, section 5.3), which carries up to
// hundreds of ports: byte streams between guest and host, with a name each, that
// either side opens and closes. In order: virtio_console_open, memory as large as
// it then wants, virtio_console_start; then virtio_console_poll after each
// interrupt, and read, write, attach and detach at any time.
//
// A session is the time between the host's opening of a port and its closing. Its
// end is seen by a reader behind its last byte, once: virtio_console_read tells
// `hangup`, and what it gives next is of another session. Until that was read
// nothing can be written, so that no late word of one session gets into the next;
// from then on a writer waits for the next. (Open and close come by another queue
// than the bytes, so when several sessions pass between two polls, their bytes may
// seem to belong to the first.)
//
// Not thread-safe: the caller holds a lock. When virtio_console_is_broken or
// virtio_needs_reset: virtio_console_restart.
#pragma once

#include "device.h"

#define VIRTIO_CONSOLE_NAME_MAX  64u
#define VIRTIO_CONSOLE_PORTS_MAX 64u

// How much memory each port gets. Buffers are a power of two of bytes.
struct virtio_console_sizes {
    uint16_t ports; // at most, 1..VIRTIO_CONSOLE_PORTS_MAX; more are refused to the device
    uint16_t receive_buffers;
    uint32_t receive_bytes; // of each
    uint16_t transmit_buffers;
    uint32_t transmit_bytes;
};

struct virtio_console_buffer {
    uint8_t *bytes;
    uint64_t bus;
    struct virtio_console_buffer *next; // free ones, to send with
};

// What has arrived and was not yet read: a buffer's rest, or the end of a session.
struct virtio_console_arrival {
    struct virtio_console_buffer *buffer; // NULL: a session ended here
    uint32_t first, end;
};

struct virtio_console_port {
    bool present;   // the device has it
    bool host_open; // a session
    bool attached;  // virtio_console_attach
    bool console;   // meant for a terminal
    char name[VIRTIO_CONSOLE_NAME_MAX + 1];

    // The library's own.
    bool posted; // the device has the receive buffers
    bool owes_ready, owes_open;
    uint64_t refused_bytes; // that came while nobody was attached
    struct virtqueue receive, transmit;
    struct virtio_console_buffer *receive_buffers, *transmit_buffers, *transmit_free;
    struct virtio_console_arrival *arrivals; // a ring
    uint32_t arrival_first, arrival_count;
    uint32_t hangups; // ends of sessions among them
};

struct virtio_console_counters {
    uint64_t bad_controls; // messages that make no sense, or of ports beyond those there can be
    uint64_t bad_lengths;
};

struct virtio_console {
    struct virtio_device *device;
    struct virtio_console_sizes sizes;
    bool multiport;
    uint16_t receive_size, transmit_size; // of the queues
    uint16_t control_in_size, control_out_size;
    struct virtqueue control_in, control_out;
    struct virtio_console_buffer *control_in_buffers, *control_out_buffers, *control_free;
    struct virtio_console_port *ports; // sizes.ports of them
    struct virtio_memory memory;
    struct virtio_console_counters counters;
};

// Agrees with the device. `sizes` is what the caller wants; console->sizes is made
// less where the device has fewer ports or smaller queues.
enum virtio_error virtio_console_open(struct virtio_console *console, struct virtio_device *device,
                                      const struct virtio_console_sizes *sizes);

size_t virtio_console_shared_bytes(const struct virtio_console *console);
size_t virtio_console_own_bytes(const struct virtio_console *console);
enum virtio_error virtio_console_start(struct virtio_console *console,
                                       const struct virtio_memory *memory);

// Takes what the device has done. Afterwards look at the ports.
void virtio_console_poll(struct virtio_console *console);

// Tells the host that somebody is there, or no more; that drops what has not been
// read. Data that comes while nobody is attached is dropped.
void virtio_console_attach(struct virtio_console *console, uint32_t port);
void virtio_console_detach(struct virtio_console *console, uint32_t port);

// Takes up to `bytes` of what arrived. 0 and *hangup: a session ended here; 0
// alone: nothing there.
size_t virtio_console_read(struct virtio_console *console, uint32_t port, void *buffer,
                           size_t bytes, bool *hangup);

// Whether virtio_console_read gives anything.
bool virtio_console_can_read(const struct virtio_console *console, uint32_t port);

// OK; FULL: later, when the host has taken some or is there at all; HANGUP: the end
// of a session was not read yet; BROKEN: the device must be started again; NO_DEVICE:
// there is no such port, or none any more.
enum virtio_error virtio_console_can_write(const struct virtio_console *console, uint32_t port);

// Writes as much as there is room for, and returns how much. virtio_console_commit
// then tells the device.
size_t virtio_console_write(struct virtio_console *console, uint32_t port, const void *buffer,
                            size_t bytes);
void virtio_console_commit(struct virtio_console *console, uint32_t port);

bool virtio_console_is_broken(const struct virtio_console *console);

// Resets the device and starts again in the same memory: sessions end, ports go
// and come back. On failure nothing of it can be used any more.
enum virtio_error virtio_console_restart(struct virtio_console *console);
