// SPDX-License-Identifier: BSD-2-Clause
// ACPI static tables: ACPI Specification 6.4, sections 5.2.5 (RSDP), 5.2.6
// (header), 5.2.9 (FADT), 5.2.12 (MADT); PCI Firmware Specification 3.0, section
// 4.1.2 (MCFG). Each table is reached through table_map(), which checks that all
// of it is mapped and that its sum is right; fields are only read at offsets
// below its length, and copied, for they need not be aligned.
#include "x86/acpi.h"

#include <stddef.h>

#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/print.h"

// Offsets and sizes from the specification.
enum {
    TABLE_MAX_BYTES = 1 << 20,
    TABLES_MAX = 256,

    RSDP_REVISION = 15,
    RSDP_RSDT = 16,
    RSDP_SIZE_V1 = 20,
    RSDP_XSDT = 24,

    HEADER_LENGTH = 4,
    HEADER_SIZE = 36,

    FADT_SCI_IRQ = 46,
    FADT_PM1A_CONTROL = 64,
    FADT_PM1B_CONTROL = 68,
    FADT_PM_TIMER = 76,
    FADT_PM_TIMER_LENGTH = 91,
    FADT_CENTURY = 108,
    FADT_FLAGS = 112,
    FADT_RESET_REGISTER = 116,
    FADT_RESET_VALUE = 128,
    FADT_FLAG_TIMER_32BIT = 1 << 8,
    FADT_FLAG_RESET_REGISTER = 1 << 10,

    MADT_LAPIC_ADDRESS = 36,
    MADT_FLAGS = 40,
    MADT_ENTRIES = 44,
    MADT_FLAG_8259 = 1 << 0,
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_OVERRIDE = 5,
    MADT_X2APIC = 9,
    MADT_LAPIC_ENABLED = 1 << 0,

    MCFG_ENTRIES = 44,
    MCFG_ENTRY_SIZE = 16,

    LAPIC_DEFAULT = 0xfee00000,
};

// A table that checked out.
struct table {
    const uint8_t *bytes;
    uint32_t length;
};

struct acpi_info acpi_info;

// A field of a table, 0 if the table is too short to have it.
static uint64_t field(const struct table *table, uint32_t offset, uint32_t size)
{
    uint64_t value = 0;

    if (offset + size <= table->length)
        memcpy(&value, table->bytes + offset, size);
    return value;
}

static uint8_t sum(const uint8_t *bytes, uint32_t length)
{
    uint8_t total = 0;

    for (uint32_t i = 0; i < length; i++)
        total += bytes[i];
    return total;
}

static bool table_map(uint64_t physical, struct table *table)
{
    if (physical == 0 || !paging_direct_mapped(physical, HEADER_SIZE))
        return false;
    table->bytes = physical_to_virtual(physical);
    table->length = HEADER_SIZE;
    table->length = (uint32_t)field(table, HEADER_LENGTH, 4);
    if (table->length < HEADER_SIZE || table->length > TABLE_MAX_BYTES ||
        !paging_direct_mapped(physical, table->length)) {
        kprintf("acpi: table at %lx has a bad length, left out\n", physical);
        return false;
    }
    if (sum(table->bytes, table->length) != 0) {
        kprintf("acpi: table at %lx has a bad checksum, left out\n", physical);
        return false;
    }
    return true;
}

static void parse_fadt(const struct table *fadt)
{
    uint32_t flags = (uint32_t)field(fadt, FADT_FLAGS, 4);
    uint64_t timer = field(fadt, FADT_PM_TIMER, 4);

    acpi_info.sci_irq = (uint16_t)field(fadt, FADT_SCI_IRQ, 2);
    acpi_info.pm1a_control_port = (uint16_t)field(fadt, FADT_PM1A_CONTROL, 4);
    acpi_info.pm1b_control_port = (uint16_t)field(fadt, FADT_PM1B_CONTROL, 4);
    acpi_info.century_register = (uint8_t)field(fadt, FADT_CENTURY, 1);
    if (field(fadt, FADT_PM_TIMER_LENGTH, 1) == 4 && timer <= UINT16_MAX - 3) {
        acpi_info.timer_port = (uint16_t)timer;
        acpi_info.timer_32bit = flags & FADT_FLAG_TIMER_32BIT;
    }
    if (flags & FADT_FLAG_RESET_REGISTER) {
        acpi_info.reset_register.space = (uint8_t)field(fadt, FADT_RESET_REGISTER, 1);
        acpi_info.reset_register.bits = (uint8_t)field(fadt, FADT_RESET_REGISTER + 1, 1);
        acpi_info.reset_register.address = field(fadt, FADT_RESET_REGISTER + 4, 8);
        acpi_info.reset_value = (uint8_t)field(fadt, FADT_RESET_VALUE, 1);
    }
}

static void add_ioapic(const struct table *entry)
{
    if (acpi_info.ioapic_count == ACPI_IOAPIC_MAX) {
        kprintf("acpi: more than %d I/O APICs, the rest is not used\n", ACPI_IOAPIC_MAX);
        return;
    }
    acpi_info.ioapics[acpi_info.ioapic_count++] = (struct acpi_ioapic){
        .id = (uint8_t)field(entry, 2, 1),
        .address = (uint32_t)field(entry, 4, 4),
        .gsi_base = (uint32_t)field(entry, 8, 4),
    };
}

