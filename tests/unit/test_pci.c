// SPDX-License-Identifier: BSD-2-Clause
// sources: init/platform/pci.c
// PCI enumeration over an invented configuration space: bridges, sizes of base
// address registers, and devices that lie.
#include "init/platform/pci.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

// One function's 256 bytes, and which bits of them can be written.
struct fake {
    bool present;
    uint32_t words[64];
    uint32_t writable[64];
};

static struct fake fakes[4 * 256]; // buses 0..3
static struct pci_function functions[PCI_FUNCTIONS_MAX];

static struct fake *fake_at(pci_address_t address)
{
    return address < 4 * 256 && fakes[address].present ? &fakes[address] : NULL;
}

static uint32_t fake_read(void *context, pci_address_t address, uint32_t offset)
{
    const struct fake *fake = fake_at(address);
    (void)context;
    return fake == NULL ? UINT32_MAX : fake->words[offset / 4];
}

static void fake_write(void *context, pci_address_t address, uint32_t offset, uint32_t value)
{
    struct fake *fake = fake_at(address);
    (void)context;
    if (fake == NULL)
        return;
    uint32_t writable = fake->writable[offset / 4];
    fake->words[offset / 4] = (fake->words[offset / 4] & ~writable) | (value & writable);
}

static const struct pci_space space = {.read = fake_read, .write = fake_write};

static struct fake *add(uint32_t bus, uint32_t device, uint32_t function, uint32_t id)
{
    struct fake *fake = &fakes[bus << 8 | device << 3 | function];
    memset(fake, 0, sizeof *fake);
    fake->present = true;
    fake->words[0] = id;
    fake->words[PCI_COMMAND / 4] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    fake->writable[PCI_COMMAND / 4] = 0xffff;
    return fake;
}

static void set_bar(struct fake *fake, uint32_t bar, uint32_t value, uint32_t writable)
{
    fake->words[PCI_BAR0 / 4 + bar] = value;
    fake->writable[PCI_BAR0 / 4 + bar] = writable;
}

static void clear(void)
{
    memset(fakes, 0, sizeof fakes);
}

static void test_bars(void)
{
    clear();
    struct fake *fake = add(0, 3, 0, 0x10411af4);
    set_bar(fake, 0, 0xc001, 0xffe0);         // 32 ports, upper half hard-wired
    set_bar(fake, 1, 0xfebc0000, 0xffff0000); // 64 KiB
    set_bar(fake, 2, 0x0000000c, 0xffffc000); // 16 KiB, 64 bits, prefetchable
    set_bar(fake, 3, 0x00000008, 0xffffffff); // at 32 GiB
    set_bar(fake, 4, 0xfe000000, 0xff00ff00); // holes in the mask
    set_bar(fake, 5, 0xfd000004, 0xfff00000); // 64 bits in the last register
    tap_ok(pci_scan(&space, functions, PCI_FUNCTIONS_MAX) == 1, "one function");
    const struct pci_bar *bars = functions[0].bars;
    tap_ok(bars[0].io && bars[0].address == 0xc000 && bars[0].bytes == 32, "I/O ports");
    tap_ok(!bars[1].io && bars[1].address == 0xfebc0000 && bars[1].bytes == 65536, "memory");
    tap_ok(bars[2].wide && bars[2].prefetchable && bars[2].address == 8ull << 32 &&
               bars[2].bytes == 16384,
           "memory above 4 GiB");
    tap_ok(bars[3].bytes == 0, "the other half of a wide register is none");
    tap_ok(bars[4].bytes == 0, "a mask with holes");
    tap_ok(bars[5].bytes == 0, "a wide register without a second half");
    tap_ok(fake->words[PCI_BAR0 / 4 + 1] == 0xfebc0000 &&
               fake->words[PCI_COMMAND / 4] == (PCI_COMMAND_IO | PCI_COMMAND_MEMORY),
           "all registers are as before");
}

static void test_bridges(void)
{
    clear();
    for (uint32_t bus = 0; bus < 3; bus++) {
        struct fake *bridge = add(bus, 1, 0, 0x000c1b36);
        bridge->words[PCI_HEADER / 4] = 1u << 16;
        bridge->words[PCI_BUSES / 4] = ((bus + 1) % 3) << 8 | bus; // the last one leads back
    }
    add(2, 5, 0, 0x10001af4);
    add(0, 2, 0, 0x12348086)->words[PCI_HEADER / 4] = 0x80u << 16;
    add(0, 2, 7, 0x12358086);
    add(0, 4, 1, 0x12368086); // no function 0: not to be found
    tap_ok(pci_scan(&space, functions, PCI_FUNCTIONS_MAX) == 6,
           "bridges in a ring, each bus once; functions above 0 only where there is a 0");
    tap_ok(pci_scan(&space, functions, 2) == 2, "no more than there is room for");
}

static void test_capabilities(void)
{
    clear();
    struct fake *fake = add(0, 0, 0, 0x10411af4);
    fake->words[PCI_COMMAND / 4] |= PCI_STATUS_LIST;
    fake->words[PCI_CAPABILITIES / 4] = 0x98;
    fake->words[0x98 / 4] = 0x00034011; // MSI-X, 4 entries, next at 0x40
    fake->words[0x9c / 4] = 0x00000801;
    fake->words[0x40 / 4] = 0x00009809; // back to the first
    set_bar(fake, 1, 0xfebc0000, 0xfffff000);
    pci_scan(&space, functions, 1);
    tap_ok(functions[0].capability_count == 2, "a ring of capabilities ends");
    struct pci_msix msix = pci_read_msix(&space, &functions[0]);
    tap_ok(msix.entries == 4 && msix.bar == 1 && msix.table == 0x800, "MSI-X table");
    fake->words[0x9c / 4] = 0x00001001;
    tap_ok(pci_read_msix(&space, &functions[0]).entries == 0, "a table outside its BAR");
    fake->words[0x9c / 4] = 0x00000007;
    tap_ok(pci_read_msix(&space, &functions[0]).entries == 0, "a table in no BAR");
    fake->words[PCI_CAPABILITIES / 4] = 0x10;
    pci_scan(&space, functions, 1);
    tap_ok(functions[0].capability_count == 0, "a list inside the header");
}

// Nothing but termination and the sanitizers are asked for.
static void test_random(void)
{
    bool right = true;
    srand(1);
    for (int round = 0; round < 200; round++) {
        clear();
        for (int i = 0; i < 40; i++) {
            struct fake *fake = &fakes[rand() % (4 * 256)];
            fake->present = true;
            for (int word = 0; word < 64; word++) {
                fake->words[word] = (uint32_t)rand() << 1;
                fake->writable[word] = rand() % 2 ? UINT32_MAX : (uint32_t)rand();
            }
            fake->words[PCI_HEADER / 4] &= 0x81ffffu;
        }
        uint32_t count = pci_scan(&space, functions, PCI_FUNCTIONS_MAX);
        right = right && count <= PCI_FUNCTIONS_MAX;
        for (uint32_t i = 0; i < count; i++) {
            struct pci_msix msix = pci_read_msix(&space, &functions[i]);
            right = right && (msix.entries == 0 ||
                              msix.table + msix.entries * 16 <= functions[i].bars[msix.bar].bytes);
            for (int bar = 0; bar < PCI_BARS; bar++) {
                uint64_t bytes = functions[i].bars[bar].bytes;
                right = right && (bytes & (bytes - 1)) == 0;
            }
        }
    }
    tap_ok(right, "random devices");
}

int main(void)
{
    test_bars();
    test_bridges();
    test_capabilities();
    test_random();
    return tap_end();
}
