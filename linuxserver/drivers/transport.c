// SPDX-License-Identifier: GPL-2.0-only
// See transport.h.
#include "transport.h"

#include "lib/virtio/pci.h"

#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>

#define CONFIG_INDEX 0
#define QUEUE_INDEX  1

// --- Registers -----------------------------------------------------------------------

static uint32_t read_config(void *context, uint32_t offset)
{
    const struct corvus_virtio *virtio = context;

    return machine_read_config(virtio->number, offset);
}

static bool open_bar(void *context, uint32_t bar, uint64_t *bytes, bool *ports)
{
    struct corvus_virtio *virtio = context;

    if (bar >= CORVUS_VIRTIO_BARS)
        return false;
    struct machine_bar *found = &virtio->bars[bar];
    if (!virtio->opened[bar] && machine_open_bar(virtio->number, bar, found) != 0)
        return false;
    virtio->opened[bar] = true;
    *bytes = found->bytes;
    *ports = found->ports;
    return true;
}

static uint32_t read_register(void *context, uint32_t bar, uint32_t offset, uint32_t width)
{
    const struct corvus_virtio *virtio = context;
    unsigned long place = virtio->bars[bar].start + offset;

    if (virtio->bars[bar].ports)
        return machine_in((unsigned short)place, width);
    if (width == 1)
        return *(const volatile u8 *)place;
    if (width == 2)
        return *(const volatile u16 *)place;
    return *(const volatile u32 *)place;
}

static void write_register(void *context, uint32_t bar, uint32_t offset, uint32_t width,
                           uint32_t value)
{
    const struct corvus_virtio *virtio = context;
    unsigned long place = virtio->bars[bar].start + offset;

    if (virtio->bars[bar].ports)
        machine_out((unsigned short)place, width, value);
    else if (width == 1)
        *(volatile u8 *)place = (u8)value;
    else if (width == 2)
        *(volatile u16 *)place = (u16)value;
    else
        *(volatile u32 *)place = value;
}

// The library waits only while it resets a device, which the drivers do in processes.
static void wait_a_little(void *context)
{
    usleep_range(1000, 2000);
}

// --- Finding -------------------------------------------------------------------------

static int open_device(struct corvus_virtio *virtio)
{
    struct virtio_platform platform = {
        .read_config = read_config,
        .open_bar = open_bar,
        .read = read_register,
        .write = write_register,
        .pause = wait_a_little,
        .context = virtio,
    };
    enum virtio_error error = virtio_pci_open(&virtio->device, &platform);

    if (error == VIRTIO_OK)
        return 0;
    pr_err("corvus: virtio device %u: %s\n", virtio->number, virtio_error_text(error));
    machine_release_device(virtio->number);
    return -EIO;
}

int corvus_virtio_claim_next(u16 type, unsigned int *number, struct corvus_virtio *virtio)
{
    struct machine_device found;

    for (;; *number = found.number + 1) {
        int error = machine_find_device(*number, VIRTIO_PCI_VENDOR, &found);
        if (error != 0)
            return error;
        if (virtio_pci_type(found.vendor, found.id, found.subsystem) != type)
            continue;
        *virtio = (struct corvus_virtio){.number = found.number};
        error = machine_claim_device(found.number);
        if (error != 0)
            pr_err("corvus: virtio device %u cannot be claimed: error %d\n", found.number, -error);
        else if (open_device(virtio) == 0)
            break;
    }
    *number = found.number + 1;
    return 0;
}

// --- Interrupts ----------------------------------------------------------------------

static irqreturn_t handle_line(int irq, void *context)
{
    struct corvus_virtio *virtio = context;
    u8 reasons = virtio_interrupt_status(&virtio->device);

    machine_acknowledge_interrupt(irq);
    if (reasons & VIRTIO_INTERRUPT_QUEUE)
        virtio->queues_interrupt(virtio->context);
    if (reasons & VIRTIO_INTERRUPT_CONFIG)
        virtio->config_interrupt(virtio->context);
    return reasons != 0 ? IRQ_HANDLED : IRQ_NONE;
}

static irqreturn_t handle_queues(int irq, void *context)
{
    struct corvus_virtio *virtio = context;

    virtio->queues_interrupt(virtio->context);
    return IRQ_HANDLED;
}

static irqreturn_t handle_config(int irq, void *context)
{
    struct corvus_virtio *virtio = context;

    // With a single vector for both nobody can tell them apart.
    if (virtio->config_irq == virtio->queue_irq)
        virtio->queues_interrupt(virtio->context);
    virtio->config_interrupt(virtio->context);
    return IRQ_HANDLED;
}

static int attach(struct corvus_virtio *virtio, unsigned int index, irq_handler_t handler,
                  const char *name, unsigned int *irq, int *kind)
{
    int number = machine_attach_interrupt(virtio->number, index, kind);

    if (number < 0)
        return number;
    if (*kind != MACHINE_MSIX)
        handler = handle_line;
    int error = request_irq(number, handler, 0, name, virtio);
    if (error == 0)
        *irq = number;
    return error;
}

int corvus_virtio_attach(struct corvus_virtio *virtio, const char *name)
{
    int kind;
    int error = attach(virtio, QUEUE_INDEX, handle_queues, name, &virtio->queue_irq, &kind);
    bool single = error == -EINVAL;

    if (error == 0 || single)
        error = attach(virtio, CONFIG_INDEX, handle_config, name, &virtio->config_irq, &kind);
    if (error != 0)
        return error;
    if (single)
        virtio->queue_irq = virtio->config_irq;
    virtio->line = kind != MACHINE_MSIX;
    if (!virtio->line)
        virtio_use_vectors(&virtio->device, CONFIG_INDEX, single ? CONFIG_INDEX : QUEUE_INDEX);
    return 0;
}

// --- Memory ----------------------------------------------------------------------------

int corvus_virtio_allocate(size_t shared_bytes, size_t own_bytes, struct virtio_memory *memory)
{
    unsigned long contiguous = 0;

    *memory = (struct virtio_memory){.shared_bytes = shared_bytes, .own_bytes = own_bytes};
    memory->shared = alloc_pages_exact(shared_bytes, GFP_KERNEL | __GFP_ZERO);
    memory->own = kzalloc(own_bytes, GFP_KERNEL);
    if (memory->shared != NULL)
        memory->shared_bus = machine_bus_address(__pa(memory->shared), &contiguous);
    if (memory->own != NULL && contiguous >= shared_bytes)
        return 0;
    corvus_virtio_free(memory);
    return -ENOMEM;
}

void corvus_virtio_free(struct virtio_memory *memory)
{
    if (memory->shared != NULL)
        free_pages_exact(memory->shared, memory->shared_bytes);
    kfree(memory->own);
    *memory = (struct virtio_memory){0};
}

void corvus_virtio_release(struct corvus_virtio *virtio)
{
    enum virtio_error error = virtio_reset(&virtio->device);

    if (error != VIRTIO_OK)
        pr_err("corvus: virtio device %u: %s\n", virtio->number, virtio_error_text(error));
    if (virtio->queue_irq != 0)
        free_irq(virtio->queue_irq, virtio);
    if (virtio->config_irq != 0 && virtio->config_irq != virtio->queue_irq)
        free_irq(virtio->config_irq, virtio);
    virtio->queue_irq = virtio->config_irq = 0;
    machine_release_device(virtio->number);
}
