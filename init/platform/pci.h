// SPDX-License-Identifier: BSD-2-Clause
// PCI functions: finding them, their base address registers and capabilities.
// Works on configuration space through two functions, so that the host's tests
// give it hostile devices; config_space.c has the real ones.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PCI_FUNCTIONS_MAX    64
#define PCI_BARS             6
#define PCI_CAPABILITIES_MAX 24

// Bus << 8 | device << 3 | function.
typedef uint16_t pci_address_t;

// PCI Local Bus Specification 3.0, chapter 6.
#define PCI_VENDOR           0x00
#define PCI_COMMAND          0x04
#define PCI_COMMAND_IO       0x0001u
#define PCI_COMMAND_MEMORY   0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_LIST      (1u << 20) // in the dword at PCI_COMMAND
#define PCI_CLASS            0x08
#define PCI_HEADER           0x0c
#define PCI_BAR0             0x10
#define PCI_BUSES            0x18 // of a bridge
#define PCI_SUBSYSTEM        0x2c
#define PCI_CAPABILITIES     0x34
#define PCI_INTERRUPT        0x3c
#define PCI_CAPABILITY_MSI   0x05
#define PCI_CAPABILITY_MSIX  0x11

// Access to 32-bit registers; `offset` is a multiple of 4 below 256.
struct pci_space {
    uint32_t (*read)(void *context, pci_address_t address, uint32_t offset);
    void (*write)(void *context, pci_address_t address, uint32_t offset, uint32_t value);
    void *context;
};

struct pci_bar {
    uint64_t address;
    uint64_t bytes; // a power of two; 0: no register, or one that made no sense
    bool io;
    bool wide; // takes the next register too
    bool prefetchable;
};

struct pci_capability {
    uint8_t id;
    uint8_t offset; // a multiple of 4, 0x40 and up
};

struct pci_function {
    pci_address_t address;
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem;
    uint32_t class; // base class << 16 | sub-class << 8 | interface
    uint8_t revision;
    uint8_t secondary_bus;  // of a bridge
    uint8_t header;         // 0 device, 1 bridge
    uint8_t interrupt_pin;  // 0 none, 1..4 INTA..INTD
    uint8_t interrupt_line; // as the firmware routed it, 255 unknown
    uint8_t capability_count;
    struct pci_bar bars[PCI_BARS];
    struct pci_capability capabilities[PCI_CAPABILITIES_MAX];
};

// Where a function's MSI-X table is; entries is 0 when there is none.
struct pci_msix {
    uint32_t entries;
    uint8_t bar;
    uint8_t capability; // offset in configuration space
    uint32_t table;     // offset in the BAR
};

// Fills `functions` and returns how many were found, at most `max`. Sizes BARs
// with the decoders off, so no driver may be running.
uint32_t pci_scan(const struct pci_space *space, struct pci_function *functions, uint32_t max);

// Offset of a capability, 0 when the function has none.
uint32_t pci_find_capability(const struct pci_function *function, uint8_t id);
struct pci_msix pci_read_msix(const struct pci_space *space, const struct pci_function *function);
