// SPDX-License-Identifier: BSD-2-Clause
// Frames of the network device: lent to the caller and taken back, sent and
// completed (Virtual I/O Device 1.1, section 5.1.6).
#include "net_frames.h"

#define HEADER_NEEDS_CSUM 1u
#define HEADER_DATA_VALID 2u

// --- Receiving -----------------------------------------------------------------------

void virtio_net_post_buffers(struct virtio_net *net)
{
    struct virtio_segment segments[RECEIVE_SEGMENTS];

    while (net->free_buffers != NULL) {
        struct virtio_net_buffer *buffer = net->free_buffers;
        struct virtqueue_chain chain = {.segments = segments, .cookie = buffer};
        uint32_t header = net->mergeable ? 0 : net->header_bytes;
        if (header != 0)
            segments[chain.writable++] = (struct virtio_segment){buffer->bus, header};
        segments[chain.writable++] =
            (struct virtio_segment){buffer->bus + header, net->sizes.receive_bytes - header};
        if (virtqueue_add_chain(&net->receive, &chain) != VIRTIO_OK)
            return;
        net->free_buffers = buffer->next;
        buffer->state = BUFFER_POSTED;
        net->posted++;
    }
}

static void free_buffer(struct virtio_net *net, struct virtio_net_buffer *buffer)
{
    buffer->state = BUFFER_FREE;
    buffer->next = net->free_buffers;
    net->free_buffers = buffer;
}

enum virtio_error virtio_net_give_back(struct virtio_net *net, uint16_t number)
{
    if (number >= net->sizes.receive_buffers || net->buffers[number].state != BUFFER_LENT)
        return VIRTIO_INVALID;
    net->lent--;
    free_buffer(net, &net->buffers[number]);
    return VIRTIO_OK;
}

// Takes the next buffer of a frame and lends it. False: there is none, or what the
// device says of it makes no sense.
static bool take_piece(struct virtio_net *net, struct virtio_net_frame *frame, uint32_t skip)
{
    struct virtqueue_completion taken;

    if (!virtqueue_take(&net->receive, &taken))
        return false;
    struct virtio_net_buffer *buffer = taken.cookie;
    net->posted--;
    net->lent++;
    buffer->state = BUFFER_LENT;
    struct virtio_net_piece *piece = &frame->pieces[frame->count++];
    *piece = (struct virtio_net_piece){
        .data = buffer->bytes + skip,
        .buffer = (uint16_t)(buffer - net->buffers),
    };
    if (taken.bad_length || taken.bytes <= skip)
        return false;
    piece->bytes = taken.bytes - skip;
    frame->bytes += piece->bytes;
    return true;
}

static void drop(struct virtio_net *net, struct virtio_net_frame *frame)
{
    net->counters.malformed++;
    for (uint16_t i = 0; i < frame->count; i++)
        (void)virtio_net_give_back(net, frame->pieces[i].buffer);
    frame->count = 0;
}

// The header is read once: the device could change it behind a check.
static struct virtio_net_header read_header(const struct virtio_net *net, const uint8_t *bytes)
{
    struct virtio_net_header header = {.buffers = 1};

    memcpy(&header, bytes, net->header_bytes);
    __asm__ volatile("" : "+m"(header));
    if (!net->mergeable)
        header.buffers = 1;
    return header;
}

static bool judge(const struct virtio_net *net, const struct virtio_net_header *header,
                  struct virtio_net_frame *frame)
{
    if (frame->bytes < VIRTIO_NET_FRAME_MIN || frame->bytes > virtio_net_frame_bytes_max(net) ||
        header->gso_type != 0)
        return false;
    if (!net->receive_checksum)
        return true;
    frame->checksum_good = (header->flags & HEADER_DATA_VALID) != 0;
    frame->checksum_partial = (header->flags & HEADER_NEEDS_CSUM) != 0;
    frame->checksum_start = header->checksum_start;
    frame->checksum_offset = header->checksum_offset;
    return !frame->checksum_partial ||
           (uint32_t)header->checksum_start + header->checksum_offset + 2u <= frame->bytes;
}

