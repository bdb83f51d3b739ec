// SPDX-License-Identifier: GPL-2.0-only
// What Linux's drivers ask of the machine under them: init's machine services
// (include/corvus/init.def), by functions that both sides of the server can see,
// so without headers of either. Called by the drivers in linuxserver/drivers, in
// process context, but for the last three, which are called in any.
//
// Functions that return an int return 0 or more, or a negative error number of
// Linux (-ENOENT …).
#pragma once

// --- Devices -----------------------------------------------------------------------

struct machine_device {
    unsigned int number; // by which all the others know it
    unsigned int vendor, id;
    unsigned int subsystem_vendor, subsystem;
    unsigned int address; // bus << 8 | device << 3 | function
};

// The next PCI function of that vendor, from number `first` on. -ENOENT: no more.
int machine_find_device(unsigned int first, unsigned int vendor, struct machine_device *found);

// Takes a device, which lets it do DMA. -EBUSY: it is another task's.
int machine_claim_device(unsigned int number);

// Gives a device up: no DMA and no interrupts of it from then on. What was mapped
// of it stays mapped and must not be used.
void machine_release_device(unsigned int number);

// Reads a dword of configuration space; all ones when that cannot be.
unsigned int machine_read_config(unsigned int number, unsigned int offset);

struct machine_bar {
    unsigned long bytes;
    unsigned long start; // the address at which Linux finds the registers, or the first port
    int ports;
};

// Makes the registers of a base address register (0..5) of a claimed device usable,
// all of them: mapped uncached, at an address outside what Linux takes for memory;
// or, if they are ports, open to the processor's in and out. -ENOENT: there is none.
int machine_open_bar(unsigned int number, unsigned int bar, struct machine_bar *found);

// --- Interrupts ----------------------------------------------------------------------

// Lets an interrupt of a claimed device become an interrupt of Linux, and returns its
// number, for request_irq; -EINVAL when the device has no interrupt of that index
// (others than MSI-X have only index 0). *kind tells what it is. The handler is that
// of an edge (handle_edge_irq); what comes while it is masked, or before it was
// requested, comes later.
#define MACHINE_LINE 0 // fires once, then not before machine_acknowledge_interrupt
#define MACHINE_MSI  1
#define MACHINE_MSIX 2
int machine_attach_interrupt(unsigned int number, unsigned int index, int *kind);

// Of a line only: the device has been told, so that the next one may come. From the
// interrupt's handler.
void machine_acknowledge_interrupt(unsigned int irq);

// --- Memory ------------------------------------------------------------------------

// Where the device finds a byte of Linux's physical memory (page_to_phys, __pa), and
// how many bytes from it on lie in a row there: up to the next multiple of
// MACHINE_RUN_BYTES of Linux's address at the least. *bytes is 0 when the address is
// no memory.
#define MACHINE_RUN_BYTES (2ul << 20)
unsigned long machine_bus_address(unsigned long physical, unsigned long *bytes);

// --- Ports -------------------------------------------------------------------------
// Of an open BAR. Widths are 1, 2 or 4.

static inline unsigned int machine_in(unsigned short port, unsigned int width)
{
    unsigned int value = 0;

    if (width == 1)
        __asm__ volatile("inb %1, %b0" : "+a"(value) : "Nd"(port));
    else if (width == 2)
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
    else
        __asm__ volatile("inl %1, %0" : "+a"(value) : "Nd"(port));
    return value;
}

static inline void machine_out(unsigned short port, unsigned int width, unsigned int value)
{
    if (width == 1)
        __asm__ volatile("outb %b0, %1" : : "a"(value), "Nd"(port) : "memory");
    else if (width == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port) : "memory");
    else
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
