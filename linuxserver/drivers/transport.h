// SPDX-License-Identifier: GPL-2.0-only
// virtio devices for Linux's drivers: the platform that lib/virtio wants, made of
// backend/machine.h; interrupts as Linux's; memory from Linux's own.
#pragma once

#include "lib/virtio/device.h"
#include "linuxserver/backend/machine.h"

#include <linux/types.h>

#define CORVUS_VIRTIO_BARS 6

struct corvus_virtio {
    struct virtio_device device;
    unsigned int number; // of the machine's device
    struct machine_bar bars[CORVUS_VIRTIO_BARS];
    bool opened[CORVUS_VIRTIO_BARS];
    bool line; // one line for both
    unsigned int config_irq, queue_irq;
    // Called in the interrupt's handler.
    void (*queues_interrupt)(void *context);
    void (*config_interrupt)(void *context);
    void *context;
};

// Claims and opens the next device of the type from *number on, and moves *number
// behind it. -ENOENT: there is none. A device that cannot be opened is reported and
// passed over.
int corvus_virtio_claim_next(u16 type, unsigned int *number, struct corvus_virtio *virtio);

// Attaches the interrupts; the functions and `context` have been set.
int corvus_virtio_attach(struct corvus_virtio *virtio, const char *name);

// Memory for a device core.
int corvus_virtio_allocate(size_t shared_bytes, size_t own_bytes, struct virtio_memory *memory);
void corvus_virtio_free(struct virtio_memory *memory);

// Resets the device and gives it up: whatever it says, it does no more DMA. What its
// BARs were opened as is not used any more.
void corvus_virtio_release(struct corvus_virtio *virtio);
