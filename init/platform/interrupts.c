// SPDX-License-Identifier: BSD-2-Clause
// MSI-X and MSI (PCI Local Bus Specification 3.0, sections 6.8.2 and 6.8.1), and
// lines. Where a line ends is in ACPI's AML, which we do not read; the two
// chipsets that QEMU has are known here, and others by what firmware wrote.
#include "interrupts.h"

#include "config_space.h"
#include "device_memory.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#define MSI_CONTROL_ENABLE   (1u << 16) // in the dword at the capability
#define MSI_CONTROL_MULTIPLE (7u << 20)
#define MSI_CONTROL_WIDE     (1u << 23)
#define MSIX_CONTROL_ENABLE  (1u << 31)
#define MSIX_CONTROL_MASK    (1u << 30)
#define MSIX_ENTRY_WORDS     4
#define MSIX_ENTRY_BYTES     16

#define HOST_BRIDGE_440FX  0x12378086u
#define HOST_BRIDGE_Q35    0x29c08086u
#define PIIX3_ADDRESS      (1 << 3) // bus 0, device 1, function 0
#define PIIX3_ROUTES       0x60     // 82371SB data sheet, 2.1.12: a byte for each PIRQ
#define PIIX3_ROUTE_OFF    0x80u
#define ICH9_FIRST_LINE    16 // PIRQA..PIRQH are lines 16..23 of the I/O APIC
#define ICH9_FIRST_ONBOARD 25
#define BRIDGES_MAX        8

static uint32_t config_read(const struct pci_function *function, uint32_t offset)
{
    return config_space.read(config_space.context, function->address, offset);
}

static void config_write(const struct pci_function *function, uint32_t offset, uint32_t value)
{
    config_space.write(config_space.context, function->address, offset, value);
}

// --- Messages ------------------------------------------------------------------

static corvus_error_t attach_msix(const struct pci_function *function, const struct pci_msix *msix,
                                  uint32_t index, uint64_t bits, struct message_right port,
                                  port_name_t *interrupt)
{
    uint64_t address, data;
    if (index >= msix->entries)
        return ERR_INVALID_ARGUMENT;
    uint64_t entry = function->bars[msix->bar].address + msix->table + index * MSIX_ENTRY_BYTES;
    volatile uint32_t *words = device_memory_map(entry, MSIX_ENTRY_BYTES, HOST_CACHE_OFF);
    if (words == NULL)
        return ERR_NO_MEMORY;
    corvus_error_t error =
        host_allocate_msi(NAME_HOST_PRIVILEGED, bits, port, interrupt, &address, &data);
    if (error != ERR_OK)
        return error;
    // Other entries keep what they have; all are masked after reset.
    uint32_t control = config_read(function, msix->capability);
    config_write(function, msix->capability, (control | MSIX_CONTROL_ENABLE) & ~MSIX_CONTROL_MASK);
    words[0] = (uint32_t)address;
    words[1] = (uint32_t)(address >> 32);
    words[2] = (uint32_t)data;
    words[MSIX_ENTRY_WORDS - 1] = 0; // not masked
    return ERR_OK;
}

static corvus_error_t attach_msi(const struct pci_function *function, uint32_t capability,
                                 uint64_t bits, struct message_right port, port_name_t *interrupt)
{
    uint64_t address, data;
    corvus_error_t error =
        host_allocate_msi(NAME_HOST_PRIVILEGED, bits, port, interrupt, &address, &data);
    if (error != ERR_OK)
        return error;
    uint32_t control = config_read(function, capability);
    uint32_t data_offset = capability + (control & MSI_CONTROL_WIDE ? 12 : 8);
    config_write(function, capability + 4, (uint32_t)address);
    if (control & MSI_CONTROL_WIDE)
        config_write(function, capability + 8, (uint32_t)(address >> 32));
    config_write(function, data_offset, (uint32_t)data);
    config_write(function, capability, (control & ~MSI_CONTROL_MULTIPLE) | MSI_CONTROL_ENABLE);
    return ERR_OK;
}

// --- Lines -----------------------------------------------------------------------

static const struct pci_function *bridge_to(const struct pci_function *functions, uint32_t count,
                                            uint32_t bus)
{
    for (uint32_t i = 0; i < count; i++) {
        if (functions[i].header == 1 && functions[i].secondary_bus == bus)
            return &functions[i];
    }
    return NULL;
}

static uint32_t slot_of(const struct pci_function *function)
{
    return function->address >> 3 & 31u;
}

