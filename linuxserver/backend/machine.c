// SPDX-License-Identifier: GPL-2.0-only
// Devices for Linux's drivers, out of init's machine services. Linux's interrupts from the last one
// down belong to them, each with a port and a pending bit of the vCPU of its own.
#include "vcpu_page.h"

// init's services and the drivers' functions are alike in name.
#define machine_find_device      init_find_device
#define machine_claim_device     init_claim_device
#define machine_release_device   init_release_device
#define machine_read_config      init_read_config
#define machine_attach_interrupt init_attach_interrupt
#include <corvus/init_stubs.h>
#undef machine_find_device
#undef machine_claim_device
#undef machine_release_device
#undef machine_read_config
#undef machine_attach_interrupt
#include "machine.h"

#include <corvus/stubs.h>

#include <errno.h>
#include <kern_util.h>
#include <os.h>
#include <um_malloc.h>

#define INTERRUPTS_MAX 24
#define LAST_IRQ       63 // of ARCH=um, which gives them out from the lowest
#define BARS_BASE      0x50000000ul
#define BARS_END       SERVER_ETHERNET_BASE

#define ANY_VENDOR_DEVICE (0xfffful << 16)

static port_name_t interrupts[INTERRUPTS_MAX];
static unsigned int interrupt_count;
static uint64_t bars_next = BARS_BASE;
static uint64_t *chunk_bases; // bus address of each 2 MiB of Linux's memory; 1: not yet asked for

#define CHUNK_UNKNOWN 1ul

int machine_errno(corvus_error_t error)
{
    switch (error) {
    case ERR_OK:
        return 0;
    case ERR_NOT_FOUND:
        return -ENOENT;
    case ERR_IN_USE:
        return -EBUSY;
    case ERR_ACCESS_DENIED:
        return -EACCES;
    case ERR_NO_MEMORY:
        return -ENOMEM;
    case ERR_INVALID_ARGUMENT:
    case ERR_INVALID_RANGE:
        return -EINVAL;
    default:
        return -EIO;
    }
}

// --- Devices -------------------------------------------------------------------------------------

int machine_find_device(unsigned int first, unsigned int vendor, struct machine_device *found)
{
    uint64_t number, id, class, address;
    corvus_error_t error = QUIETLY(init_find_device(
        NAME_BOOTSTRAP, first, vendor | ANY_VENDOR_DEVICE, 0, 0, &number, &id, &class, &address));

    if (error != ERR_OK)
        return machine_errno(error);
    *found = (struct machine_device){
        .number = (unsigned int)number,
        .vendor = id & 0xffff,
        .id = id >> 16 & 0xffff,
        .subsystem_vendor = id >> 32 & 0xffff,
        .subsystem = id >> 48 & 0xffff,
        .address = (unsigned int)address,
    };
    return 0;
}

static int make_chunks(void)
{
    unsigned long count = server_boot.memory_bytes / MACHINE_RUN_BYTES;

    if (chunk_bases != NULL)
        return 0;
    chunk_bases = vmalloc(count * sizeof *chunk_bases);
    if (chunk_bases == NULL)
        return -ENOMEM;
    for (unsigned long i = 0; i < count; i++)
        chunk_bases[i] = CHUNK_UNKNOWN;
    return 0;
}

int machine_claim_device(unsigned int number)
{
    int error = make_chunks();

    return error != 0 ? error : machine_errno(QUIETLY(init_claim_device(NAME_BOOTSTRAP, number)));
}

void machine_release_device(unsigned int number)
{
    (void)QUIETLY(init_release_device(NAME_BOOTSTRAP, number));
}

unsigned int machine_read_config(unsigned int number, unsigned int offset)
{
    uint64_t value = ~0ul;

    (void)QUIETLY(init_read_config(NAME_BOOTSTRAP, number, offset, &value));
    return (unsigned int)value;
}

