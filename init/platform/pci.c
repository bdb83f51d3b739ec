// SPDX-License-Identifier: BSD-2-Clause
// Enumerates PCI from bus 0 through bridges (PCI Local Bus Specification 3.0,
// PCI-to-PCI Bridge Architecture 1.2). Devices are taken for hostile: each bus
// is walked once, lists are bounded, sizes that are no powers of two are left out.
#include "pci.h"

#include <string.h>

#define BUSES            256
#define DEVICES          32
#define FUNCTIONS        8
#define MULTI            0x80u // header type: more than function 0
#define BAR_IO           1u
#define BAR_64           (2u << 1)
#define BAR_TYPE         (3u << 1)
#define BAR_PREFETCH     (1u << 3)
#define BAR_IO_MASK      0xfffffffcu
#define BAR_MEMORY_MASK  0xfffffff0u
#define MSIX_TABLE       4
#define MSIX_SIZE_MASK   0x7ffu // in the control word, minus one
#define MSIX_ENTRY_BYTES 16

struct scan {
    const struct pci_space *space;
    struct pci_function *functions;
    uint32_t count, max;
    bool seen[BUSES];
    uint8_t queue[BUSES]; // buses to walk
    uint32_t queued;
};

static uint32_t read32(const struct pci_space *space, pci_address_t address, uint32_t offset)
{
    return space->read(space->context, address, offset);
}

static void write32(const struct pci_space *space, pci_address_t address, uint32_t offset,
                    uint32_t value)
{
    space->write(space->context, address, offset, value);
}

// Writes ones and sees which stick; what was there comes back.
static uint32_t probe(const struct pci_space *space, pci_address_t address, uint32_t offset)
{
    uint32_t old = read32(space, address, offset);
    write32(space, address, offset, 0xffffffffu);
    uint32_t mask = read32(space, address, offset);
    write32(space, address, offset, old);
    return mask;
}

// The size is the lowest bit that sticks, if all above it do too.
static uint64_t size_of_mask(uint64_t mask, uint64_t top)
{
    uint64_t size = mask & -mask;
    return mask != 0 && (mask | (size - 1)) == top ? size : 0;
}

static struct pci_bar read_io_bar(uint32_t low, uint32_t mask)
{
    uint64_t ones = mask & BAR_IO_MASK;
    // The upper half may be hard-wired to zero (section 6.2.5.1).
    uint64_t top = ones > 0xffff ? 0xffffffffu : 0xffffu;
    return (struct pci_bar){
        .address = low & BAR_IO_MASK,
        .bytes = size_of_mask(ones, top),
        .io = true,
    };
}

static struct pci_bar read_memory_bar(const struct pci_space *space, pci_address_t address,
                                      uint32_t offset, uint32_t low, bool last)
{
    struct pci_bar bar = {
        .address = low & BAR_MEMORY_MASK,
        .wide = (low & BAR_TYPE) == BAR_64 && !last,
        .prefetchable = (low & BAR_PREFETCH) != 0,
    };
    uint64_t mask = probe(space, address, offset) & BAR_MEMORY_MASK;
    if (bar.wide) {
        bar.address |= (uint64_t)read32(space, address, offset + 4) << 32;
        mask |= (uint64_t)probe(space, address, offset + 4) << 32;
        bar.bytes = size_of_mask(mask, UINT64_MAX);
    } else if ((low & BAR_TYPE) != BAR_64) {
        bar.bytes = size_of_mask(mask, UINT32_MAX);
    }
    // An unplaced or wrapping window is of no use.
    if (bar.address == 0 || (bar.bytes != 0 && bar.address % bar.bytes != 0) ||
        bar.address + bar.bytes < bar.address)
        bar.bytes = 0;
    return bar;
}

