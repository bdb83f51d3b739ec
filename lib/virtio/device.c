// SPDX-License-Identifier: BSD-2-Clause
// The life of a device (Virtual I/O Device 1.1, section 3.1), and the texts of
// errors.
#include "device.h"

// Section 2.1.
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED      128u

#define RESET_PAUSES  1000
#define STABLE_ROUNDS 100

#define LEGACY_FEATURES 0xffffffffull // what fits into a legacy device's registers

const char *virtio_error_text(enum virtio_error error)
{
    static const char *const texts[] = {
#define VIRTIO_ERROR_TEXT(name, text) [VIRTIO_##name] = (text),
        VIRTIO_ERRORS(VIRTIO_ERROR_TEXT)
#undef VIRTIO_ERROR_TEXT
    };

    return (unsigned)error < VIRTIO_ERROR_COUNT ? texts[error] : "unknown error";
}

// --- Status --------------------------------------------------------------------------

void virtio_use_vectors(struct virtio_device *device, uint16_t config_vector, uint16_t queue_vector)
{
    device->config_vector = config_vector;
    device->queue_vector = queue_vector;
}

static void add_status(struct virtio_device *device, uint8_t bits)
{
    uint8_t status = device->transport->read_status(device);

    device->transport->write_status(device, status | bits);
}

enum virtio_error virtio_reset(struct virtio_device *device)
{
    device->transport->write_status(device, 0);
    for (int i = 0; i < RESET_PAUSES; i++) {
        if (device->transport->read_status(device) == 0)
            return VIRTIO_OK;
        device->platform.pause(device->platform.context);
    }
    return VIRTIO_NO_RESET;
}

// Tells the device that this driver gives up.
static enum virtio_error fail(struct virtio_device *device, enum virtio_error error)
{
    add_status(device, STATUS_FAILED);
    return error;
}

static enum virtio_error agree(struct virtio_device *device, uint64_t wanted, uint64_t needed)
{
    device->offered = device->transport->read_features(device);
    if (device->transport->modern)
        needed |= VIRTIO_F_VERSION_1;
    else
        device->offered &= LEGACY_FEATURES;
    if (device->offered & VIRTIO_F_ACCESS_PLATFORM)
        return VIRTIO_ACCESS_PLATFORM;
    if ((device->offered & needed) != needed)
        return VIRTIO_NO_FEATURE;
    wanted |= needed | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX;
    device->features = device->offered & wanted;
    device->transport->write_features(device, device->features);
    if (!device->transport->modern)
        return VIRTIO_OK; // such a device is not asked
    add_status(device, STATUS_FEATURES_OK);
    return device->transport->read_status(device) & STATUS_FEATURES_OK ? VIRTIO_OK
                                                                       : VIRTIO_FEATURES_REFUSED;
}

enum virtio_error virtio_begin(struct virtio_device *device, uint64_t wanted, uint64_t needed)
{
    enum virtio_error error = virtio_reset(device);

    if (error != VIRTIO_OK)
        return error;
    add_status(device, STATUS_ACKNOWLEDGE);
    add_status(device, STATUS_DRIVER);
    error = agree(device, wanted, needed);
    if (error == VIRTIO_OK)
        error = device->transport->set_config_vector(device);
    return error == VIRTIO_OK ? error : fail(device, error);
}

enum virtio_error virtio_run(struct virtio_device *device)
{
    add_status(device, STATUS_DRIVER_OK);
    return virtio_needs_reset(device) ? VIRTIO_BROKEN : VIRTIO_OK;
}

bool virtio_needs_reset(struct virtio_device *device)
{
    return (device->transport->read_status(device) & STATUS_NEEDS_RESET) != 0;
}

uint8_t virtio_interrupt_status(struct virtio_device *device)
{
    return device->transport->read_interrupt_status(device);
}

// --- Queues ----------------------------------------------------------------------------

uint16_t virtio_queue_size(struct virtio_device *device, uint16_t queue, uint16_t limit)
{
    uint16_t size = device->transport->queue_size(device, queue);
    uint16_t power = 1;

    if (size == 0)
        return 0;
    if (device->transport->fixed_queue_size) {
        bool possible = size <= VIRTQUEUE_SIZE_MAX && (size & (size - 1u)) == 0;
        return possible ? size : 0;
    }
    while (power * 2u <= size && power * 2u <= limit && power * 2u <= VIRTQUEUE_SIZE_MAX)
        power *= 2;
    return power;
}

struct virtqueue_options virtio_queue_options(const struct virtio_device *device)
{
    return (struct virtqueue_options){
        .event_index = virtio_has(device, VIRTIO_F_EVENT_INDEX),
        .indirect = virtio_has(device, VIRTIO_F_INDIRECT),
    };
}

enum virtio_error virtio_start_queue(struct virtio_device *device, struct virtqueue *queue)
{
    enum virtio_error error = device->transport->start_queue(device, queue);

    return error == VIRTIO_OK ? error : fail(device, error);
}

void virtio_kick(struct virtio_device *device, struct virtqueue *queue)
{
    if (virtqueue_publish(queue))
        device->transport->notify(device, queue);
}

// --- Configuration -----------------------------------------------------------------------

uint64_t virtio_read(struct virtio_device *device, uint32_t offset, uint32_t width)
{
    const struct virtio_platform *platform = &device->platform;
    struct virtio_region region = device->transport->config(device);

    if (width > region.bytes || offset > region.bytes - width)
        return 0;
    offset += region.offset;
    if (width <= sizeof(uint32_t))
        return platform->read(platform->context, region.bar, offset, width);
    uint64_t low = platform->read(platform->context, region.bar, offset, 4);
    uint64_t high = platform->read(platform->context, region.bar, offset + 4, 4);
    return high << 32 | low;
}

enum virtio_error virtio_read_stable(struct virtio_device *device,
                                     void (*read)(struct virtio_device *device, void *context),
                                     void *context)
{
    for (int i = 0; i < STABLE_ROUNDS; i++) {
        uint32_t generation = device->transport->config_generation(device);
        read(device, context);
        if (device->transport->config_generation(device) == generation)
            return VIRTIO_OK;
    }
    return VIRTIO_BAD_CONFIGURATION;
}
