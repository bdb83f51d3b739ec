// SPDX-License-Identifier: BSD-2-Clause
// The two static tables of ACPI that init uses; no AML. Tables are taken for
// hostile: what does not check out counts as absent.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct acpi_facts {
    uint64_t ecam_base; // of bus 0 in memory, 0: no extended configuration space
    uint32_t ecam_buses;
    uint16_t pm1a_control; // I/O port for power-off, 0: unknown
    bool reset_in_port;    // the reset register below is an I/O port
    uint16_t reset_port;
    uint8_t reset_value;
};

// `root` is the physical address of the RSDT or XSDT, 0 for none.
struct acpi_facts acpi_read(uint64_t root, bool root_is_xsdt);
