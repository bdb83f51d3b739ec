// SPDX-License-Identifier: BSD-2-Clause
// The platform of a native task. Addresses come from the runtime, which reserves
// them; what lies there is init's doing.
#include "native.h"

#include "pci.h"

#include "lib/memory.h"

#include <corvus/host.h>
#include <corvus/init_stubs.h>

#include <stdlib.h>
#include <time.h>

#define ANY_DEVICE    0xffffull
#define PAUSE_NS      1000000
#define DMA_SMALL_MAX (1ull << 20) // what init gives in 4 KiB pages
#define DMA_LARGE     (2ull << 20) // and in what units it gives more
#define CONFIG_VECTOR 0
#define QUEUE_VECTOR  1
#define KIND_LINE     0 // of machine_attach_interrupt
#define KIND_MSIX     2
#define IO_PORTS      0x10000u

// --- Registers -----------------------------------------------------------------------

static uint32_t read_config(void *context, uint32_t offset)
{
    const struct virtio_native *native = context;
    uint64_t value = 0;

    // On failure all ones, as if there were no device: it is then found to be none.
    if (machine_read_config(NAME_BOOTSTRAP, native->number, offset, &value) != ERR_OK)
        return UINT32_MAX;
    return (uint32_t)value;
}

static corvus_error_t map_memory(struct virtio_native *native, uint32_t bar)
{
    struct virtio_native_bar *found = &native->bars[bar];
    uint64_t length = virtio_align(found->bytes, PAGE_BYTES);
    corvus_error_t error = memory_map_anywhere(length, 0, &found->registers);

    if (error != ERR_OK)
        return error;
    error = machine_map_bar(NAME_BOOTSTRAP, native->number, bar, 0, length, found->registers);
    if (error != ERR_OK)
        (void)memory_unmap_range(found->registers, length);
    return error;
}

static corvus_error_t find_bar(struct virtio_native *native, uint32_t bar)
{
    struct virtio_native_bar *found = &native->bars[bar];
    uint64_t kind = 0, base = 0;
    corvus_error_t error =
        machine_bar_info(NAME_BOOTSTRAP, native->number, bar, &found->bytes, &kind, &base);

    if (error != ERR_OK)
        return error;
    if (found->bytes == 0)
        return ERR_NOT_FOUND;
    found->ports = kind == 1;
    if (!found->ports)
        return map_memory(native, bar);
    if (base >= IO_PORTS || found->bytes > IO_PORTS - base)
        return ERR_INVALID_RANGE;
    found->registers = base;
    return machine_map_bar(NAME_BOOTSTRAP, native->number, bar, 0, 0, 0);
}

static bool open_bar(void *context, uint32_t bar, uint64_t *bytes, bool *ports)
{
    struct virtio_native *native = context;

    if (bar >= VIRTIO_NATIVE_BARS)
        return false;
    struct virtio_native_bar *found = &native->bars[bar];
    if (!found->open && find_bar(native, bar) != ERR_OK)
        return false;
    found->open = true;
    *bytes = found->bytes;
    *ports = found->ports;
    return true;
}

static uint32_t read_port(uint16_t port, uint32_t width)
{
    uint32_t value = 0;

    if (width == 1)
        __asm__ volatile("inb %1, %b0" : "+a"(value) : "Nd"(port));
    else if (width == 2)
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
    else
        __asm__ volatile("inl %1, %0" : "+a"(value) : "Nd"(port));
    return value;
}

static void write_port(uint16_t port, uint32_t width, uint32_t value)
{
    if (width == 1)
        __asm__ volatile("outb %b0, %1" : : "a"(value), "Nd"(port) : "memory");
    else if (width == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port) : "memory");
    else
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static uint32_t read_register(void *context, uint32_t bar, uint32_t offset, uint32_t width)
{
    const struct virtio_native *native = context;
    uint64_t place = native->bars[bar].registers + offset;

    if (native->bars[bar].ports)
        return read_port((uint16_t)place, width);
    if (width == 1)
        return *(const volatile uint8_t *)place;
    if (width == 2)
        return *(const volatile uint16_t *)place;
    return *(const volatile uint32_t *)place;
}

static void write_register(void *context, uint32_t bar, uint32_t offset, uint32_t width,
                           uint32_t value)
{
    const struct virtio_native *native = context;
    uint64_t place = native->bars[bar].registers + offset;

    if (native->bars[bar].ports)
        write_port((uint16_t)place, width, value);
    else if (width == 1)
        *(volatile uint8_t *)place = (uint8_t)value;
    else if (width == 2)
        *(volatile uint16_t *)place = (uint16_t)value;
    else
        *(volatile uint32_t *)place = value;
}

static void wait_a_little(void *context)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};

    (void)context;
    (void)nanosleep(&pause, NULL);
}

// --- The device ----------------------------------------------------------------------

corvus_error_t virtio_native_find(uint16_t type, uint64_t first, uint64_t *number)
{
    for (;; first++) {
        uint64_t id = 0;
        corvus_error_t error =
            machine_find_device(NAME_BOOTSTRAP, first, VIRTIO_PCI_VENDOR | ANY_DEVICE << 16, 0, 0,
                                &first, &id, NULL, NULL);
        if (error != ERR_OK)
            return error;
        if (virtio_pci_type((uint16_t)id, (uint16_t)(id >> 16), (uint16_t)(id >> 48)) == type) {
            *number = first;
            return ERR_OK;
        }
    }
}

