// SPDX-License-Identifier: BSD-2-Clause
// The block device (Virtual I/O Device 1.1, section 5.2): requests in, completions
// out. In order: virtio_block_open, memory as large as it then wants,
// virtio_block_start; then virtio_block_submit and virtio_block_commit, and
// virtio_block_complete when an interrupt or a poll says so.
//
// When a call says BROKEN, or virtio_needs_reset: virtio_block_stop, take all
// requests back, and virtio_block_restart.
//
// Not thread-safe: the caller holds a lock.
#pragma once

#include "device.h"

#define VIRTIO_BLOCK_SECTOR_BYTES 512u
#define VIRTIO_BLOCK_ID_BYTES     20u

enum virtio_block_operation {
    VIRTIO_BLOCK_READ = 0,
    VIRTIO_BLOCK_WRITE = 1,
    VIRTIO_BLOCK_FLUSH = 4,         // all that was completed before is on the medium
    VIRTIO_BLOCK_IDENTIFY = 8,      // reads the serial number, VIRTIO_BLOCK_ID_BYTES
    VIRTIO_BLOCK_DISCARD = 11,      // what is there is not needed
    VIRTIO_BLOCK_WRITE_ZEROES = 13, // reads as zero
};

// What the device says of itself. Limits it does not name are VIRTIO_BLOCK_UNLIMITED.
#define VIRTIO_BLOCK_UNLIMITED 0xffffffffu
struct virtio_block_geometry {
    uint64_t sectors;                   // of VIRTIO_BLOCK_SECTOR_BYTES
    uint32_t block_bytes;               // the smallest write that is not read, changed, written
    uint32_t physical_block_bytes;      // the same inside the device
    uint32_t optimal_blocks;            // of block_bytes, for one request; 0: not told
    uint32_t segment_bytes_max;         // of one segment
    uint32_t segments_max;              // of one request
    uint32_t discard_sectors_max;       // of one request
    uint32_t discard_alignment_sectors; // 0: not told
    uint32_t write_zeroes_sectors_max;  // of one request
    bool read_only, flush, discard, write_zeroes, write_zeroes_may_unmap;
};

struct virtio_block_counters {
    uint64_t submitted;
    uint64_t errors;       // completed with a status other than success
    uint64_t bad_statuses; // with one that there is not
    uint64_t bad_lengths;  // with less or more written than a success has
};

struct virtio_block_slot;

struct virtio_block {
    struct virtio_device *device;
    struct virtio_block_geometry geometry;
    struct virtqueue queue;
    uint16_t queue_size;
    uint16_t requests_max; // in flight at once
    uint16_t segments_max; // of one request, for reads and writes
    struct virtio_memory memory;
    size_t area_bytes; // each request's part of the shared memory
    uint8_t *areas;
    uint64_t areas_bus;
    struct virtio_block_slot *slots;
    struct virtio_block_slot *free; // a list
    struct virtio_segment *segments;
    struct virtio_block_counters counters;
};

// Agrees with the device on features and reads what it says of itself. The most
// requests in flight and segments of one are what the caller wants, made less
// where the device takes less. The device must stay where it is.
enum virtio_error virtio_block_open(struct virtio_block *block, struct virtio_device *device,
                                    uint16_t requests, uint16_t segments);

size_t virtio_block_shared_bytes(const struct virtio_block *block);
size_t virtio_block_own_bytes(const struct virtio_block *block);
enum virtio_error virtio_block_start(struct virtio_block *block,
                                     const struct virtio_memory *memory);

struct virtio_block_request {
    enum virtio_block_operation operation;
    uint64_t sector;
    uint32_t sectors; // of DISCARD and WRITE_ZEROES; the others have segments
    bool unmap;       // WRITE_ZEROES may discard
    const struct virtio_segment *segments;
    uint16_t count;
    void *cookie; // comes back with the completion
};

// OK, FULL (until a completion), INVALID, READ_ONLY, NOT_SUPPORTED, BROKEN. A
// request does not pass one submitted before only if the caller waits in between.
enum virtio_error virtio_block_submit(struct virtio_block *block,
                                      const struct virtio_block_request *request);

// Shows the device what has been submitted.
void virtio_block_commit(struct virtio_block *block);

struct virtio_block_completion {
    void *cookie;
    enum virtio_error error; // OK, IO, NOT_SUPPORTED, BROKEN
};

// The next completed request, in the device's order. False: none now.
bool virtio_block_complete(struct virtio_block *block, struct virtio_block_completion *completion);

// The device broke the protocol; nothing will complete any more.
static inline bool virtio_block_is_broken(const struct virtio_block *block)
{
    return block->queue.fault != VIRTQUEUE_SOUND;
}

// Stops the device. NO_RESET: it may still write into what it was given.
enum virtio_error virtio_block_stop(struct virtio_block *block);

// After that: a request that was in flight, with error BROKEN. False: none left.
bool virtio_block_take_back(struct virtio_block *block, struct virtio_block_completion *completion);

// After that, with nothing left: starts again in the same memory. NO_FEATURE when
// the device is not what it was.
enum virtio_error virtio_block_restart(struct virtio_block *block);

// Reads the number of sectors again, after an interrupt for the configuration.
enum virtio_error virtio_block_update_capacity(struct virtio_block *block);
