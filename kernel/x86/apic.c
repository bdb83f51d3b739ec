// SPDX-License-Identifier: BSD-2-Clause
// Local APIC: Intel SDM volume 3, chapter 11. I/O APIC: Intel 82093AA data
// sheet. 8259: Intel 8259A data sheet. All interrupts go to this CPU, in
// physical destination mode.
#include "x86/apic.h"

#include "x86/acpi.h"
#include "x86/features.h"
#include "x86/paging.h"
#include "x86/panic.h"
#include "x86/print.h"

enum {
    PIC_MASTER = 0x20,
    PIC_SLAVE = 0xa0,
    PIC_ICW1_INIT_ICW4 = 0x11,
    PIC_ICW3_MASTER_CASCADE = 1 << 2,
    PIC_ICW3_SLAVE_ID = 2,
    PIC_ICW4_8086 = 0x01,
    PIC_MASK_ALL = 0xff,

    LVT_MASKED = 1 << 16,
    LVT_NMI = 4 << 8,
    APIC_VERSION_LVT_SHIFT = 16,
    APIC_SOFTWARE_ENABLE = 1 << 8,
    XAPIC_ID_SHIFT = 24,

    IOAPIC_SELECT = 0x00,
    IOAPIC_WINDOW = 0x10,
    IOAPIC_VERSION = 0x01,
    IOAPIC_REDIRECTION = 0x10, // two registers for each pin
    REDIRECTION_LOW = 1 << 13,
    REDIRECTION_LEVEL = 1 << 15,
    REDIRECTION_MASKED = 1 << 16,
    REDIRECTION_DESTINATION_SHIFT = 24,
    IOAPIC_PINS_MAX = 240,
    IOAPIC_SIZE = 0x20,

    ISA_IRQS = 16,
};

#define APIC_BASE_X2APIC      (1ul << 10)
#define APIC_BASE_ENABLE      (1ul << 11)
#define APIC_BASE_ADDRESS     0x000ffffffffff000ul
#define MSI_ADDRESS_BASE      0xfee00000ul
#define MSI_DESTINATION_SHIFT 12

struct ioapic {
    volatile uint32_t *registers;
    uint32_t gsi_base;
    uint32_t pins;
};

volatile uint32_t *apic_registers;
uint64_t apic_spurious_count;
uint64_t apic_error_count;

static struct ioapic ioapics[ACPI_IOAPIC_MAX];
static uint32_t ioapic_count;

// Set up though never used: an interrupt at the vectors of their reset state looks like an
// exception.
static void pic_disable(void)
{
    outb(PIC_MASTER, PIC_ICW1_INIT_ICW4);
    outb(PIC_SLAVE, PIC_ICW1_INIT_ICW4);
    outb(PIC_MASTER + 1, VECTOR_PIC_BASE);
    outb(PIC_SLAVE + 1, VECTOR_PIC_BASE + 8);
    outb(PIC_MASTER + 1, PIC_ICW3_MASTER_CASCADE);
    outb(PIC_SLAVE + 1, PIC_ICW3_SLAVE_ID);
    outb(PIC_MASTER + 1, PIC_ICW4_8086);
    outb(PIC_SLAVE + 1, PIC_ICW4_8086);
    outb(PIC_MASTER + 1, PIC_MASK_ALL);
    outb(PIC_SLAVE + 1, PIC_MASK_ALL);
}

// x2APIC stays on where the firmware left it so: it may have had a reason, and there is no way back
// without a reset of the APIC.
static void lapic_find(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    if (!(base & APIC_BASE_ENABLE)) {
        base = (acpi_info.lapic_address & APIC_BASE_ADDRESS) | (base & ~APIC_BASE_ADDRESS) |
               APIC_BASE_ENABLE;
        wrmsr(MSR_APIC_BASE, base);
    }
    if (base & APIC_BASE_X2APIC)
        return;
    // The CPU's word counts, not the MADT's.
    uint64_t address = base & APIC_BASE_ADDRESS;
    if (!paging_direct_mapped(address, PAGE_SIZE))
        panic("the local APIC is at %lx, out of the direct map", address);
    apic_registers = physical_to_virtual(address);
}

static void lapic_set(void)
{
    uint32_t highest_lvt = apic_read(APIC_VERSION) >> APIC_VERSION_LVT_SHIFT & 0xff;

    apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_NMI); // so on every PC, whatever the MADT says
    if (highest_lvt >= 4)
        apic_write(APIC_LVT_PERFORMANCE, LVT_MASKED);
    if (highest_lvt >= 5)
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
    apic_write(APIC_ERROR_STATUS, 0);
    apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
    apic_eoi(); // ends what the firmware may have left in service
}

uint32_t apic_error(void)
{
    apic_error_count++;
    apic_write(APIC_ERROR_STATUS, 0); // the write latches what the read gives
    return apic_read(APIC_ERROR_STATUS);
}

