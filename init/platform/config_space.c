// SPDX-License-Identifier: BSD-2-Clause
// Configuration mechanism #1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2)
// and ECAM (PCI Express Base Specification, section 7.2.2).
#include "config_space.h"

#include "device_memory.h"
#include "port_io.h"

#include <corvus/host.h>

#include <stddef.h>

#define CONFIG_ADDRESS      0xcf8
#define CONFIG_DATA         0xcfc
#define CONFIG_ENABLE       (1u << 31)
#define ECAM_BUS_BYTES      (1ull << 20)
#define ECAM_FUNCTION_SHIFT 12

// One bus is mapped at a time it is first asked for; most are empty.
static uint64_t ecam_base;
static uint32_t ecam_buses;

static volatile uint32_t *ecam_register(pci_address_t address, uint32_t offset)
{
    uint32_t bus = address >> 8;
    if (bus >= ecam_buses)
        return NULL;
    char *window =
        device_memory_map(ecam_base + bus * ECAM_BUS_BYTES, ECAM_BUS_BYTES, HOST_CACHE_OFF);
    if (window == NULL)
        return NULL;
    return (volatile uint32_t *)(window + ((uint64_t)(address & 0xff) << ECAM_FUNCTION_SHIFT) +
                                 offset);
}

static void select_port(pci_address_t address, uint32_t offset)
{
    out32(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)address << 8 | (offset & 0xfcu));
}

static uint32_t read_register(void *context, pci_address_t address, uint32_t offset)
{
    (void)context;
    volatile uint32_t *mapped = ecam_register(address, offset);
    if (mapped != NULL)
        return *mapped;
    select_port(address, offset);
    return in32(CONFIG_DATA);
}

static void write_register(void *context, pci_address_t address, uint32_t offset, uint32_t value)
{
    (void)context;
    volatile uint32_t *mapped = ecam_register(address, offset);
    if (mapped != NULL) {
        *mapped = value;
        return;
    }
    select_port(address, offset);
    out32(CONFIG_DATA, value);
}

const struct pci_space config_space = {.read = read_register, .write = write_register};

void config_space_initialize(const struct acpi_facts *facts)
{
    ecam_base = facts->ecam_base;
    ecam_buses = facts->ecam_base == 0 ? 0 : facts->ecam_buses;
}
