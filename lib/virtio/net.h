// SPDX-License-Identifier: BSD-2-Clause
// The network device (Virtual I/O Device 1.1, section 5.1): frames in, frames
// out. In order: virtio_net_open, memory as large as it then wants,
// virtio_net_start. Received frames are lent to the caller, buffer by buffer, and
// given back; frames to send are lists of segments whose memory is the device's
// until virtio_net_transmitted gives their cookie back.
//
// When a call says BROKEN, or virtio_needs_reset: virtio_net_stop, take all frames
// back, and virtio_net_restart. Buffers that are lent stay so.
//
// No control queue is used, so the device receives whatever the wire carries
// (section 5.1.6.5.1 is how to restrict it), which is what a switch needs.
//
// Not thread-safe: the caller holds a lock.
#pragma once

#include "device.h"

#define VIRTIO_NET_ADDRESS_BYTES 6u
#define VIRTIO_NET_MTU_DEFAULT   1500u
#define VIRTIO_NET_MTU_MIN       576u // less, and the configuration makes no sense
#define VIRTIO_NET_FRAME_EXTRA   18u  // Ethernet header and a VLAN tag, beyond the MTU
#define VIRTIO_NET_FRAME_MIN     14u
#define VIRTIO_NET_PIECES_MAX    20u // buffers of one received frame

struct virtio_net_sizes {
    uint16_t receive_buffers; // in all, lent ones included; more than the queue holds is well
    uint32_t receive_bytes;   // of each; made as large as a frame where the device cannot divide it
    uint16_t transmit_frames; // in flight at once; made less where the queue is smaller
    uint16_t segments;        // of one frame to send
    uint16_t mtu_max;         // what is used of a device that offers more
    bool transmit_checksum;   // whether checksums are to be left to the device, if it can
    bool receive_checksum;    // whether frames may come without, or marked as checked
};

struct virtio_net_counters {
    uint64_t received, transmitted;
    uint64_t malformed; // received frames of impossible lengths or headers, dropped
    uint64_t starved;   // a frame was taken, and no buffer was left to put in its place
};

struct virtio_net_buffer;
struct virtio_net_slot;

struct virtio_net {
    struct virtio_device *device;
    struct virtio_net_sizes sizes;
    uint8_t address[VIRTIO_NET_ADDRESS_BYTES];
    bool has_address; // else the caller thinks of one
    uint16_t mtu;
    bool has_status, mergeable, transmit_checksum, receive_checksum;
    uint32_t header_bytes;

    struct virtqueue receive, transmit;
    uint16_t receive_size, transmit_size;
    struct virtio_memory memory;
    struct virtio_net_buffer *buffers, *free_buffers; // all; a list
    uint16_t posted, lent;
    size_t area_bytes;
    uint8_t *areas;
    uint64_t areas_bus;
    struct virtio_net_slot *slots, *free_slots;
    struct virtio_segment *segments;
    bool broken; // beyond what the queues notice
    struct virtio_net_counters counters;
};

// Agrees with the device on features and reads what it says of itself. The device
// must stay where it is.
enum virtio_error virtio_net_open(struct virtio_net *net, struct virtio_device *device,
                                  const struct virtio_net_sizes *sizes);

size_t virtio_net_shared_bytes(const struct virtio_net *net);
size_t virtio_net_own_bytes(const struct virtio_net *net);
// Interrupts come for received frames, and not for sent ones.
enum virtio_error virtio_net_start(struct virtio_net *net, const struct virtio_memory *memory);

// --- Receiving -----------------------------------------------------------------------

struct virtio_net_piece {
    uint8_t *data;
    uint32_t bytes;
    uint16_t buffer; // its number, 0..receive_buffers - 1
};

struct virtio_net_frame {
    struct virtio_net_piece pieces[VIRTIO_NET_PIECES_MAX];
    uint16_t count;
    uint32_t bytes;        // of all pieces, 14..mtu + VIRTIO_NET_FRAME_EXTRA
    bool checksum_good;    // the device has looked
    bool checksum_partial; // to be finished: the sum from start on goes to start + offset
    uint16_t checksum_start, checksum_offset;
};

// The next frame, whose buffers are lent to the caller. False: none now, and the
// count is 0. A frame that makes no sense is dropped and counted.
bool virtio_net_receive(struct virtio_net *net, struct virtio_net_frame *frame);

// Gives a buffer back. INVALID: it is not lent.
enum virtio_error virtio_net_give_back(struct virtio_net *net, uint16_t buffer);

// --- Sending -------------------------------------------------------------------------

struct virtio_net_packet {
    const struct virtio_segment *segments;
    uint16_t count;        // 1..sizes.segments
    bool checksum_partial; // the device is to finish it; the field holds the pseudo-header's sum
    uint16_t checksum_start, checksum_offset;
    void *cookie; // not NULL
};

// OK, FULL, INVALID (also a checksum that the device does not do), BROKEN.
enum virtio_error virtio_net_transmit(struct virtio_net *net,
                                      const struct virtio_net_packet *packet);

// The next frame that has been sent: its cookie; NULL when there is none.
void *virtio_net_transmitted(struct virtio_net *net);

// Asks for interrupts when frames have been sent, or none. True: some have been
// already, for which none may come.
bool virtio_net_transmit_interrupts(struct virtio_net *net, bool on);

// Shows the device what was given back and what is to be sent.
void virtio_net_commit(struct virtio_net *net);

// --- The device ------------------------------------------------------------------------

// Whether there is a wire; true when the device does not say.
bool virtio_net_link_is_up(struct virtio_net *net);

static inline bool virtio_net_is_broken(const struct virtio_net *net)
{
    return net->broken || net->receive.fault != VIRTQUEUE_SOUND ||
           net->transmit.fault != VIRTQUEUE_SOUND;
}

// Stops the device. NO_RESET: it may still write into what it was given.
enum virtio_error virtio_net_stop(struct virtio_net *net);

// After that: the cookie of a frame that was in flight; NULL when none is left.
void *virtio_net_take_back(struct virtio_net *net);

// After that, with nothing left: starts again in the same memory. NO_FEATURE when
// the device is not what it was.
enum virtio_error virtio_net_restart(struct virtio_net *net);
