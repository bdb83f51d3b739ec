// SPDX-License-Identifier: BSD-2-Clause
// Interrupt controllers: the local APIC of this CPU, the I/O APICs, and message
// signalled interrupts. The old 8259s are moved out of the way and masked.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "x86/instructions.h"

// The masked 8259s still raise spurious interrupts at two vectors in 0x20..0x2f.
#define VECTOR_PIC_BASE     0x20
#define VECTOR_DEVICE_FIRST 0x30
#define VECTOR_DEVICE_LAST  0xef
#define VECTOR_APIC_ERROR   0xfd
#define VECTOR_TIMER        0xfe
#define VECTOR_SPURIOUS     0xff

// Register offsets, Intel SDM volume 3, table 11-1.
#define APIC_ID              0x020
#define APIC_VERSION         0x030
#define APIC_TASK_PRIORITY   0x080
#define APIC_EOI             0x0b0
#define APIC_SPURIOUS        0x0f0
#define APIC_ERROR_STATUS    0x280
#define APIC_LVT_TIMER       0x320
#define APIC_LVT_THERMAL     0x330
#define APIC_LVT_PERFORMANCE 0x340
#define APIC_LVT_LINT0       0x350
#define APIC_LVT_LINT1       0x360
#define APIC_LVT_ERROR       0x370
#define APIC_TIMER_INITIAL   0x380
#define APIC_TIMER_CURRENT   0x390
#define APIC_TIMER_DIVIDE    0x3e0

// The registers in uncached memory; null in x2APIC mode.
extern volatile uint32_t *apic_registers;

static inline uint32_t apic_read(uint32_t offset)
{
    if (apic_registers)
        return apic_registers[offset / 4];
    return (uint32_t)rdmsr(MSR_X2APIC_BASE + offset / 16);
}

static inline void apic_write(uint32_t offset, uint32_t value)
{
    if (apic_registers)
        apic_registers[offset / 4] = value;
    else
        wrmsr(MSR_X2APIC_BASE + offset / 16, value);
}

// Ends the interrupt in service. Not for VECTOR_SPURIOUS, nor for the 8259s' vectors.
static inline void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

// The handlers of the vectors count here; the values are for the host port's statistics.
extern uint64_t apic_spurious_count;
extern uint64_t apic_error_count;

// Masks everything; needs acpi_init(). Interrupts stay off in the CPU.
void apic_init(void);

// Reads and clears the local APIC's error register, counts; for VECTOR_APIC_ERROR, before
// apic_eoi().
uint32_t apic_error(void);

// This CPU's local APIC id.
uint32_t apic_id(void);

// Routes a global system interrupt to a vector of this CPU and leaves it masked.
// False if no I/O APIC has that interrupt. A level interrupt must be masked by
// its handler before apic_eoi(), and unmasked when the device is quiet.
bool ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool low);

// Nothing happens if no I/O APIC has the interrupt.
void ioapic_mask(uint32_t gsi);
void ioapic_unmask(uint32_t gsi);

// How many global system interrupts there are: one above the highest pin.
uint32_t ioapic_gsi_limit(void);

// Where an ISA interrupt (0..15) arrives, and how it is signalled.
uint32_t gsi_of_isa_irq(uint8_t irq, bool *level, bool *low);

// What a device has to write where to raise a vector (Intel SDM volume 3, section 11.11).
void msi_compose(uint8_t vector, uint64_t *address, uint32_t *data);
