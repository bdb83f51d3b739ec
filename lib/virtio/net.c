// SPDX-License-Identifier: BSD-2-Clause
// Virtual I/O Device 1.1, section 5.1. The header of a frame to send has a
// descriptor of its own, which legacy devices demand (section 5.1.6.6); that of a
// received one, too, unless buffers are mergeable.
#include "net_frames.h"

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)

// Section 5.1.4.
enum config {
    ADDRESS = 0,
    STATUS = 6,
    MTU = 10,
};
#define STATUS_LINK_UP 1u

#define RECEIVE_QUEUE      0u
#define TRANSMIT_QUEUE     1u
#define QUEUE_SIZE_WANTED  1024u
#define RECEIVE_BYTES_MIN  512u
#define RECEIVE_BYTES_MAX  16384u
#define AREA_ALIGNMENT     64u
#define OWN_ALIGNMENT      16u
#define HEADER_BYTES_SHORT 10u // without the number of buffers

// --- Opening -----------------------------------------------------------------------

struct configuration {
    uint8_t address[VIRTIO_NET_ADDRESS_BYTES];
    uint16_t mtu;
};

static void read_configuration(struct virtio_device *device, void *context)
{
    struct configuration *found = context;

    for (uint32_t i = 0; i < VIRTIO_NET_ADDRESS_BYTES; i++)
        found->address[i] = (uint8_t)virtio_read(device, ADDRESS + i, 1);
    found->mtu = VIRTIO_NET_MTU_DEFAULT;
    if (virtio_has(device, F_MTU))
        found->mtu = (uint16_t)virtio_read(device, MTU, 2);
}

// Without one, or with a group's, the device has no address.
static bool is_address(const uint8_t *address)
{
    uint8_t any = 0;

    for (uint32_t i = 0; i < VIRTIO_NET_ADDRESS_BYTES; i++)
        any |= address[i];
    return any != 0 && (address[0] & 1) == 0;
}

static enum virtio_error agree(struct virtio_net *net, uint64_t needed)
{
    struct configuration found = {0};
    uint64_t wanted = F_MTU | F_MAC | F_MRG_RXBUF | F_STATUS;

    if (net->sizes.transmit_checksum)
        wanted |= F_CSUM;
    if (net->sizes.receive_checksum)
        wanted |= F_GUEST_CSUM;
    enum virtio_error error = virtio_begin(net->device, wanted, needed);
    if (error == VIRTIO_OK)
        error = virtio_read_stable(net->device, read_configuration, &found);
    if (error != VIRTIO_OK)
        return error;
    if (found.mtu < VIRTIO_NET_MTU_MIN)
        return VIRTIO_BAD_CONFIGURATION;
    memcpy(net->address, found.address, sizeof net->address);
    net->has_address = virtio_has(net->device, F_MAC) && is_address(found.address);
    net->mtu = found.mtu < net->sizes.mtu_max ? found.mtu : net->sizes.mtu_max;
    net->mergeable = virtio_has(net->device, F_MRG_RXBUF);
    net->has_status = virtio_has(net->device, F_STATUS);
    net->transmit_checksum = virtio_has(net->device, F_CSUM);
    net->receive_checksum = virtio_has(net->device, F_GUEST_CSUM);
    net->header_bytes = net->mergeable || net->device->transport->modern
                            ? sizeof(struct virtio_net_header)
                            : HEADER_BYTES_SHORT;
    return VIRTIO_OK;
}

// A buffer that cannot be one of several holds a whole frame.
static void choose_buffer_bytes(struct virtio_net *net)
{
    uint32_t bytes = net->sizes.receive_bytes;

    if (bytes < RECEIVE_BYTES_MIN)
        bytes = RECEIVE_BYTES_MIN;
    if (!net->mergeable && bytes < net->header_bytes + virtio_net_frame_bytes_max(net))
        bytes = net->header_bytes + virtio_net_frame_bytes_max(net);
    net->sizes.receive_bytes = (uint32_t)virtio_align(bytes, AREA_ALIGNMENT);
}

