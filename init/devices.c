// SPDX-License-Identifier: BSD-2-Clause
// Which PCI function is whose, and what its owner may do with it. A driver with
// DMA is trusted with all memory, as long as no IOMMU confines it; what is checked
// here keeps honest drivers apart, and a dead one's device from writing on.
#include "devices.h"

#include "platform/config_space.h"
#include "platform/device_memory.h"
#include "platform/interrupts.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/host.h>
#include <corvus/init_dispatch.h>

#define ANY_DEVICE          0xffffu
#define IO_PORTS_UNIT       8 // the kernel gives ports in eights
#define CONFIG_BYTES        256
#define CONFIG_HEADER_BYTES 64

static struct pci_function functions[PCI_FUNCTIONS_MAX];
static uint32_t function_count;
static const struct child *owners[PCI_FUNCTIONS_MAX];

void devices_initialize(const struct acpi_facts *facts)
{
    config_space_initialize(facts);
    function_count = pci_scan(&config_space, functions, PCI_FUNCTIONS_MAX);
    report("%u PCI functions%s", (unsigned)function_count,
           facts->ecam_base != 0 ? ", configuration space in memory" : "");
}

static uint32_t read_command(const struct pci_function *function)
{
    return config_space.read(config_space.context, function->address, PCI_COMMAND) & 0xffffu;
}

static void write_command(const struct pci_function *function, uint32_t command)
{
    config_space.write(config_space.context, function->address, PCI_COMMAND, command);
}

static void stop(const struct pci_function *function)
{
    write_command(function, read_command(function) & ~PCI_COMMAND_MASTER);
    interrupts_disable(function);
    (void)read_command(function); // writes are done when a read comes back
}

static void release_number(uint64_t number)
{
    stop(&functions[number]);
    owners[number] = NULL;
}

void devices_forget(const struct child *child)
{
    for (uint32_t i = 0; i < function_count; i++) {
        if (owners[i] == child)
            release_number(i);
    }
}

// --- Checks ------------------------------------------------------------------------

static corvus_error_t check_number(uint64_t label, uint64_t number)
{
    if (!child_has(child_of_label(label), CONFIG_DEVICES))
        return ERR_ACCESS_DENIED;
    return number < function_count ? ERR_OK : ERR_NOT_FOUND;
}

static corvus_error_t check_owner(uint64_t label, uint64_t number)
{
    corvus_error_t error = check_number(label, number);
    if (error != ERR_OK)
        return error;
    return owners[number] == child_of_label(label) ? ERR_OK : ERR_ACCESS_DENIED;
}

// --- Finding -----------------------------------------------------------------------

static bool fits(const struct pci_function *function, uint64_t id, uint64_t class, uint64_t mask)
{
    uint32_t vendor = id & 0xffffu, device = id >> 16 & 0xffffu;
    if (id != 0 && vendor != function->vendor)
        return false;
    if (id != 0 && device != ANY_DEVICE && device != function->device)
        return false;
    return ((function->class ^ class) & mask) == 0;
}

static corvus_error_t find_device(uint64_t label, uint64_t first, uint64_t id, uint64_t class,
                                  uint64_t class_mask, uint64_t *device, uint64_t *found_id,
                                  uint64_t *found_class, uint64_t *address)
{
    corvus_error_t error = check_number(label, first);
    for (; error == ERR_OK && first < function_count; first++) {
        const struct pci_function *function = &functions[first];
        if (!fits(function, id, class, class_mask))
            continue;
        *device = first;
        *found_id = function->vendor | (uint64_t)function->device << 16 |
                    (uint64_t)function->subsystem_vendor << 32 |
                    (uint64_t)function->subsystem << 48;
        *found_class = function->class | (uint64_t)function->revision << 24;
        *address = function->address;
        return ERR_OK;
    }
    return error != ERR_OK ? error : ERR_NOT_FOUND;
}