// The slot on bus 0 and the pin (0..3) at which a line arrives there, each
// bridge turning the pins by the slot below it (PCI-to-PCI Bridge, section 9.1).
static bool find_root_pin(const struct pci_function *function, const struct pci_function *functions,
                          uint32_t count, uint32_t *slot, uint32_t *pin)
{
    *pin = function->interrupt_pin - 1u;
    for (int bridges = 0; bridges < BRIDGES_MAX; bridges++) {
        *slot = slot_of(function);
        if (function->address >> 8 == 0)
            return true;
        *pin = (*pin + *slot) % 4;
        function = bridge_to(functions, count, function->address >> 8);
        if (function == NULL)
            return false;
    }
    return false;
}

static bool route_piix3(uint32_t slot, uint32_t pin, uint64_t *line)
{
    uint32_t routes = config_space.read(config_space.context, PIIX3_ADDRESS, PIIX3_ROUTES);
    uint32_t route = routes >> (8 * ((slot + 3 + pin) % 4)) & 0xffu; // slot - 1 + pin
    *line = route & 0x0fu;
    return !(route & PIIX3_ROUTE_OFF);
}

// QEMU's ICH9: slots up to 24 are wired to PIRQE..H in turn, the others straight
// to PIRQA..D.
static uint64_t route_ich9(uint32_t slot, uint32_t pin)
{
    uint32_t request = slot < ICH9_FIRST_ONBOARD ? 4 + (slot + pin) % 4 : pin;
    return ICH9_FIRST_LINE + request;
}

static bool find_line(const struct pci_function *function, const struct pci_function *functions,
                      uint32_t count, uint64_t *line, uint64_t *flags)
{
    uint32_t slot, pin;
    uint32_t host_bridge = config_space.read(config_space.context, 0, PCI_VENDOR);
    if (function->interrupt_pin == 0 || !find_root_pin(function, functions, count, &slot, &pin))
        return false;
    *flags = HOST_IRQ_LEVEL;
    if (host_bridge == HOST_BRIDGE_Q35) {
        *line = route_ich9(slot, pin);
        return true;
    }
    *flags |= HOST_IRQ_ISA;
    if (host_bridge == HOST_BRIDGE_440FX)
        return route_piix3(slot, pin, line);
    *line = function->interrupt_line;
    return *line != 0 && *line < 16;
}

static corvus_error_t attach_line(const struct pci_function *function, uint64_t bits,
                                  struct message_right port, const struct pci_function *functions,
                                  uint32_t count, port_name_t *interrupt)
{
    uint64_t line, flags;
    if (!find_line(function, functions, count, &line, &flags))
        return ERR_NOT_SUPPORTED;
    corvus_error_t error =
        host_attach_interrupt(NAME_HOST_PRIVILEGED, line, flags, bits, port, interrupt);
    if (error == ERR_OK)
        config_write(function, PCI_COMMAND,
                     config_read(function, PCI_COMMAND) & 0xffffu & ~PCI_COMMAND_INTX_OFF);
    return error;
}

corvus_error_t interrupts_attach(const struct pci_function *function, uint32_t index, uint64_t bits,
                                 struct message_right port, const struct pci_function *functions,
                                 uint32_t count, enum interrupt_kind *kind, port_name_t *interrupt)
{
    struct pci_msix msix = pci_read_msix(&config_space, function);
    uint32_t msi = pci_find_capability(function, PCI_CAPABILITY_MSI);
    if (msix.entries != 0) {
        *kind = INTERRUPT_MSIX;
        return attach_msix(function, &msix, index, bits, port, interrupt);
    }
    if (index != 0)
        return ERR_INVALID_ARGUMENT;
    *kind = msi != 0 ? INTERRUPT_MSI : INTERRUPT_LINE;
    return msi != 0 ? attach_msi(function, msi, bits, port, interrupt)
                    : attach_line(function, bits, port, functions, count, interrupt);
}

void interrupts_disable(const struct pci_function *function)
{
    uint32_t msix = pci_find_capability(function, PCI_CAPABILITY_MSIX);
    uint32_t msi = pci_find_capability(function, PCI_CAPABILITY_MSI);
    if (msix != 0)
        config_write(function, msix, config_read(function, msix) & ~MSIX_CONTROL_ENABLE);
    if (msi != 0)
        config_write(function, msi, config_read(function, msi) & ~MSI_CONTROL_ENABLE);
    config_write(function, PCI_COMMAND,
                 (config_read(function, PCI_COMMAND) & 0xffffu) | PCI_COMMAND_INTX_OFF);
}
