// SPDX-License-Identifier: BSD-2-Clause
// Devices of the machine that init.conf names: QEMU's `edu` (interrupts by MSI,
// DMA), virtio-rng (MSI-X), two e1000 (an interrupt line each).
#include "init_test.h"

#include <stdio.h>
#include <string.h>

#define WINDOW     0x700000000000ull // where registers are mapped
#define DMA        (WINDOW + (1ull << 30))
#define DMA_BYTES  65536ull
#define EVENT_BIT  4ull
#define ANY_DEVICE 0xffffull
// Microseconds: for what must come, and for what must not.
#define LONG_TIME  20000000ull
#define SHORT_TIME 50000ull

enum interrupt_kind { LINE, MSI, MSIX };

static port_name_t port, send;

static uint32_t read32(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static void write32(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static corvus_error_t find(uint64_t first, uint64_t vendor, uint64_t id, uint64_t *device)
{
    return machine_find_device(NAME_BOOTSTRAP, first, vendor | id << 16, 0, 0, device, NULL, NULL,
                               NULL);
}

static corvus_error_t map(uint64_t device, uint64_t offset, uint64_t length, uint64_t address)
{
    return machine_map_bar(NAME_BOOTSTRAP, device, 0, offset, length, address);
}

static bool event_comes(void)
{
    struct message message;

    return msg_receive(&message, port, LONG_TIME) == ERR_OK && message.id == MESSAGE_ID_EVENT &&
           message.words[0] == EVENT_BIT;
}

static bool no_event_comes(void)
{
    struct message message;

    return msg_receive(&message, port, SHORT_TIME) == ERR_TIMED_OUT;
}

static void list_devices(void)
{
    uint64_t device = 0, id, class, address;

    for (; machine_find_device(NAME_BOOTSTRAP, device, 0, 0, 0, &device, &id, &class, &address) ==
           ERR_OK;
         device++)
        printf("# %lu: %04lx:%04lx class %06lx at %04lx\n", device, id & 0xffff, id >> 16 & 0xffff,
               class & 0xffffff, address);
    ok(device >= 4, "devices: there are some");
    ok(find(device + 1000, 0, 0, &device) == ERR_NOT_FOUND, "devices: none of that number");
    ok(find(0, 0x1234, 0x4321, &device) == ERR_NOT_FOUND, "devices: none that fits");
}

// --- edu ---------------------------------------------------------------------------

enum edu {
    EDU_ID = 0x00,
    EDU_LIVENESS = 0x04,
    EDU_STATUS = 0x24,
    EDU_RAISE = 0x60,
    EDU_ACKNOWLEDGE = 0x64,
    EDU_DMA_SOURCE = 0x80,
    EDU_DMA_DESTINATION = 0x88,
    EDU_DMA_COUNT = 0x90,
    EDU_DMA_COMMAND = 0x98,
    EDU_BUFFER = 0x40000,
};
#define EDU_DMA_START 1u
#define EDU_DMA_BACK  2u
#define EDU_DMA_LIMIT (1ull << 28)

static void test_claim(uint64_t edu)
{
    ok(map(edu, 0, PAGE, WINDOW) == ERR_ACCESS_DENIED, "edu: not before it is claimed");
    ok(machine_claim_device(NAME_BOOTSTRAP, edu) == ERR_OK, "edu: claimed");
    ok(machine_claim_device(NAME_BOOTSTRAP, edu) == ERR_IN_USE, "edu: not twice");
    ok(map(edu, 0, LARGE, WINDOW) == ERR_INVALID_RANGE, "edu: more than its register has");
    ok(map(edu, 1, PAGE, WINDOW) == ERR_INVALID_RANGE, "edu: not from a page's start");
    ok(machine_map_bar(NAME_BOOTSTRAP, edu, 6, 0, PAGE, WINDOW) == ERR_INVALID_ARGUMENT,
       "edu: a register there is not");
    ok(map(edu, 0, PAGE, WINDOW) == ERR_OK, "edu: its registers are mapped");
    ok((read32(WINDOW + EDU_ID) & 0xff) == 0xed, "edu: they are its own");
    write32(WINDOW + EDU_LIVENESS, 0x1234);
    ok(read32(WINDOW + EDU_LIVENESS) == ~0x1234u, "edu: and can be written");
    ok(machine_write_config(NAME_BOOTSTRAP, edu, 4, 0) == ERR_INVALID_ARGUMENT,
       "edu: its configuration header is protected");
    ok(machine_write_config(NAME_BOOTSTRAP, edu, 0x40, 0) == ERR_ACCESS_DENIED,
       "edu: and its MSI capability");
}

static void test_msi(uint64_t edu)
{
    port_name_t interrupt = PORT_NULL;
    uint64_t kind = LINE;

    ok(machine_attach_interrupt(NAME_BOOTSTRAP, edu, 0, EVENT_BIT, copy_send(send), &kind,
                                &interrupt) == ERR_OK &&
           kind == MSI,
       "edu: an interrupt by MSI");
    for (int i = 0; i < 3; i++) {
        write32(WINDOW + EDU_RAISE, 7);
        ok(event_comes(), "edu: the interrupt comes");
        ok(read32(WINDOW + EDU_STATUS) == 7, "edu: with its status");
        write32(WINDOW + EDU_ACKNOWLEDGE, 7);
        interrupt_acknowledge(interrupt);
    }
    ok(no_event_comes(), "edu: and no more than that");
}

static void write64(uint64_t address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

static bool transfer(uint64_t source, uint64_t destination, uint32_t command)
{
    write64(WINDOW + EDU_DMA_SOURCE, source);
    write64(WINDOW + EDU_DMA_DESTINATION, destination);
    write64(WINDOW + EDU_DMA_COUNT, 100);
    write64(WINDOW + EDU_DMA_COMMAND, command);
    for (int i = 0; i < 2000; i++) {
        if ((read32(WINDOW + EDU_DMA_COMMAND) & EDU_DMA_START) == 0)
            return true;
        (void)no_event_comes();
    }
    return false;
}

static void test_dma(void)
{
    uint64_t physical = 0, found = 0, bytes = 0;
    char *text = (char *)DMA;

    ok(machine_allocate_dma(NAME_BOOTSTRAP, DMA, DMA_BYTES, EDU_DMA_LIMIT, &physical) == ERR_OK &&
           physical + DMA_BYTES <= EDU_DMA_LIMIT,
       "DMA: memory below a limit");
    ok(machine_physical_address(NAME_BOOTSTRAP, DMA + PAGE, &found, &bytes) == ERR_OK &&
           found == physical + PAGE && bytes >= DMA_BYTES - PAGE,
       "DMA: where it lies");
    ok(machine_physical_address(NAME_BOOTSTRAP, DMA + LARGE, &found, &bytes) == ERR_NOT_MAPPED,
       "DMA: where nothing lies");
    strcpy(text, "hello DMA");
    ok(transfer(physical, EDU_BUFFER, EDU_DMA_START) &&
           transfer(EDU_BUFFER, physical + PAGE, EDU_DMA_START | EDU_DMA_BACK) &&
           strcmp(text + PAGE, "hello DMA") == 0,
       "DMA: to the device and back");
    ok(machine_allocate_dma(NAME_BOOTSTRAP, DMA, PAGE, 0, &physical) == ERR_IN_USE,
       "DMA: where some is already");
    ok(machine_allocate_dma(NAME_BOOTSTRAP, DMA + LARGE, PAGE, 1, &physical) == ERR_NO_MEMORY,
       "DMA: below a limit that nothing is below");
    ok(machine_allocate_dma(NAME_BOOTSTRAP, DMA + LARGE, 2 * LARGE, 0, &physical) == ERR_OK &&
           physical % LARGE == 0,
       "DMA: large pages in a row");
}

static void test_edu(void)
{
    uint64_t edu = 0;
    bool there = find(0, 0x1234, 0x11e8, &edu) == ERR_OK;

    ok(there, "edu: found");
    if (!there)
        return;
    test_claim(edu);
    test_msi(edu);
    test_dma();
    ok(machine_release_device(NAME_BOOTSTRAP, edu) == ERR_OK, "edu: released");
    ok(machine_release_device(NAME_BOOTSTRAP, edu) == ERR_ACCESS_DENIED, "edu: not twice");
    ok(machine_claim_device(NAME_BOOTSTRAP, edu) == ERR_OK, "edu: free for the next");
}

// --- The others ----------------------------------------------------------------------

static void test_msix(void)
{
    port_name_t interrupt = PORT_NULL;
    uint64_t device = 0, kind = LINE;

    ok(find(0, 0x1af4, ANY_DEVICE, &device) == ERR_OK &&
           machine_claim_device(NAME_BOOTSTRAP, device) == ERR_OK,
       "virtio: found and claimed");
    ok(machine_attach_interrupt(NAME_BOOTSTRAP, device, 1, EVENT_BIT, copy_send(send), &kind,
                                &interrupt) == ERR_OK &&
           kind == MSIX,
       "virtio: an interrupt by MSI-X");
    ok(machine_attach_interrupt(NAME_BOOTSTRAP, device, 4096, EVENT_BIT, copy_send(send), &kind,
                                &interrupt) != ERR_OK,
       "virtio: an entry there is not");
}

enum e1000 { E1000_CAUSE = 0xc0, E1000_RAISE = 0xc8, E1000_MASK_SET = 0xd0, E1000_MASK = 0xd8 };
#define E1000_LINK_CHANGE 4u

static void test_line(uint64_t device, uint64_t window)
{
    port_name_t interrupt = PORT_NULL;
    uint64_t kind = MSI;
    bool good = machine_claim_device(NAME_BOOTSTRAP, device) == ERR_OK &&
                map(device, 0, 0x20000, window) == ERR_OK;

    ok(good, "e1000: claimed and mapped");
    if (!good)
        return;
    write32(window + E1000_MASK, UINT32_MAX);
    ok(machine_attach_interrupt(NAME_BOOTSTRAP, device, 0, EVENT_BIT, copy_send(send), &kind,
                                &interrupt) == ERR_OK &&
           kind == LINE,
       "e1000: an interrupt line");
    for (int i = 0; i < 3; i++) {
        write32(window + E1000_MASK_SET, E1000_LINK_CHANGE);
        write32(window + E1000_RAISE, E1000_LINK_CHANGE);
        ok(event_comes(), "e1000: the interrupt comes");
        (void)read32(window + E1000_CAUSE);
        interrupt_acknowledge(interrupt);
        ok(no_event_comes(), "e1000: once");
    }
    write32(window + E1000_MASK, UINT32_MAX);
}

void test_devices(void)
{
    uint64_t device = 0;
    unsigned cards = 0;

    ok(port_allocate_with_send(9, &port, &send) == ERR_OK, "devices: a port for interrupts");
    list_devices();
    test_edu();
    test_msix();
    for (device = 0; find(device, 0x8086, 0x100e, &device) == ERR_OK; device++)
        test_line(device, WINDOW + (2ull << 30) + LARGE * cards++);
    ok(cards == 2, "e1000: two of them");
}