corvus_error_t virtio_native_claim(struct virtio_native *native, uint64_t number)
{
    *native = (struct virtio_native){.number = number};
    return machine_claim_device(NAME_BOOTSTRAP, number);
}

enum virtio_error virtio_native_open(struct virtio_native *native)
{
    struct virtio_platform platform = {
        .read_config = read_config,
        .open_bar = open_bar,
        .read = read_register,
        .write = write_register,
        .pause = wait_a_little,
        .context = native,
    };

    return virtio_pci_open(&native->device, &platform);
}

static corvus_error_t attach(struct virtio_native *native, uint64_t index, uint64_t bits,
                             port_name_t send, uint64_t *kind)
{
    return machine_attach_interrupt(NAME_BOOTSTRAP, native->number, index, bits, copy_send(send),
                                    kind, &native->interrupts[index]);
}

corvus_error_t virtio_native_attach(struct virtio_native *native, port_name_t send,
                                    uint64_t config_bits, uint64_t queue_bits)
{
    uint64_t kind = KIND_LINE;
    uint16_t queue_vector = QUEUE_VECTOR;
    corvus_error_t error = attach(native, QUEUE_VECTOR, queue_bits, send, &kind);

    native->config_bits = config_bits;
    native->queue_bits = queue_bits;
    if (error == ERR_INVALID_ARGUMENT) { // there is only one, of whatever kind
        queue_vector = CONFIG_VECTOR;
        config_bits |= queue_bits;
        native->config_bits = native->queue_bits = config_bits;
        error = ERR_OK;
    }
    if (error == ERR_OK)
        error = attach(native, CONFIG_VECTOR, config_bits, send, &kind);
    if (error != ERR_OK)
        return error;
    native->line = kind != KIND_MSIX;
    if (!native->line)
        virtio_use_vectors(&native->device, CONFIG_VECTOR, queue_vector);
    return ERR_OK;
}

uint8_t virtio_native_interrupt(struct virtio_native *native, uint64_t bits)
{
    uint8_t reasons = 0;

    if (!native->line)
        return (uint8_t)((bits & native->queue_bits ? VIRTIO_INTERRUPT_QUEUE : 0) |
                         (bits & native->config_bits ? VIRTIO_INTERRUPT_CONFIG : 0));
    if (bits & native->config_bits) {
        reasons = virtio_interrupt_status(&native->device);
        (void)interrupt_acknowledge(native->interrupts[CONFIG_VECTOR]);
    }
    return reasons;
}

// --- Memory --------------------------------------------------------------------------

// Reserves addresses for large pages.
static corvus_error_t reserve(uint64_t length, uint64_t *address)
{
    uint64_t first = 0;
    corvus_error_t error = memory_map_anywhere(length + DMA_LARGE, 0, &first);

    if (error != ERR_OK)
        return error;
    *address = virtio_align(first, DMA_LARGE);
    if (*address != first)
        (void)memory_unmap_range(first, *address - first);
    (void)memory_unmap_range(*address + length, first + DMA_LARGE - *address);
    return ERR_OK;
}

corvus_error_t virtio_native_allocate(size_t shared_bytes, size_t own_bytes,
                                      struct virtio_memory *memory)
{
    uint64_t length = virtio_align(shared_bytes, PAGE_BYTES), address = 0, physical = 0;

    if (length > DMA_SMALL_MAX)
        length = virtio_align(length, DMA_LARGE);
    corvus_error_t error = reserve(length, &address);
    if (error != ERR_OK)
        return error;
    error = machine_allocate_dma(NAME_BOOTSTRAP, address, length, 0, &physical);
    if (error != ERR_OK) {
        (void)memory_unmap_range(address, length);
        return error;
    }
    *memory = (struct virtio_memory){
        .shared = (void *)(uintptr_t)address,
        .shared_bus = physical,
        .shared_bytes = length,
        .own = calloc(1, own_bytes),
        .own_bytes = own_bytes,
    };
    if (memory->own != NULL)
        return ERR_OK;
    virtio_native_free(memory);
    return ERR_NO_MEMORY;
}

void virtio_native_free(struct virtio_memory *memory)
{
    uint64_t address = (uint64_t)(uintptr_t)memory->shared;

    (void)bootstrap_free_memory(NAME_BOOTSTRAP, address, memory->shared_bytes);
    (void)memory_unmap_range(address, memory->shared_bytes);
    free(memory->own);
    *memory = (struct virtio_memory){0};
}

void virtio_native_release(struct virtio_native *native)
{
    if (native->device.transport != NULL)
        (void)virtio_reset(&native->device);
    (void)machine_release_device(NAME_BOOTSTRAP, native->number);
    for (int i = 0; i < 2; i++) {
        if (native->interrupts[i] != PORT_NULL)
            (void)port_deallocate(native->interrupts[i]);
    }
    *native = (struct virtio_native){0};
}
