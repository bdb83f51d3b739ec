// SPDX-License-Identifier: BSD-2-Clause
// What the library is made of: integers, memory functions, errors. It compiles
// with a C library's headers and, inside the Linux server, with Linux's own.
#pragma once

#ifdef __KERNEL__
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#endif

// What devices read and write is little-endian (legacy devices: the guest's order).
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written for little-endian processors");

// VIRTIO_ERRORS(E): E(NAME, "text")
#define VIRTIO_ERRORS(E)                                                                           \
    E(OK, "success")                                                                               \
    E(FULL, "no room until something completes")                                                   \
    E(INVALID, "the request makes no sense")                                                       \
    E(READ_ONLY, "the medium is read-only")                                                        \
    E(NOT_SUPPORTED, "the device does not offer it")                                               \
    E(IO, "the device reports an error")                                                           \
    E(HANGUP, "the session has ended")                                                             \
    E(BROKEN, "the device broke the protocol and must be reset")                                   \
    E(NO_MEMORY, "the memory handed in is too small")                                              \
    E(NO_DEVICE, "not a virtio device")                                                            \
    E(NO_RESET, "the device does not finish its reset")                                            \
    E(NO_VECTOR, "the device refused an interrupt vector")                                         \
    E(NO_QUEUE, "a queue is missing, in use, or of an impossible size")                            \
    E(BAD_CAPABILITY, "a register block is missing or outside its base address register")          \
    E(BAD_CONFIGURATION, "the device configuration makes no sense")                                \
    E(NO_FEATURE, "a feature that is needed is not offered")                                       \
    E(FEATURES_REFUSED, "the device refused the features chosen from those it offers")             \
    E(ACCESS_PLATFORM, "the device wants translated addresses (iommu_platform); turn that off")

#define VIRTIO_ERROR_ENUM(name, text) VIRTIO_##name,
enum virtio_error { VIRTIO_ERRORS(VIRTIO_ERROR_ENUM) VIRTIO_ERROR_COUNT };
#undef VIRTIO_ERROR_ENUM

// One line, without a full stop.
const char *virtio_error_text(enum virtio_error error);

// Memory for a driver's queues and tables; the caller keeps it until the device
// has been reset for good. All zero at first.
struct virtio_memory {
    void *shared; // seen by the device; 4096-aligned, contiguous for it
    uint64_t shared_bus;
    size_t shared_bytes;
    void *own; // not seen by the device; 16-aligned
    size_t own_bytes;
};

// A buffer, or a part of one, by the address that the device uses.
struct virtio_segment {
    uint64_t bus;
    uint32_t bytes;
};

static inline size_t virtio_align(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}
