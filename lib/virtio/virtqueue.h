// SPDX-License-Identifier: BSD-2-Clause
// The split virtqueue (Virtual I/O Device 1.1, section 2.6): the ring by which
// driver and device exchange buffers. It does no input or output; the caller
// tells the device where the ring is, notifies it, and polls after interrupts.
//
// The device may be hostile. What it writes is read once and checked against
// state that it cannot reach. An id that is not in flight, or an index that
// runs ahead of what was published, breaks the queue: nothing more is taken from
// it until the device has been reset. A length beyond the buffers is counted
// and told with the completion.
//
// Not thread-safe: the caller holds a lock.
#pragma once

#include "types.h"

#define VIRTQUEUE_SIZE_MAX 1024u // larger ones are made smaller, or refused

struct virtqueue_descriptor {
    uint64_t bus;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};

enum virtqueue_fault {
    VIRTQUEUE_SOUND,
    VIRTQUEUE_BAD_ID,    // a used id that is not the head of a chain in flight
    VIRTQUEUE_BAD_INDEX, // more used entries than chains in flight
};

struct virtqueue_counters {
    uint64_t published;
    uint64_t completed;
    uint64_t notified; // how often publishing asked for a notification
    uint64_t bad_lengths;
};

// What is known of the chain that begins at a descriptor, and the list of free
// descriptors: the driver's own, never read back from shared memory.
struct virtqueue_slot {
    void *cookie; // NULL: no chain begins here
    uint64_t turn;
    uint32_t writable; // bytes that the device may write
    uint16_t length;   // descriptors of the chain
    uint16_t next;     // in the chain, or of the free ones
};

struct virtqueue {
    struct virtqueue_descriptor *descriptors;
    uint16_t *available;
    uint16_t *used;
    uint64_t bus; // of the descriptors, with which the shared memory begins

    struct virtqueue_slot *slots;
    uint64_t added, published, taken; // chains; their low 16 bits are the ring's indices
    uint16_t index;                   // which queue of the device
    uint16_t size;                    // a power of two
    uint16_t free_first, free_count;
    uint16_t event; // the used index behind which an interrupt is wanted
    bool event_index, indirect;
    bool interrupts;
    enum virtqueue_fault fault;
    struct virtqueue_counters counters;
    uint32_t notify_offset; // the transport's
};

// Shared memory and own memory for a queue of that size.
size_t virtqueue_shared_bytes(uint16_t size);
size_t virtqueue_own_bytes(uint16_t size);

struct virtqueue_options {
    bool event_index; // VIRTIO_F_EVENT_INDEX was negotiated
    bool indirect;    // VIRTIO_F_INDIRECT was negotiated
};

// Empties the queue. `size` is a power of two up to VIRTQUEUE_SIZE_MAX; `shared`
// and `own` are as large as the functions above say, 4096- and 16-aligned.
void virtqueue_initialize(struct virtqueue *queue, uint16_t index, uint16_t size,
                          struct virtqueue_options options, void *shared, uint64_t shared_bus,
                          void *own);

// Where the device finds the parts.
uint64_t virtqueue_descriptors_bus(const struct virtqueue *queue);
uint64_t virtqueue_available_bus(const struct virtqueue *queue);
uint64_t virtqueue_used_bus(const struct virtqueue *queue);

// A chain of buffers: first those that the device reads, then those it writes.
struct virtqueue_chain {
    const struct virtio_segment *segments;
    uint16_t readable, writable; // how many of each
    void *cookie;                // comes back with the completion; not NULL
    // Room for readable + writable descriptors that stays the device's until the
    // completion: then the chain takes one descriptor of the ring. Or NULL.
    struct virtqueue_descriptor *table;
    uint64_t table_bus;
};

// FULL, BROKEN, or INVALID: no or more segments than the queue's size, one of no
// bytes or beyond the end of addresses. The device sees the chain when it is published.
enum virtio_error virtqueue_add_chain(struct virtqueue *queue, const struct virtqueue_chain *chain);

// Shows the device what was added. True when it wants to be notified.
bool virtqueue_publish(struct virtqueue *queue);

struct virtqueue_completion {
    void *cookie;
    uint32_t bytes;  // that the device says it wrote, at most what it was given
    bool bad_length; // it said more
};

// Takes the next completed chain. When there is none and interrupts are on, one
// comes for the next.
bool virtqueue_take(struct virtqueue *queue, struct virtqueue_completion *completion);

// Asks for no interrupts, which the device need not obey; and for interrupts, as
// at first. True when something is to be taken already, for which none may come.
void virtqueue_interrupts_off(struct virtqueue *queue);
bool virtqueue_interrupts_on(struct virtqueue *queue);

// Of a queue whose device has been reset: gives back a chain that had not been
// completed, by its cookie; NULL when there is none left.
void *virtqueue_give_back(struct virtqueue *queue);

// How many chains the device has.
static inline uint64_t virtqueue_in_flight(const struct virtqueue *queue)
{
    return queue->published - queue->taken;
}
