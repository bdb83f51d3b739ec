// SPDX-License-Identifier: BSD-2-Clause
// The few facts of ACPI's static tables that the kernel and the platform server
// need. No AML. The tables are taken for hostile: whatever does not check out is
// left out with a boot line saying so.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "x86/boot.h"

enum { ACPI_IOAPIC_MAX = 8, ACPI_OVERRIDE_MAX = 16, ACPI_ECAM_MAX = 4 };

struct acpi_ioapic {
    uint32_t address; // physical
    uint32_t gsi_base;
    uint8_t id;
};

struct acpi_override {
    uint32_t gsi;
    uint8_t irq; // ISA interrupt, 0..15
    bool level;
    bool low;
};

struct acpi_ecam {
    uint64_t base; // physical address of bus 0's configuration space, even if first_bus is not 0
    uint16_t segment;
    uint8_t first_bus;
    uint8_t last_bus;
};

// Generic Address Structure, ACPI 6.4 section 5.2.3.2: space 0 memory, 1 ports; all 0 if absent.
struct acpi_register {
    uint64_t address;
    uint8_t space;
    uint8_t bits;
};

struct acpi_info {
    uint64_t root_table; // physical address of XSDT or RSDT, 0 without ACPI
    bool root_is_xsdt;
    bool has_8259; // MADT: also true without a MADT
    bool timer_32bit;

    uint64_t lapic_address; // the architecture's default if there is no MADT
    uint32_t lapic_count;   // enabled CPUs
    uint32_t ioapic_count;
    uint32_t override_count;
    uint32_t ecam_count;
    struct acpi_ioapic ioapics[ACPI_IOAPIC_MAX];
    struct acpi_override overrides[ACPI_OVERRIDE_MAX];
    struct acpi_ecam ecams[ACPI_ECAM_MAX];

    uint16_t timer_port; // PM timer, 0 if none
    uint16_t sci_irq;
    uint16_t pm1a_control_port; // for power-off
    uint16_t pm1b_control_port;
    uint8_t century_register; // CMOS index of the century, 0 if none
    struct acpi_register reset_register;
    uint8_t reset_value;
};

extern struct acpi_info acpi_info;

// Never fails: what is not found stays at its default.
void acpi_init(const struct boot_info *info);
