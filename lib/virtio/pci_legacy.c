// SPDX-License-Identifier: BSD-2-Clause
// Devices from before version 1.0 and transitional ones (Virtual I/O Device 1.1,
// section 4.1.4.8): registers at the I/O ports of BAR 0, in the guest's byte
// order; a queue has the size that the device says and is told by its page frame.
#include "pci.h"

enum legacy {
    DEVICE_FEATURES = 0,
    DRIVER_FEATURES = 4,
    QUEUE_FRAME = 8,
    QUEUE_SIZE = 12,
    QUEUE_SELECT = 14,
    QUEUE_NOTIFY = 16,
    DEVICE_STATUS = 18,
    INTERRUPT_STATUS = 19,
    CONFIG_VECTOR = 20, // these two only while MSI-X is enabled
    QUEUE_VECTOR = 22,
    LINE_BYTES = 20, // up to the device's own configuration
    MSIX_BYTES = 24,
};

#define FRAME_SHIFT 12

static uint32_t read_port(const struct virtio_device *device, enum legacy offset, uint32_t width)
{
    return device->platform.read(device->platform.context, 0, (uint32_t)offset, width);
}

static void write_port(const struct virtio_device *device, enum legacy offset, uint32_t width,
                       uint32_t value)
{
    device->platform.write(device->platform.context, 0, (uint32_t)offset, width, value);
}

static bool has_vectors(const struct virtio_device *device)
{
    return device->queue_vector != VIRTIO_NO_VECTOR_INDEX;
}

enum virtio_error virtio_pci_open_legacy(struct virtio_device *device)
{
    uint64_t bytes = 0;
    bool ports = false;

    if (!device->platform.open_bar(device->platform.context, 0, &bytes, &ports) || !ports ||
        bytes < MSIX_BYTES || bytes > 0x10000)
        return VIRTIO_NO_DEVICE;
    device->common = (struct virtio_region){.bar = 0, .offset = 0, .bytes = (uint32_t)bytes};
    device->transport = &virtio_pci_legacy;
    return VIRTIO_OK;
}

static uint8_t read_status(struct virtio_device *device)
{
    return (uint8_t)read_port(device, DEVICE_STATUS, 1);
}

static void write_status(struct virtio_device *device, uint8_t status)
{
    write_port(device, DEVICE_STATUS, 1, status);
}

static uint64_t read_features(struct virtio_device *device)
{
    return read_port(device, DEVICE_FEATURES, 4);
}

static void write_features(struct virtio_device *device, uint64_t features)
{
    write_port(device, DRIVER_FEATURES, 4, (uint32_t)features);
}

static uint16_t queue_size(struct virtio_device *device, uint16_t queue)
{
    write_port(device, QUEUE_SELECT, 2, queue);
    return (uint16_t)read_port(device, QUEUE_SIZE, 2);
}

static enum virtio_error set_vector(struct virtio_device *device, enum legacy offset,
                                    uint16_t vector)
{
    if (!has_vectors(device))
        return VIRTIO_OK;
    write_port(device, offset, 2, vector);
    return read_port(device, offset, 2) == vector ? VIRTIO_OK : VIRTIO_NO_VECTOR;
}

static enum virtio_error set_config_vector(struct virtio_device *device)
{
    return set_vector(device, CONFIG_VECTOR, device->config_vector);
}

static enum virtio_error start_queue(struct virtio_device *device, struct virtqueue *queue)
{
    uint64_t frame = virtqueue_descriptors_bus(queue) >> FRAME_SHIFT;

    write_port(device, QUEUE_SELECT, 2, queue->index);
    if (read_port(device, QUEUE_SIZE, 2) != queue->size || read_port(device, QUEUE_FRAME, 4) != 0)
        return VIRTIO_NO_QUEUE;
    if (frame > 0xffffffffu)
        return VIRTIO_INVALID;
    enum virtio_error error = set_vector(device, QUEUE_VECTOR, device->queue_vector);
    if (error == VIRTIO_OK)
        write_port(device, QUEUE_FRAME, 4, (uint32_t)frame);
    return error;
}

static void notify(struct virtio_device *device, const struct virtqueue *queue)
{
    write_port(device, QUEUE_NOTIFY, 2, queue->index);
}

static uint8_t read_interrupt_status(struct virtio_device *device)
{
    return (uint8_t)read_port(device, INTERRUPT_STATUS, 1);
}

static struct virtio_region config(struct virtio_device *device)
{
    uint32_t offset = has_vectors(device) ? MSIX_BYTES : LINE_BYTES;

    return (struct virtio_region){.offset = offset, .bytes = device->common.bytes - offset};
}

// There is no such number. What such devices have of more than 32 bits, a disk's
// capacity, is in the first eight bytes: these stand for it.
static uint32_t config_generation(struct virtio_device *device)
{
    return (uint32_t)(virtio_read(device, 0, 4) * 31u + virtio_read(device, 4, 4));
}

const struct virtio_transport virtio_pci_legacy = {
    .read_status = read_status,
    .write_status = write_status,
    .read_features = read_features,
    .write_features = write_features,
    .queue_size = queue_size,
    .start_queue = start_queue,
    .notify = notify,
    .set_config_vector = set_config_vector,
    .read_interrupt_status = read_interrupt_status,
    .config = config,
    .config_generation = config_generation,
    .fixed_queue_size = true,
};
