// SPDX-License-Identifier: BSD-2-Clause
// Modern devices: register blocks that vendor capabilities name (Virtual I/O
// Device 1.1, section 4.1.4).
#include "pci.h"

// PCI Local Bus Specification 3.0, chapter 6.
#define PCI_ID                0x00
#define PCI_STATUS            0x04 // in the upper half
#define PCI_STATUS_LIST       (1u << 20)
#define PCI_SUBSYSTEM         0x2c
#define PCI_CAPABILITIES      0x34
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_HEADER_BYTES      0x40
#define PCI_CONFIG_BYTES      0x100
#define PCI_BARS              6
#define CAPABILITIES_MAX      48 // more of 4 bytes do not fit behind the header

#define ID_TRANSITIONAL 0x1000u
#define ID_MODERN       0x1040u
#define ID_END          0x1080u

// Section 4.1.4: the capability.
#define CAPABILITY_BAR        4
#define CAPABILITY_OFFSET     8
#define CAPABILITY_LENGTH     12
#define CAPABILITY_MULTIPLIER 16
#define CAPABILITY_BYTES      16
enum capability_type { COMMON = 1, NOTIFY = 2, INTERRUPT = 3, CONFIG = 4 };

// Section 4.1.4.3: the common configuration.
enum common {
    DEVICE_FEATURE_SELECT = 0,
    DEVICE_FEATURE = 4,
    DRIVER_FEATURE_SELECT = 8,
    DRIVER_FEATURE = 12,
    CONFIG_VECTOR = 16,
    DEVICE_STATUS = 20,
    CONFIG_GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFFSET = 30,
    QUEUE_DESCRIPTORS = 32,
    QUEUE_AVAILABLE = 40,
    QUEUE_USED = 48,
    COMMON_BYTES = 56,
};

uint16_t virtio_pci_type(uint16_t vendor, uint16_t id, uint16_t subsystem)
{
    if (vendor != VIRTIO_PCI_VENDOR || id < ID_TRANSITIONAL || id >= ID_END)
        return 0;
    return id < ID_MODERN ? subsystem : (uint16_t)(id - ID_MODERN);
}

// --- Capabilities ------------------------------------------------------------------

static uint32_t read_config(const struct virtio_device *device, uint32_t offset)
{
    return device->platform.read_config(device->platform.context, offset);
}

static bool region_is_inside(const struct virtio_device *device, const struct virtio_region *region)
{
    uint64_t bytes = 0;
    bool ports;

    return region->bar < PCI_BARS &&
           device->platform.open_bar(device->platform.context, region->bar, &bytes, &ports) &&
           region->bytes <= bytes && region->offset <= bytes - region->bytes;
}

static struct virtio_region *region_of(struct virtio_device *device, uint32_t type)
{
    switch (type) {
    case COMMON:
        return &device->common;
    case NOTIFY:
        return &device->notify;
    case INTERRUPT:
        return &device->interrupt;
    case CONFIG:
        return &device->config;
    default:
        return NULL; // another way to the same registers, or shared memory
    }
}

// Takes the first usable capability of each type, as the specification demands.
static void read_capability(struct virtio_device *device, uint32_t offset)
{
    uint32_t head = read_config(device, offset);
    uint32_t type = head >> 24, bytes = head >> 16 & 0xffu;
    uint32_t needed = type == NOTIFY ? CAPABILITY_MULTIPLIER + 4 : CAPABILITY_BYTES;
    struct virtio_region *region = region_of(device, type);

    if (region == NULL || region->bytes != 0 || bytes < needed ||
        offset + needed > PCI_CONFIG_BYTES)
        return;
    struct virtio_region found = {
        .bar = read_config(device, offset + CAPABILITY_BAR) & 0xffu,
        .offset = read_config(device, offset + CAPABILITY_OFFSET),
        .bytes = read_config(device, offset + CAPABILITY_LENGTH),
    };
    if (found.offset % sizeof(uint32_t) != 0 || !region_is_inside(device, &found))
        return;
    *region = found;
    if (type == NOTIFY)
        device->notify_multiplier = read_config(device, offset + CAPABILITY_MULTIPLIER);
}

static void read_capabilities(struct virtio_device *device)
{
    uint32_t offset = 0;

    if (read_config(device, PCI_STATUS) & PCI_STATUS_LIST)
        offset = read_config(device, PCI_CAPABILITIES) & 0xfcu;
    for (int i = 0; i < CAPABILITIES_MAX && offset >= PCI_HEADER_BYTES; i++) {
        uint32_t head = read_config(device, offset);
        if ((head & 0xffu) == PCI_CAPABILITY_VENDOR)
            read_capability(device, offset);
        offset = head >> 8 & 0xfcu;
    }
}

