// SPDX-License-Identifier: BSD-2-Clause
// A virtio device whatever it is: reset, status, features, queues, its
// configuration (Virtual I/O Device 1.1, chapters 2 and 3). In order:
//
//   virtio_pci_open       finds the registers and resets (pci.h)
//   virtio_use_vectors    when the caller has attached MSI-X interrupts
//   virtio_begin          agrees on features; the configuration can be read
//   virtio_start_queue    each queue, its memory given by virtqueue_initialize
//   virtio_run            from here on the device works
//
// virtio_reset ends that at any point; then virtio_begin again.
//
// A device driver core (block.h, console.h) does all but the first two.
#pragma once

#include "virtqueue.h"

#define VIRTIO_NO_VECTOR_INDEX 0xffffu

// Types (chapter 5).
#define VIRTIO_TYPE_NETWORK 1u
#define VIRTIO_TYPE_BLOCK   2u
#define VIRTIO_TYPE_CONSOLE 3u

// Features of all types (chapter 6), as bits.
#define VIRTIO_F_INDIRECT        (1ull << 28)
#define VIRTIO_F_EVENT_INDEX     (1ull << 29)
#define VIRTIO_F_VERSION_1       (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ull << 33)

// What the library needs from its caller, for one PCI function. Widths are in
// bytes: 1, 2 or 4; offsets are aligned to them.
struct virtio_platform {
    // Reads a dword of configuration space. `offset`: 0..252, a multiple of 4.
    uint32_t (*read_config)(void *context, uint32_t offset);
    // Makes the registers of a BAR (0..5) accessible, once or again. *ports says
    // that they are I/O ports. False when there is none, or it cannot be.
    bool (*open_bar)(void *context, uint32_t bar, uint64_t *bytes, bool *ports);
    uint32_t (*read)(void *context, uint32_t bar, uint32_t offset, uint32_t width);
    void (*write)(void *context, uint32_t bar, uint32_t offset, uint32_t width, uint32_t value);
    // Waits about a millisecond.
    void (*pause)(void *context);
    void *context;
};

// A block of registers inside a BAR.
struct virtio_region {
    uint32_t bar;
    uint32_t offset;
    uint32_t bytes; // 0: there is none
};

struct virtio_device;

// How the registers are laid out: virtio_pci_modern, virtio_pci_legacy. All of
// these stay inside the regions that virtio_pci_open has checked.
struct virtio_transport {
    uint8_t (*read_status)(struct virtio_device *device);
    void (*write_status)(struct virtio_device *device, uint8_t status);
    uint64_t (*read_features)(struct virtio_device *device);
    void (*write_features)(struct virtio_device *device, uint64_t features);
    uint16_t (*queue_size)(struct virtio_device *device, uint16_t queue); // 0: there is none
    enum virtio_error (*start_queue)(struct virtio_device *device, struct virtqueue *queue);
    void (*notify)(struct virtio_device *device, const struct virtqueue *queue);
    enum virtio_error (*set_config_vector)(struct virtio_device *device);
    uint8_t (*read_interrupt_status)(struct virtio_device *device);
    // Where the device's own configuration is, and a number that changes with it.
    struct virtio_region (*config)(struct virtio_device *device);
    uint32_t (*config_generation)(struct virtio_device *device);
    bool fixed_queue_size; // a queue has as many descriptors as the device says
    bool modern;
};

struct virtio_device {
    struct virtio_platform platform;
    const struct virtio_transport *transport;
    uint16_t type;
    uint16_t config_vector, queue_vector; // MSI-X entries, or VIRTIO_NO_VECTOR_INDEX
    uint64_t offered, features;           // what the device offers, what was agreed on
    struct virtio_region common, notify, interrupt, config;
    uint32_t notify_multiplier;
};

// MSI-X entries for changes of the configuration and for all queues. To be called
// when interrupts have been attached, for that also moves a legacy device's registers.
void virtio_use_vectors(struct virtio_device *device, uint16_t config_vector,
                        uint16_t queue_vector);

// Stops the device: it forgets its queues and touches their memory no more. NO_RESET
// when it does not say so in time; then that memory must never be used again.
enum virtio_error virtio_reset(struct virtio_device *device);

// Resets, and agrees on what is both offered and `wanted`, or `needed`. Rings'
// features are added here.
enum virtio_error virtio_begin(struct virtio_device *device, uint64_t wanted, uint64_t needed);

static inline bool virtio_has(const struct virtio_device *device, uint64_t feature)
{
    return (device->features & feature) != 0;
}

// The size that a queue can have, at most `limit` (a power of two) where that is
// the driver's choice; 0 when there is no such queue or its size is impossible.
uint16_t virtio_queue_size(struct virtio_device *device, uint16_t queue, uint16_t limit);

struct virtqueue_options virtio_queue_options(const struct virtio_device *device);

// Tells the device of an initialized queue.
enum virtio_error virtio_start_queue(struct virtio_device *device, struct virtqueue *queue);

// All queues are started: the device may work.
enum virtio_error virtio_run(struct virtio_device *device);

// Publishes what was added to a queue, and notifies the device if it wants that.
void virtio_kick(struct virtio_device *device, struct virtqueue *queue);

// Reads the device's own configuration, `width` up to 8; beyond its end is zero.
// virtio_read_stable calls `read` again until nothing has changed meanwhile.
uint64_t virtio_read(struct virtio_device *device, uint32_t offset, uint32_t width);
enum virtio_error virtio_read_stable(struct virtio_device *device,
                                     void (*read)(struct virtio_device *device, void *context),
                                     void *context);

// Why the device interrupts by its line, which this takes back: bits of these. With
// MSI-X it is not to be called; the vector says why.
#define VIRTIO_INTERRUPT_QUEUE  1u
#define VIRTIO_INTERRUPT_CONFIG 2u
uint8_t virtio_interrupt_status(struct virtio_device *device);

// The device has met an error of its own and works no more until it is reset.
bool virtio_needs_reset(struct virtio_device *device);