// Flags: MPS INTI, table 5.26; the ISA bus's own way is edge, active high.
static void add_override(const struct table *entry)
{
    enum { POLARITY_MASK = 3, POLARITY_LOW = 3, TRIGGER_MASK = 3 << 2, TRIGGER_LEVEL = 3 << 2 };
    uint32_t flags = (uint32_t)field(entry, 8, 2);
    uint8_t irq = (uint8_t)field(entry, 3, 1);

    if (irq >= ACPI_OVERRIDE_MAX || acpi_info.override_count == ACPI_OVERRIDE_MAX)
        return;
    acpi_info.overrides[acpi_info.override_count++] = (struct acpi_override){
        .irq = irq,
        .gsi = (uint32_t)field(entry, 4, 4),
        .level = (flags & TRIGGER_MASK) == TRIGGER_LEVEL,
        .low = (flags & POLARITY_MASK) == POLARITY_LOW,
    };
}

static void parse_madt_entry(const struct table *entry)
{
    switch (entry->bytes[0]) {
    case MADT_LAPIC:
        acpi_info.lapic_count += field(entry, 4, 4) & MADT_LAPIC_ENABLED;
        break;
    case MADT_X2APIC:
        acpi_info.lapic_count += field(entry, 8, 4) & MADT_LAPIC_ENABLED;
        break;
    case MADT_IOAPIC:
        add_ioapic(entry);
        break;
    case MADT_OVERRIDE:
        add_override(entry);
        break;
    case MADT_LAPIC_OVERRIDE:
        acpi_info.lapic_address = field(entry, 4, 8);
        break;
    default:
        break;
    }
}

static void parse_madt(const struct table *madt)
{
    enum { ENTRY_HEADER = 2 };
    uint32_t offset = MADT_ENTRIES;

    acpi_info.lapic_address = field(madt, MADT_LAPIC_ADDRESS, 4);
    acpi_info.has_8259 = field(madt, MADT_FLAGS, 4) & MADT_FLAG_8259;
    while (offset + ENTRY_HEADER <= madt->length) {
        const struct table entry = {.bytes = madt->bytes + offset,
                                    .length = madt->bytes[offset + 1]};
        if (entry.length < ENTRY_HEADER || entry.length > madt->length - offset) {
            kprintf("acpi: MADT ends in a broken entry\n");
            return;
        }
        parse_madt_entry(&entry);
        offset += entry.length;
    }
}

static void parse_mcfg(const struct table *mcfg)
{
    for (uint32_t offset = MCFG_ENTRIES; offset + MCFG_ENTRY_SIZE <= mcfg->length;
         offset += MCFG_ENTRY_SIZE) {
        if (acpi_info.ecam_count == ACPI_ECAM_MAX)
            return;
        acpi_info.ecams[acpi_info.ecam_count++] = (struct acpi_ecam){
            .base = field(mcfg, offset, 8),
            .segment = (uint16_t)field(mcfg, offset + 8, 2),
            .first_bus = (uint8_t)field(mcfg, offset + 10, 1),
            .last_bus = (uint8_t)field(mcfg, offset + 11, 1),
        };
    }
}

static const struct {
    char signature[5];
    void (*parse)(const struct table *table);
} parsers[] = {
    {"FACP", parse_fadt},
    {"APIC", parse_madt},
    {"MCFG", parse_mcfg},
};

// The first table of each kind counts; `seen` has a bit for each parser.
static void parse_table(uint64_t physical, uint32_t *seen)
{
    struct table table;

    if (!table_map(physical, &table))
        return;
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++) {
        bool first = !(*seen >> i & 1);
        if (first && memcmp(table.bytes, parsers[i].signature, 4) == 0) {
            *seen |= 1u << i;
            parsers[i].parse(&table);
        }
    }
}

// False if the RSDP or the table it points to is unusable.
static bool find_root(const struct boot_info *boot, struct table *root)
{
    const struct table rsdp = {.bytes = boot->rsdp, .length = boot->rsdp_length};

    if (rsdp.length < RSDP_SIZE_V1 || sum(rsdp.bytes, RSDP_SIZE_V1) != 0)
        return false;

    bool extended = rsdp.length >= BOOT_RSDP_SIZE && field(&rsdp, RSDP_REVISION, 1) >= 2 &&
                    sum(rsdp.bytes, BOOT_RSDP_SIZE) == 0;
    uint64_t xsdt = extended ? field(&rsdp, RSDP_XSDT, 8) : 0;
    if (xsdt != 0 && table_map(xsdt, root) && memcmp(root->bytes, "XSDT", 4) == 0) {
        acpi_info.root_is_xsdt = true;
        acpi_info.root_table = xsdt;
        return true;
    }
    uint64_t rsdt = field(&rsdp, RSDP_RSDT, 4);
    if (table_map(rsdt, root) && memcmp(root->bytes, "RSDT", 4) == 0) {
        acpi_info.root_table = rsdt;
        return true;
    }
    return false;
}

void acpi_init(const struct boot_info *boot)
{
    struct table root;

    acpi_info.lapic_address = LAPIC_DEFAULT;
    acpi_info.has_8259 = true;
    if (!find_root(boot, &root)) {
        kprintf("acpi: no usable tables\n");
        return;
    }

    uint32_t seen = 0;
    uint32_t pointer_size = acpi_info.root_is_xsdt ? 8 : 4;
    uint32_t count = (root.length - HEADER_SIZE) / pointer_size;
    if (count > TABLES_MAX)
        count = TABLES_MAX;
    for (uint32_t i = 0; i < count; i++)
        parse_table(field(&root, HEADER_SIZE + i * pointer_size, pointer_size), &seen);

    kprintf("acpi: %u CPUs, %u I/O APICs, %u overrides, PM timer %x (%d bit), ECAM %lx\n",
            acpi_info.lapic_count, acpi_info.ioapic_count, acpi_info.override_count,
            acpi_info.timer_port, acpi_info.timer_32bit ? 32 : 24, acpi_info.ecams[0].base);
}
