// SPDX-License-Identifier: BSD-2-Clause
// Power-off by the PM1a control register and reset by the FADT's register, port
// 0xcf9 and the keyboard controller. Without AML the sleep type of S5 is not
// known; 0 is right for QEMU's machines (PIIX4 and ICH9), which we are made for.
#include "power.h"

#include "config_space.h"
#include "port_io.h"

#include "lib/clock.h"

// QEMU's isa-debug-exit as tests configure it.
#define DEBUG_EXIT_PORT 0xf4
// PM1 control register (ACPI 6.4, section 4.8.3.2.1).
#define PM1_SLEEP_ENABLE (1u << 13)
#define PM1_OFFSET       4
// Intel 82371AB (PIIX4) data sheet, 7.1.26: function 3, register 0x40; ICH9 data
// sheet, 13.1.11: LPC bridge, the same register.
#define PM_BASE_REGISTER 0x40
#define PM_BASE_MASK     0xff80u
#define QEMU_PM1_CONTROL 0x604 // where QEMU's firmware puts it on both
#define RESET_CONTROL    0xcf9
#define RESET_SYSTEM     0x02
#define RESET_CPU        0x04
#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_RESET   0xfe
#define WAIT_NS          (100 * 1000 * NANOSECONDS_PER_MICROSECOND)

static struct acpi_facts acpi;

static const struct {
    uint32_t id; // device << 16 | vendor
    pci_address_t address;
} managers[] = {
    {0x71138086, 1 << 3 | 3},  // PIIX4, in QEMU's pc
    {0x29188086, 31 << 3 | 0}, // ICH9, in QEMU's q35
};

static void wait(void)
{
    for (uint64_t end = clock_now_ns() + WAIT_NS; clock_now_ns() < end;)
        processor_relax();
}

static uint16_t find_pm1_control(void)
{
    for (size_t i = 0; i < sizeof managers / sizeof managers[0]; i++) {
        if (config_space.read(NULL, managers[i].address, PCI_VENDOR) != managers[i].id)
            continue;
        uint32_t base = config_space.read(NULL, managers[i].address, PM_BASE_REGISTER);
        if ((base & PM_BASE_MASK) != 0)
            return (uint16_t)((base & PM_BASE_MASK) + PM1_OFFSET);
    }
    return QEMU_PM1_CONTROL;
}

void power_initialize(const struct acpi_facts *facts)
{
    acpi = *facts;
    if (acpi.pm1a_control == 0)
        acpi.pm1a_control = find_pm1_control();
}

void power_debug_exit(uint32_t status)
{
    out32(DEBUG_EXIT_PORT, status);
    wait();
}

void power_off(void)
{
    out16(acpi.pm1a_control, PM1_SLEEP_ENABLE);
    wait();
}

void power_reset(void)
{
    if (acpi.reset_in_port) {
        out8(acpi.reset_port, acpi.reset_value);
        wait();
    }
    out8(RESET_CONTROL, RESET_SYSTEM);
    out8(RESET_CONTROL, RESET_SYSTEM | RESET_CPU);
    wait();
    out8(KEYBOARD_COMMAND, KEYBOARD_RESET);
    wait();
}