static bool sizes_make_sense(const struct virtio_net_sizes *sizes)
{
    return sizes->receive_buffers != 0 && sizes->transmit_frames != 0 && sizes->segments != 0 &&
           sizes->receive_bytes <= RECEIVE_BYTES_MAX && sizes->mtu_max >= VIRTIO_NET_MTU_MIN &&
           sizes->mtu_max <= RECEIVE_BYTES_MIN * VIRTIO_NET_PIECES_MAX - VIRTIO_NET_FRAME_EXTRA -
                                 sizeof(struct virtio_net_header);
}

enum virtio_error virtio_net_open(struct virtio_net *net, struct virtio_device *device,
                                  const struct virtio_net_sizes *sizes)
{
    *net = (struct virtio_net){.device = device, .sizes = *sizes};
    if (device->type != VIRTIO_TYPE_NETWORK)
        return VIRTIO_NO_DEVICE;
    if (!sizes_make_sense(sizes))
        return VIRTIO_INVALID;
    enum virtio_error error = agree(net, 0);
    if (error != VIRTIO_OK)
        return error;
    net->receive_size = virtio_queue_size(device, RECEIVE_QUEUE, QUEUE_SIZE_WANTED);
    net->transmit_size = virtio_queue_size(device, TRANSMIT_QUEUE, QUEUE_SIZE_WANTED);
    if (net->receive_size < RECEIVE_SEGMENTS || net->transmit_size <= HEADER_SEGMENTS)
        return VIRTIO_NO_QUEUE;
    if (net->sizes.segments > net->transmit_size - HEADER_SEGMENTS)
        net->sizes.segments = (uint16_t)(net->transmit_size - HEADER_SEGMENTS);
    if (net->sizes.transmit_frames > net->transmit_size)
        net->sizes.transmit_frames = net->transmit_size;
    choose_buffer_bytes(net);
    return VIRTIO_OK;
}

// --- Memory ------------------------------------------------------------------------

static size_t area_bytes(const struct virtio_net *net)
{
    size_t descriptors = net->sizes.segments + HEADER_SEGMENTS;

    return virtio_align(sizeof(struct virtio_net_area) +
                            descriptors * sizeof(struct virtqueue_descriptor),
                        AREA_ALIGNMENT);
}

static size_t rings_bytes(const struct virtio_net *net)
{
    return virtqueue_shared_bytes(net->receive_size) + virtqueue_shared_bytes(net->transmit_size);
}

size_t virtio_net_shared_bytes(const struct virtio_net *net)
{
    return rings_bytes(net) + net->sizes.transmit_frames * area_bytes(net) +
           (size_t)net->sizes.receive_buffers * net->sizes.receive_bytes;
}

size_t virtio_net_own_bytes(const struct virtio_net *net)
{
    size_t segments = net->sizes.segments + HEADER_SEGMENTS;

    return virtio_align(virtqueue_own_bytes(net->receive_size), OWN_ALIGNMENT) +
           virtio_align(virtqueue_own_bytes(net->transmit_size), OWN_ALIGNMENT) +
           virtio_align(net->sizes.receive_buffers * sizeof(struct virtio_net_buffer),
                        OWN_ALIGNMENT) +
           virtio_align(net->sizes.transmit_frames * sizeof(struct virtio_net_slot),
                        OWN_ALIGNMENT) +
           segments * sizeof(struct virtio_segment);
}

static void lay_out_queues(struct virtio_net *net, uint8_t *own)
{
    struct virtqueue_options options = virtio_queue_options(net->device);
    uint8_t *shared = net->memory.shared;
    size_t first = virtqueue_shared_bytes(net->receive_size);

    virtqueue_initialize(&net->receive, RECEIVE_QUEUE, net->receive_size, options, shared,
                         net->memory.shared_bus, own);
    own += virtio_align(virtqueue_own_bytes(net->receive_size), OWN_ALIGNMENT);
    virtqueue_initialize(&net->transmit, TRANSMIT_QUEUE, net->transmit_size, options,
                         shared + first, net->memory.shared_bus + first, own);
    virtqueue_interrupts_off(&net->transmit);
}