enum virtio_error virtio_pci_open(struct virtio_device *device,
                                  const struct virtio_platform *platform)
{
    *device = (struct virtio_device){
        .platform = *platform,
        .config_vector = VIRTIO_NO_VECTOR_INDEX,
        .queue_vector = VIRTIO_NO_VECTOR_INDEX,
    };
    uint32_t id = read_config(device, PCI_ID);
    uint32_t subsystem = read_config(device, PCI_SUBSYSTEM);
    device->type = virtio_pci_type((uint16_t)id, (uint16_t)(id >> 16), (uint16_t)(subsystem >> 16));
    if (device->type == 0)
        return VIRTIO_NO_DEVICE;
    read_capabilities(device);
    if (device->common.bytes >= COMMON_BYTES && device->notify.bytes >= sizeof(uint16_t) &&
        device->interrupt.bytes != 0)
        device->transport = &virtio_pci_modern;
    else if (id >> 16 >= ID_MODERN)
        return VIRTIO_BAD_CAPABILITY;
    else if (virtio_pci_open_legacy(device) != VIRTIO_OK)
        return VIRTIO_BAD_CAPABILITY;
    return virtio_reset(device);
}

// --- Registers -----------------------------------------------------------------------

static uint32_t read_common(const struct virtio_device *device, enum common offset, uint32_t width)
{
    return device->platform.read(device->platform.context, device->common.bar,
                                 device->common.offset + (uint32_t)offset, width);
}

static void write_common(const struct virtio_device *device, enum common offset, uint32_t width,
                         uint32_t value)
{
    device->platform.write(device->platform.context, device->common.bar,
                           device->common.offset + (uint32_t)offset, width, value);
}

// Registers of 64 bits are written in halves (section 4.1.3.1).
static void write_address(const struct virtio_device *device, enum common offset, uint64_t bus)
{
    write_common(device, offset, 4, (uint32_t)bus);
    write_common(device, (enum common)(offset + 4), 4, (uint32_t)(bus >> 32));
}

static uint8_t read_status(struct virtio_device *device)
{
    return (uint8_t)read_common(device, DEVICE_STATUS, 1);
}

static void write_status(struct virtio_device *device, uint8_t status)
{
    write_common(device, DEVICE_STATUS, 1, status);
}

static uint64_t read_features(struct virtio_device *device)
{
    write_common(device, DEVICE_FEATURE_SELECT, 4, 0);
    uint64_t low = read_common(device, DEVICE_FEATURE, 4);
    write_common(device, DEVICE_FEATURE_SELECT, 4, 1);
    uint64_t high = read_common(device, DEVICE_FEATURE, 4);
    return high << 32 | low;
}

static void write_features(struct virtio_device *device, uint64_t features)
{
    write_common(device, DRIVER_FEATURE_SELECT, 4, 0);
    write_common(device, DRIVER_FEATURE, 4, (uint32_t)features);
    write_common(device, DRIVER_FEATURE_SELECT, 4, 1);
    write_common(device, DRIVER_FEATURE, 4, (uint32_t)(features >> 32));
}

static uint16_t queue_size(struct virtio_device *device, uint16_t queue)
{
    write_common(device, QUEUE_SELECT, 2, queue);
    return (uint16_t)read_common(device, QUEUE_SIZE, 2);
}

// A device that has no resources for a vector reads back that it has none.
static enum virtio_error set_vector(struct virtio_device *device, enum common offset,
                                    uint16_t vector)
{
    write_common(device, offset, 2, vector);
    return read_common(device, offset, 2) == vector ? VIRTIO_OK : VIRTIO_NO_VECTOR;
}

static enum virtio_error set_config_vector(struct virtio_device *device)
{
    return set_vector(device, CONFIG_VECTOR, device->config_vector);
}

static enum virtio_error start_queue(struct virtio_device *device, struct virtqueue *queue)
{
    write_common(device, QUEUE_SELECT, 2, queue->index);
    if (read_common(device, QUEUE_SIZE, 2) < queue->size ||
        read_common(device, QUEUE_ENABLE, 2) != 0)
        return VIRTIO_NO_QUEUE;
    uint64_t notify =
        (uint64_t)read_common(device, QUEUE_NOTIFY_OFFSET, 2) * device->notify_multiplier;
    if (notify > device->notify.bytes - sizeof(uint16_t) || notify % sizeof(uint16_t) != 0)
        return VIRTIO_BAD_CAPABILITY;
    queue->notify_offset = (uint32_t)notify;
    write_common(device, QUEUE_SIZE, 2, queue->size);
    write_address(device, QUEUE_DESCRIPTORS, virtqueue_descriptors_bus(queue));
    write_address(device, QUEUE_AVAILABLE, virtqueue_available_bus(queue));
    write_address(device, QUEUE_USED, virtqueue_used_bus(queue));
    enum virtio_error error = set_vector(device, QUEUE_VECTOR, device->queue_vector);
    if (error == VIRTIO_OK)
        write_common(device, QUEUE_ENABLE, 2, 1);
    return error;
}

static void notify(struct virtio_device *device, const struct virtqueue *queue)
{
    device->platform.write(device->platform.context, device->notify.bar,
                           device->notify.offset + queue->notify_offset, 2, queue->index);
}

static uint8_t read_interrupt_status(struct virtio_device *device)
{
    return (uint8_t)device->platform.read(device->platform.context, device->interrupt.bar,
                                          device->interrupt.offset, 1);
}

static struct virtio_region config(struct virtio_device *device)
{
    return device->config;
}

static uint32_t config_generation(struct virtio_device *device)
{
    return read_common(device, CONFIG_GENERATION, 1);
}

const struct virtio_transport virtio_pci_modern = {
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
    .modern = true,
};
