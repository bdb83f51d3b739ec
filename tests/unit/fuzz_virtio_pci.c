// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/device.c lib/virtio/pci.c lib/virtio/pci_legacy.c
// sources: lib/virtio/virtqueue.c
// Any configuration space and any registers: nothing outside a BAR is accessed, the
// library comes to an end, and a queue that it starts lies inside its memory.
#include "lib/virtio/pci.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONFIG_BYTES 256
#define SIZE_WANTED  16

struct machine {
    const uint8_t *bytes; // configuration space, then what registers read, round and round
    size_t size, next;
    unsigned status_reads;
};

static uint64_t bar_bytes(const struct machine *machine, uint32_t bar)
{
    return 1ull << (machine->bytes[bar] % 20);
}

static uint32_t read_config(void *context, uint32_t offset)
{
    const struct machine *machine = context;
    uint32_t value;

    if (offset % 4 != 0 || offset > CONFIG_BYTES - 4)
        abort();
    memcpy(&value, machine->bytes + offset, sizeof value);
    // Most inputs are to be devices of the right vendor, with a list of capabilities.
    if (offset == 0)
        return 0x10001af4u | (value & 0x7f0000u);
    return offset == 4 ? value | 1u << 20 : value;
}

static bool open_bar(void *context, uint32_t bar, uint64_t *bytes, bool *ports)
{
    if (bar >= 6)
        abort();
    *bytes = bar_bytes(context, bar);
    *ports = bar == 0;
    return bar != 5;
}

static void check_access(const struct machine *machine, uint32_t bar, uint32_t offset,
                         uint32_t width)
{
    if (bar >= 5 || (width != 1 && width != 2 && width != 4) || offset % width != 0 ||
        (uint64_t)offset + width > bar_bytes(machine, bar))
        abort();
}

static uint32_t read_register(void *context, uint32_t bar, uint32_t offset, uint32_t width)
{
    struct machine *machine = context;
    uint32_t value = 0;

    check_access(machine, bar, offset, width);
    for (uint32_t i = 0; i < width; i++) {
        value = value << 8 | machine->bytes[machine->next];
        machine->next = machine->next + 1 < machine->size ? machine->next + 1 : CONFIG_BYTES;
    }
    return value;
}

static void write_register(void *context, uint32_t bar, uint32_t offset, uint32_t width,
                           uint32_t value)
{
    (void)value;
    check_access(context, bar, offset, width);
}

static void no_pause(void *context)
{
    (void)context;
}

static void start_queue(struct virtio_device *device)
{
    struct virtqueue queue;
    uint16_t size = virtio_queue_size(device, 0, SIZE_WANTED);

    if (size == 0)
        return;
    if (size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
        abort();
    void *shared = aligned_alloc(4096, virtqueue_shared_bytes(size));
    void *own = malloc(virtqueue_own_bytes(size));
    if (shared == NULL || own == NULL)
        abort();
    virtqueue_initialize(&queue, 0, size, virtio_queue_options(device), shared, 0x10000, own);
    if (virtio_start_queue(device, &queue) == VIRTIO_OK) {
        struct virtio_segment segment = {.bus = 0x1000, .bytes = 1};
        struct virtqueue_chain chain = {.segments = &segment, .readable = 1, .cookie = &queue};
        (void)virtio_run(device);
        (void)virtqueue_add_chain(&queue, &chain);
        virtio_kick(device, &queue);
    }
    free(shared);
    free(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine machine = {.bytes = data, .size = size, .next = CONFIG_BYTES};
    struct virtio_platform platform = {
        .read_config = read_config,
        .open_bar = open_bar,
        .read = read_register,
        .write = write_register,
        .pause = no_pause,
        .context = &machine,
    };
    struct virtio_device device;

    if (size <= CONFIG_BYTES || virtio_pci_open(&device, &platform) != VIRTIO_OK)
        return 0;
    if (data[CONFIG_BYTES - 1] & 1)
        virtio_use_vectors(&device, data[CONFIG_BYTES - 2], data[CONFIG_BYTES - 3]);
    for (uint32_t offset = 0; offset < 64; offset += 4) {
        (void)virtio_read(&device, offset, 4);
        (void)virtio_read(&device, offset + data[0], 1);
        (void)virtio_read(&device, offset, 8);
    }
    if (virtio_begin(&device, ~VIRTIO_F_ACCESS_PLATFORM, 0) == VIRTIO_OK)
        start_queue(&device);
    return 0;
}