static void read_bars(const struct pci_space *space, struct pci_function *function)
{
    pci_address_t address = function->address;
    uint32_t bars = function->header == 0 ? PCI_BARS : 2;
    uint32_t command = read32(space, address, PCI_COMMAND) & 0xffffu;
    write32(space, address, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    for (uint32_t i = 0; i < bars; i++) {
        uint32_t offset = PCI_BAR0 + 4 * i;
        uint32_t low = read32(space, address, offset);
        struct pci_bar *bar = &function->bars[i];
        if (low & BAR_IO)
            *bar = read_io_bar(low, probe(space, address, offset));
        else
            *bar = read_memory_bar(space, address, offset, low, i + 1 == bars);
        i += bar->wide;
    }
    write32(space, address, PCI_COMMAND, command);
}

static void read_capabilities(const struct pci_space *space, struct pci_function *function)
{
    bool seen[64] = {false}; // by offset / 4: a list may be a ring
    if (!(read32(space, function->address, PCI_COMMAND) & PCI_STATUS_LIST))
        return;
    uint32_t offset = read32(space, function->address, PCI_CAPABILITIES) & 0xfcu;
    while (offset >= 0x40 && !seen[offset / 4] &&
           function->capability_count < PCI_CAPABILITIES_MAX) {
        uint32_t head = read32(space, function->address, offset);
        seen[offset / 4] = true;
        function->capabilities[function->capability_count++] = (struct pci_capability){
            .id = (uint8_t)head,
            .offset = (uint8_t)offset,
        };
        offset = head >> 8 & 0xfcu;
    }
}

static void read_function(const struct pci_space *space, pci_address_t address, uint32_t vendor,
                          struct pci_function *function)
{
    uint32_t class = read32(space, address, PCI_CLASS);
    uint32_t interrupt = read32(space, address, PCI_INTERRUPT);
    memset(function, 0, sizeof *function);
    function->address = address;
    function->vendor = (uint16_t)vendor;
    function->device = (uint16_t)(vendor >> 16);
    function->class = class >> 8;
    function->revision = (uint8_t) class;
    function->header = read32(space, address, PCI_HEADER) >> 16 & 0x7fu;
    function->interrupt_line = (uint8_t)interrupt;
    function->interrupt_pin = (interrupt >> 8 & 0xffu) <= 4 ? interrupt >> 8 & 0xffu : 0;
    if (function->header > 1)
        return; // a CardBus bridge or nothing known: its registers mean other things
    if (function->header == 0) {
        uint32_t subsystem = read32(space, address, PCI_SUBSYSTEM);
        function->subsystem_vendor = (uint16_t)subsystem;
        function->subsystem = (uint16_t)(subsystem >> 16);
    } else {
        function->secondary_bus = (uint8_t)(read32(space, address, PCI_BUSES) >> 8);
    }
    read_bars(space, function);
    read_capabilities(space, function);
}

static void queue_bus(struct scan *scan, uint8_t bus)
{
    if (scan->seen[bus])
        return;
    scan->seen[bus] = true;
    scan->queue[scan->queued++] = bus;
}

// False when there is no such function.
static bool scan_function(struct scan *scan, pci_address_t address)
{
    uint32_t vendor = read32(scan->space, address, PCI_VENDOR);
    if ((vendor & 0xffffu) == 0xffffu || scan->count == scan->max)
        return false;
    struct pci_function *function = &scan->functions[scan->count++];
    read_function(scan->space, address, vendor, function);
    if (function->header == 1)
        queue_bus(scan, function->secondary_bus);
    return true;
}

static void scan_device(struct scan *scan, pci_address_t address)
{
    if (!scan_function(scan, address))
        return;
    if (!(read32(scan->space, address, PCI_HEADER) >> 16 & MULTI))
        return;
    for (uint32_t function = 1; function < FUNCTIONS; function++)
        scan_function(scan, (pci_address_t)(address | function));
}

uint32_t pci_scan(const struct pci_space *space, struct pci_function *functions, uint32_t max)
{
    struct scan scan = {.space = space, .functions = functions, .max = max};
    queue_bus(&scan, 0);
    for (uint32_t next = 0; next < scan.queued; next++) {
        for (uint32_t device = 0; device < DEVICES; device++)
            scan_device(&scan, (pci_address_t)(scan.queue[next] << 8 | device << 3));
    }
    return scan.count;
}

uint32_t pci_find_capability(const struct pci_function *function, uint8_t id)
{
    for (uint32_t i = 0; i < function->capability_count; i++) {
        if (function->capabilities[i].id == id)
            return function->capabilities[i].offset;
    }
    return 0;
}

struct pci_msix pci_read_msix(const struct pci_space *space, const struct pci_function *function)
{
    struct pci_msix msix = {0};
    uint32_t offset = pci_find_capability(function, PCI_CAPABILITY_MSIX);
    if (offset == 0 || offset > 256 - 12)
        return msix;
    uint32_t entries = (read32(space, function->address, offset) >> 16 & MSIX_SIZE_MASK) + 1;
    uint32_t table = read32(space, function->address, offset + MSIX_TABLE);
    uint32_t bar = table & 7u;
    if (bar >= PCI_BARS || function->bars[bar].io ||
        (table & ~7u) + (uint64_t)entries * MSIX_ENTRY_BYTES > function->bars[bar].bytes)
        return msix;
    return (struct pci_msix){.entries = entries,
                             .bar = (uint8_t)bar,
                             .capability = (uint8_t)offset,
                             .table = table & ~7u};
}