static void lay_out_slots(struct virtio_net *net, uint8_t *own)
{
    net->slots = (void *)own;
    own += virtio_align(net->sizes.transmit_frames * sizeof net->slots[0], OWN_ALIGNMENT);
    net->segments = (void *)own;
    net->area_bytes = area_bytes(net);
    net->areas = (uint8_t *)net->memory.shared + rings_bytes(net);
    net->areas_bus = net->memory.shared_bus + rings_bytes(net);
    net->free_slots = NULL;
    for (uint16_t i = net->sizes.transmit_frames; i-- > 0;) {
        net->slots[i] = (struct virtio_net_slot){.number = i, .next = net->free_slots};
        net->free_slots = &net->slots[i];
    }
}

// Buffers that are lent stay lent over a restart.
static void lay_out_buffers(struct virtio_net *net, uint8_t *own)
{
    size_t offset = rings_bytes(net) + net->sizes.transmit_frames * area_bytes(net);

    net->buffers = (void *)own;
    net->free_buffers = NULL;
    net->posted = 0;
    for (uint16_t i = net->sizes.receive_buffers; i-- > 0;) {
        struct virtio_net_buffer *buffer = &net->buffers[i];
        size_t place = offset + (size_t)i * net->sizes.receive_bytes;
        buffer->bytes = (uint8_t *)net->memory.shared + place;
        buffer->bus = net->memory.shared_bus + place;
        if (buffer->state == BUFFER_LENT)
            continue;
        buffer->state = BUFFER_FREE;
        buffer->next = net->free_buffers;
        net->free_buffers = buffer;
    }
}

static enum virtio_error run(struct virtio_net *net)
{
    uint8_t *own = net->memory.own;

    lay_out_queues(net, own);
    own += virtio_align(virtqueue_own_bytes(net->receive_size), OWN_ALIGNMENT) +
           virtio_align(virtqueue_own_bytes(net->transmit_size), OWN_ALIGNMENT);
    lay_out_buffers(net, own);
    own += virtio_align(net->sizes.receive_buffers * sizeof net->buffers[0], OWN_ALIGNMENT);
    lay_out_slots(net, own);
    net->broken = false;
    enum virtio_error error = virtio_start_queue(net->device, &net->receive);
    if (error == VIRTIO_OK)
        error = virtio_start_queue(net->device, &net->transmit);
    if (error == VIRTIO_OK)
        error = virtio_run(net->device);
    if (error != VIRTIO_OK)
        return error;
    virtio_net_post_buffers(net);
    virtio_kick(net->device, &net->receive);
    return VIRTIO_OK;
}

enum virtio_error virtio_net_start(struct virtio_net *net, const struct virtio_memory *memory)
{
    net->memory = *memory;
    if (memory->shared_bytes < virtio_net_shared_bytes(net) ||
        memory->own_bytes < virtio_net_own_bytes(net))
        return VIRTIO_NO_MEMORY;
    memset(memory->own, 0, virtio_net_own_bytes(net));
    return run(net);
}

// --- The device ------------------------------------------------------------------------

bool virtio_net_link_is_up(struct virtio_net *net)
{
    return !net->has_status || (virtio_read(net->device, STATUS, 2) & STATUS_LINK_UP) != 0;
}

enum virtio_error virtio_net_stop(struct virtio_net *net)
{
    return virtio_reset(net->device);
}

enum virtio_error virtio_net_restart(struct virtio_net *net)
{
    struct virtio_net before = *net;
    uint64_t features = net->device->features;
    enum virtio_error error = agree(net, features);

    if (error != VIRTIO_OK)
        return error;
    // What was promised to the caller must still hold.
    if (net->device->features != features || net->mtu != before.mtu ||
        memcmp(net->address, before.address, sizeof net->address) != 0 ||
        virtio_queue_size(net->device, RECEIVE_QUEUE, QUEUE_SIZE_WANTED) != net->receive_size ||
        virtio_queue_size(net->device, TRANSMIT_QUEUE, QUEUE_SIZE_WANTED) != net->transmit_size)
        return VIRTIO_NO_FEATURE;
    return run(net);
}