// One frame, whole. False: nothing is there. *good says whether it is one.
static bool take_frame(struct virtio_net *net, struct virtio_net_frame *frame, bool *good)
{
    frame->count = 0;
    frame->bytes = 0;
    frame->checksum_good = frame->checksum_partial = false;
    *good = take_piece(net, frame, net->header_bytes);
    if (frame->count == 0)
        return false;
    if (!*good)
        return true;
    struct virtio_net_header header = read_header(net, frame->pieces[0].data - net->header_bytes);
    if (header.buffers == 0 || header.buffers > VIRTIO_NET_PIECES_MAX) {
        net->broken = true; // where the next frame begins is not known
        *good = false;
        return true;
    }
    while (*good && frame->count < header.buffers) {
        uint16_t before = frame->count;
        *good = take_piece(net, frame, 0);
        // All buffers of a frame are shown at once (section 5.1.6.4).
        net->broken = net->broken || frame->count == before || !*good;
    }
    *good = *good && judge(net, &header, frame);
    return true;
}

bool virtio_net_receive(struct virtio_net *net, struct virtio_net_frame *frame)
{
    bool good = false;

    while (!good) {
        if (virtio_net_is_broken(net) || !take_frame(net, frame, &good))
            return false;
        if (!good)
            drop(net, frame);
    }
    net->counters.received++;
    if (net->free_buffers == NULL)
        net->counters.starved++;
    return true;
}

// --- Sending -------------------------------------------------------------------------

static enum virtio_error check_packet(const struct virtio_net *net,
                                      const struct virtio_net_packet *packet)
{
    uint64_t sum = 0;

    if (packet->count == 0 || packet->count > net->sizes.segments || packet->cookie == NULL)
        return VIRTIO_INVALID;
    for (uint16_t i = 0; i < packet->count; i++)
        sum += packet->segments[i].bytes;
    if (sum < VIRTIO_NET_FRAME_MIN || sum > virtio_net_frame_bytes_max(net))
        return VIRTIO_INVALID;
    if (!packet->checksum_partial)
        return VIRTIO_OK;
    bool fits = packet->checksum_start + packet->checksum_offset + 2u <= sum;
    return net->transmit_checksum && fits ? VIRTIO_OK : VIRTIO_INVALID;
}

enum virtio_error virtio_net_transmit(struct virtio_net *net,
                                      const struct virtio_net_packet *packet)
{
    struct virtio_net_slot *slot = net->free_slots;
    enum virtio_error error = check_packet(net, packet);

    if (error != VIRTIO_OK)
        return error;
    if (virtio_net_is_broken(net))
        return VIRTIO_BROKEN;
    if (slot == NULL)
        return VIRTIO_FULL;
    struct virtio_net_area *area = (void *)(net->areas + slot->number * net->area_bytes);
    uint64_t bus = net->areas_bus + slot->number * net->area_bytes;
    area->header = (struct virtio_net_header){
        .flags = packet->checksum_partial ? HEADER_NEEDS_CSUM : 0,
        .checksum_start = packet->checksum_partial ? packet->checksum_start : 0,
        .checksum_offset = packet->checksum_partial ? packet->checksum_offset : 0,
    };
    net->segments[0] = (struct virtio_segment){bus, net->header_bytes};
    memcpy(&net->segments[1], packet->segments, packet->count * sizeof packet->segments[0]);
    struct virtqueue_chain chain = {
        .segments = net->segments,
        .readable = (uint16_t)(packet->count + HEADER_SEGMENTS),
        .cookie = slot,
        .table = area->table,
        .table_bus = bus + offsetof(struct virtio_net_area, table),
    };
    error = virtqueue_add_chain(&net->transmit, &chain);
    if (error != VIRTIO_OK)
        return error;
    net->free_slots = slot->next;
    slot->cookie = packet->cookie;
    return VIRTIO_OK;
}

static void *free_slot(struct virtio_net *net, struct virtio_net_slot *slot)
{
    slot->next = net->free_slots;
    net->free_slots = slot;
    return slot->cookie;
}

void *virtio_net_transmitted(struct virtio_net *net)
{
    struct virtqueue_completion taken;

    if (!virtqueue_take(&net->transmit, &taken))
        return NULL;
    net->counters.transmitted++;
    return free_slot(net, taken.cookie);
}

void *virtio_net_take_back(struct virtio_net *net)
{
    struct virtio_net_slot *slot = virtqueue_give_back(&net->transmit);

    return slot != NULL ? free_slot(net, slot) : NULL;
}

bool virtio_net_transmit_interrupts(struct virtio_net *net, bool on)
{
    if (on)
        return virtqueue_interrupts_on(&net->transmit);
    virtqueue_interrupts_off(&net->transmit);
    return false;
}

void virtio_net_commit(struct virtio_net *net)
{
    if (virtio_net_is_broken(net))
        return;
    virtio_net_post_buffers(net);
    virtio_kick(net->device, &net->receive);
    virtio_kick(net->device, &net->transmit);
}