int machine_open_bar(unsigned int number, unsigned int bar, struct machine_bar *found)
{
    uint64_t bytes, kind, base, length;
    corvus_error_t error =
        QUIETLY(machine_bar_info(NAME_BOOTSTRAP, number, bar, &bytes, &kind, &base));

    if (error != ERR_OK)
        return machine_errno(error);
    if (bytes == 0)
        return -ENOENT;
    *found = (struct machine_bar){.bytes = bytes, .start = base, .ports = kind == 1};
    if (found->ports)
        return machine_errno(QUIETLY(machine_map_bar(NAME_BOOTSTRAP, number, bar, 0, 0, 0)));
    length = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (length > BARS_END - bars_next)
        return -ENOMEM;
    error = QUIETLY(machine_map_bar(NAME_BOOTSTRAP, number, bar, 0, length, bars_next));
    if (error != ERR_OK)
        return machine_errno(error);
    found->start = bars_next + base % PAGE_BYTES;
    bars_next += length;
    return 0;
}

// --- Interrupts ----------------------------------------------------------------------------------

int machine_make_interrupt_port(port_name_t *receive)
{
    uint64_t port;
    unsigned int slot = interrupt_count;
    corvus_error_t error;

    if (slot == INTERRUPTS_MAX)
        return -ENOSPC;
    error = QUIETLY(task_allocate_port(NAME_TASK_SELF, 0, &port));
    if (error != ERR_OK)
        return machine_errno(error);
    error = QUIETLY(vcpu_bind(NAME_THREAD_MAIN, port, EVENT_DEVICE + slot));
    if (error != ERR_OK) {
        (void)QUIETLY(task_deallocate_right(NAME_TASK_SELF, port));
        return machine_errno(error);
    }
    *receive = (port_name_t)port;
    interrupt_count++;
    return (int)(LAST_IRQ - slot);
}

int machine_attach_interrupt(unsigned int number, unsigned int index, int *kind)
{
    uint64_t how;
    port_name_t port;
    unsigned int slot = interrupt_count;
    corvus_error_t error;
    int irq = machine_make_interrupt_port(&port);

    if (irq < 0)
        return irq;
    error = QUIETLY(init_attach_interrupt(NAME_BOOTSTRAP, number, index, 1, make_send(port), &how,
                                          &interrupts[slot]));
    if (error != ERR_OK) {
        (void)QUIETLY(task_deallocate_right(NAME_TASK_SELF, port));
        interrupt_count--;
        return machine_errno(error);
    }
    *kind = (int)how;
    return irq;
}

void machine_acknowledge_interrupt(unsigned int irq)
{
    if (irq <= LAST_IRQ && LAST_IRQ - irq < interrupt_count)
        (void)QUIETLY(interrupt_acknowledge(interrupts[LAST_IRQ - irq]));
}

void machine_interrupts(unsigned long bits, struct uml_pt_regs *regs)
{
    for (unsigned int slot = 0; slot < interrupt_count; slot++) {
        if (bits >> slot & 1)
            do_IRQ((int)(LAST_IRQ - slot), regs);
    }
}

// --- Memory --------------------------------------------------------------------------------------

static uint64_t chunk_base(unsigned long chunk)
{
    uint64_t physical = 0, bytes = 0;

    if (chunk_bases[chunk] != CHUNK_UNKNOWN)
        return chunk_bases[chunk];
    if (QUIETLY(machine_physical_address(NAME_BOOTSTRAP,
                                         SERVER_MEMORY_BASE + chunk * MACHINE_RUN_BYTES, &physical,
                                         &bytes)) != ERR_OK ||
        bytes < MACHINE_RUN_BYTES)
        return CHUNK_UNKNOWN;
    return chunk_bases[chunk] = physical;
}

unsigned long machine_bus_address(unsigned long physical, unsigned long *bytes)
{
    unsigned long offset = physical % MACHINE_RUN_BYTES;
    uint64_t base;

    *bytes = 0;
    if (physical >= server_boot.memory_bytes || chunk_bases == NULL)
        return 0;
    base = chunk_base(physical / MACHINE_RUN_BYTES);
    if (base == CHUNK_UNKNOWN)
        return 0;
    *bytes = MACHINE_RUN_BYTES - offset;
    return base + offset;
}