static corvus_error_t claim(uint64_t label, uint64_t device)
{
    corvus_error_t error = check_number(label, device);
    if (error != ERR_OK)
        return error;
    if (owners[device] != NULL)
        return ERR_IN_USE;
    owners[device] = child_of_label(label);
    write_command(&functions[device], read_command(&functions[device]) | PCI_COMMAND_IO |
                                          PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    return ERR_OK;
}

static corvus_error_t release(uint64_t label, uint64_t device)
{
    corvus_error_t error = check_owner(label, device);
    if (error == ERR_OK)
        release_number(device);
    return error;
}

// --- Configuration space -----------------------------------------------------------

static bool in_configuration(uint64_t offset)
{
    return offset < CONFIG_BYTES && offset % sizeof(uint32_t) == 0;
}

static corvus_error_t read_config(uint64_t label, uint64_t device, uint64_t offset, uint64_t *value)
{
    corvus_error_t error = check_number(label, device);
    if (error == ERR_OK && !in_configuration(offset))
        error = ERR_INVALID_ARGUMENT;
    if (error == ERR_OK)
        *value =
            config_space.read(config_space.context, functions[device].address, (uint32_t)offset);
    return error;
}

// Interrupt messages are writes to memory, so where they go is init's to say.
static bool in_interrupt_capability(const struct pci_function *function, uint64_t offset)
{
    for (uint32_t i = 0; i < function->capability_count; i++) {
        const struct pci_capability *capability = &function->capabilities[i];
        bool interrupt =
            capability->id == PCI_CAPABILITY_MSI || capability->id == PCI_CAPABILITY_MSIX;
        uint32_t bytes = capability->id == PCI_CAPABILITY_MSI ? 24 : 12;
        if (interrupt && offset >= capability->offset && offset < capability->offset + bytes)
            return true;
    }
    return false;
}

static corvus_error_t write_config(uint64_t label, uint64_t device, uint64_t offset, uint64_t value)
{
    corvus_error_t error = check_owner(label, device);
    if (error != ERR_OK)
        return error;
    if (!in_configuration(offset) || offset < CONFIG_HEADER_BYTES || value > UINT32_MAX)
        return ERR_INVALID_ARGUMENT;
    if (in_interrupt_capability(&functions[device], offset))
        return ERR_ACCESS_DENIED;
    config_space.write(config_space.context, functions[device].address, (uint32_t)offset,
                       (uint32_t)value);
    return ERR_OK;
}

// --- Memory and ports ----------------------------------------------------------------

static corvus_error_t bar_info(uint64_t label, uint64_t device, uint64_t bar, uint64_t *bytes,
                               uint64_t *kind, uint64_t *base)
{
    corvus_error_t error = check_number(label, device);
    if (error == ERR_OK && bar >= PCI_BARS)
        error = ERR_INVALID_ARGUMENT;
    if (error != ERR_OK)
        return error;
    *bytes = functions[device].bars[bar].bytes;
    *kind = functions[device].bars[bar].io;
    *base = functions[device].bars[bar].address;
    return ERR_OK;
}

static corvus_error_t map_ports(const struct child *child, const struct pci_bar *bar)
{
    if (bar->address % IO_PORTS_UNIT != 0 || bar->bytes % IO_PORTS_UNIT != 0)
        return ERR_NOT_SUPPORTED;
    return memory_map(child->task, bar->address, bar->address, bar->bytes,
                      ACCESS_READ | ACCESS_WRITE | MEMORY_IO, NULL);
}

static corvus_error_t map_bar(uint64_t label, uint64_t device, uint64_t number, uint64_t offset,
                              uint64_t length, uint64_t address)
{
    struct child *child = child_of_label(label);
    corvus_error_t error = check_owner(label, device);
    if (error != ERR_OK)
        return error;
    if (number >= PCI_BARS || functions[device].bars[number].bytes == 0)
        return ERR_INVALID_ARGUMENT;
    const struct pci_bar *bar = &functions[device].bars[number];
    if (bar->io)
        return map_ports(child, bar);
    uint64_t end = (bar->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (offset > end || length > end - offset || length == 0 ||
        (offset | length | bar->address) % PAGE_BYTES != 0)
        return ERR_INVALID_RANGE;
    if (regions_touch(&child->memory.regions, address, length))
        return ERR_IN_USE;
    void *window = device_memory_map(bar->address + offset, length, HOST_CACHE_OFF);
    if (window == NULL)
        return ERR_NO_MEMORY;
    return memory_map(child->task, (uint64_t)(uintptr_t)window, address, length,
                      ACCESS_READ | ACCESS_WRITE, NULL);
}

static corvus_error_t attach(uint64_t label, uint64_t device, uint64_t index, uint64_t bits,
                             struct message_right port, uint64_t *kind,
                             struct message_right *interrupt)
{
    enum interrupt_kind found = INTERRUPT_LINE;
    port_name_t name = PORT_NULL;
    corvus_error_t error = check_owner(label, device);
    if (error == ERR_OK && (index > UINT32_MAX || port.disposition != RIGHT_SEND))
        error = ERR_INVALID_ARGUMENT;
    if (error == ERR_OK)
        error = interrupts_attach(&functions[device], (uint32_t)index, bits, copy_send(port.name),
                                  functions, function_count, &found, &name);
    (void)port_deallocate(port.name);
    *kind = found;
    *interrupt = move_send(name);
    return error;
}

static corvus_error_t allocate_dma(uint64_t label, uint64_t address, uint64_t length,
                                   uint64_t limit, uint64_t *physical)
{
    struct child *child = child_of_label(label);
    if (!child_has(child, CONFIG_DEVICES))
        return ERR_ACCESS_DENIED;
    return sigma0_allocate_contiguous(&child->memory, address, length, ACCESS_READ | ACCESS_WRITE,
                                      limit == 0 ? UINT64_MAX : limit, physical);
}

static corvus_error_t physical_address(uint64_t label, uint64_t address, uint64_t *physical,
                                       uint64_t *bytes)
{
    struct child *child = child_of_label(label);
    if (!child_has(child, CONFIG_DEVICES))
        return ERR_ACCESS_DENIED;
    const struct region *region = regions_find(&child->memory.regions, address);
    if (region == NULL)
        return ERR_NOT_MAPPED;
    *physical = region->physical + (address - region->address);
    *bytes = region->bytes - (address - region->address);
    return ERR_OK;
}

static const struct machine_operations operations = {
    .machine_find_device = find_device,
    .machine_claim_device = claim,
    .machine_release_device = release,
    .machine_read_config = read_config,
    .machine_write_config = write_config,
    .machine_bar_info = bar_info,
    .machine_map_bar = map_bar,
    .machine_attach_interrupt = attach,
    .machine_allocate_dma = allocate_dma,
    .machine_physical_address = physical_address,
};

bool devices_serve(const struct message *request, struct message *reply)
{
    return machine_serve(request, reply, &operations);
}
