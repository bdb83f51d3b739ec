// SPDX-License-Identifier: BSD-2-Clause
// Shared by the parts of the network device: what the device sees of a frame, and
// what is known of buffers and frames under way.
#pragma once

#include "net.h"

#define HEADER_SEGMENTS  1u // before the segments of a frame to send
#define RECEIVE_SEGMENTS 2u // header and data, where buffers are not mergeable

// Section 5.1.6. A short one is without the number of buffers.
struct virtio_net_header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_length;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t buffers;
};
_Static_assert(sizeof(struct virtio_net_header) == 12, "section 5.1.6");

// What the device sees of a frame to send.
struct virtio_net_area {
    struct virtio_net_header header;
    uint8_t padding[4];
    struct virtqueue_descriptor table[];
};

struct virtio_net_slot {
    void *cookie;
    uint16_t number;
    struct virtio_net_slot *next; // free
};

enum virtio_net_buffer_state { BUFFER_FREE, BUFFER_POSTED, BUFFER_LENT };

struct virtio_net_buffer {
    uint8_t *bytes;
    uint64_t bus;
    enum virtio_net_buffer_state state;
    struct virtio_net_buffer *next; // free
};

static inline uint32_t virtio_net_frame_bytes_max(const struct virtio_net *net)
{
    return net->mtu + VIRTIO_NET_FRAME_EXTRA;
}

// Gives the device as many buffers as there are and it takes.
void virtio_net_post_buffers(struct virtio_net *net);
