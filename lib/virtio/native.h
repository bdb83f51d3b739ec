// SPDX-License-Identifier: BSD-2-Clause
// virtio for a native task with the privilege `devices`: registers, interrupts and
// DMA memory from init's machine services (include/corvus/init.def). In order:
//
//   virtio_native_find      a device of the type
//   virtio_native_claim     it is this task's
//   virtio_native_open      its registers, reset
//   virtio_native_attach    its interrupts, as event bits of a port
//   virtio_block_open …     with &native->device; memory from virtio_native_allocate
#pragma once

#include "device.h"

#include "lib/port.h"

#define VIRTIO_NATIVE_BARS 6

struct virtio_native_bar {
    bool open, ports;
    uint64_t bytes;
    uint64_t registers; // the address, or the first port
};

struct virtio_native {
    struct virtio_device device;
    uint64_t number; // among the machine's devices
    struct virtio_native_bar bars[VIRTIO_NATIVE_BARS];
    bool line; // one interrupt line, to be acknowledged each time
    uint64_t config_bits, queue_bits;
    port_name_t interrupts[2]; // PORT_NULL where there is none
};

// The first device of the type from number `first` on.
corvus_error_t virtio_native_find(uint16_t type, uint64_t first, uint64_t *number);

corvus_error_t virtio_native_claim(struct virtio_native *native, uint64_t number);
enum virtio_error virtio_native_open(struct virtio_native *native);

// Lets interrupts set event bits of a port: `send` is copied.
corvus_error_t virtio_native_attach(struct virtio_native *native, port_name_t send,
                                    uint64_t config_bits, uint64_t queue_bits);

// Why the device interrupted, VIRTIO_INTERRUPT_*, given the event bits that came;
// with a line, also lets the next one come. To be called before the queues are looked at.
uint8_t virtio_native_interrupt(struct virtio_native *native, uint64_t bits);

// Memory for a device core, and its return, after the device has been reset.
corvus_error_t virtio_native_allocate(size_t shared_bytes, size_t own_bytes,
                                      struct virtio_memory *memory);
void virtio_native_free(struct virtio_memory *memory);

// Resets the device and gives it up.
void virtio_native_release(struct virtio_native *native);