uint32_t apic_id(void)
{
    uint32_t id = apic_read(APIC_ID);
    return apic_registers ? id >> XAPIC_ID_SHIFT : id;
}

static uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t number)
{
    ioapic->registers[IOAPIC_SELECT / 4] = number;
    return ioapic->registers[IOAPIC_WINDOW / 4];
}

static void ioapic_write(const struct ioapic *ioapic, uint32_t number, uint32_t value)
{
    ioapic->registers[IOAPIC_SELECT / 4] = number;
    ioapic->registers[IOAPIC_WINDOW / 4] = value;
}

static uint32_t redirection(const struct ioapic *ioapic, uint32_t gsi)
{
    return IOAPIC_REDIRECTION + 2 * (gsi - ioapic->gsi_base);
}

static const struct ioapic *ioapic_of_gsi(uint32_t gsi)
{
    for (uint32_t i = 0; i < ioapic_count; i++) {
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins)
            return &ioapics[i];
    }
    return 0;
}

static void ioapic_add(const struct acpi_ioapic *found)
{
    struct ioapic *ioapic = &ioapics[ioapic_count];

    if (!paging_direct_mapped(found->address, IOAPIC_SIZE) || found->address % 16 != 0)
        return;
    ioapic->registers = physical_to_virtual(found->address);
    ioapic->gsi_base = found->gsi_base;
    ioapic->pins = (ioapic_read(ioapic, IOAPIC_VERSION) >> 16 & 0xff) + 1;
    // All ones is what an address without a device reads as.
    if (ioapic->pins > IOAPIC_PINS_MAX || ioapic->gsi_base > UINT32_MAX - ioapic->pins) {
        kprintf("apic: no I/O APIC at %x\n", found->address);
        return;
    }
    ioapic_count++;
    for (uint32_t pin = 0; pin < ioapic->pins; pin++)
        ioapic_mask(ioapic->gsi_base + pin);
}

bool ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool low)
{
    const struct ioapic *ioapic = ioapic_of_gsi(gsi);

    if (!ioapic)
        return false;
    uint32_t number = redirection(ioapic, gsi);
    uint32_t value = REDIRECTION_MASKED | vector;
    value |= level ? REDIRECTION_LEVEL : 0;
    value |= low ? REDIRECTION_LOW : 0;
    ioapic_write(ioapic, number, value);
    ioapic_write(ioapic, number + 1, apic_id() << REDIRECTION_DESTINATION_SHIFT);
    return true;
}

void ioapic_mask(uint32_t gsi)
{
    const struct ioapic *ioapic = ioapic_of_gsi(gsi);

    if (!ioapic)
        return;
    uint32_t number = redirection(ioapic, gsi);
    ioapic_write(ioapic, number, ioapic_read(ioapic, number) | REDIRECTION_MASKED);
}

void ioapic_unmask(uint32_t gsi)
{
    const struct ioapic *ioapic = ioapic_of_gsi(gsi);

    if (!ioapic)
        return;
    uint32_t number = redirection(ioapic, gsi);
    ioapic_write(ioapic, number, ioapic_read(ioapic, number) & ~(uint32_t)REDIRECTION_MASKED);
}

uint32_t ioapic_gsi_limit(void)
{
    uint32_t limit = 0;

    for (uint32_t i = 0; i < ioapic_count; i++) {
        if (ioapics[i].gsi_base + ioapics[i].pins > limit)
            limit = ioapics[i].gsi_base + ioapics[i].pins;
    }
    return limit;
}

uint32_t gsi_of_isa_irq(uint8_t irq, bool *level, bool *low)
{
    KASSERT(irq < ISA_IRQS);
    for (uint32_t i = 0; i < acpi_info.override_count; i++) {
        const struct acpi_override *found = &acpi_info.overrides[i];
        if (found->irq == irq) {
            *level = found->level;
            *low = found->low;
            return found->gsi;
        }
    }
    *level = false;
    *low = false;
    return irq;
}

void msi_compose(uint8_t vector, uint64_t *address, uint32_t *data)
{
    *address = MSI_ADDRESS_BASE | (uint64_t)(apic_id() & 0xff) << MSI_DESTINATION_SHIFT;
    *data = vector; // edge, fixed delivery
}

void apic_init(void)
{
    pic_disable();
    lapic_find();
    lapic_set();
    for (uint32_t i = 0; i < acpi_info.ioapic_count; i++)
        ioapic_add(&acpi_info.ioapics[i]);
    kprintf("apic: local APIC %u (%s), %u interrupts on %u I/O APICs\n", apic_id(),
            apic_registers ? "xAPIC" : "x2APIC", ioapic_gsi_limit(), ioapic_count);
}
