// SPDX-License-Identifier: BSD-2-Clause
// What the kernel tells the first task: pages at BOOT_INFO_ADDRESS, read-only.
#pragma once

#include <stdint.h>

#define BOOT_INFORMATION_MAGIC 0x636f7276626f6f74ull
#define BOOT_RANGES_MAX        64
#define BOOT_MODULES_MAX       16

// A range of physical memory that the first task holds mapped one to one
// (virtual address = physical address), with all access, so that it can give
// out any.
struct boot_range {
    uint64_t base; // page aligned
    uint64_t length;
};

// A boot module. Its pages are mapped one to one too, and are not in `ranges`:
// the first task owns them and may reuse them when done.
struct boot_module {
    uint64_t base;   // physical start, not always page aligned
    uint64_t length; // bytes
    char arguments[256];
};

struct boot_information {
    uint64_t magic;
    uint64_t acpi_root;            // physical address of the RSDT or XSDT, 0 when there is none
    uint64_t memory_bytes;         // all usable memory the firmware reported
    uint64_t kernel_reserve_bytes; // kept by the kernel for its own objects
    uint32_t acpi_root_is_xsdt;
    uint32_t reserved;
    uint32_t range_count;
    uint32_t module_count;
    struct boot_range ranges[BOOT_RANGES_MAX];
    struct boot_module modules[BOOT_MODULES_MAX];
    char command_line[1024];
};
_Static_assert(sizeof(struct boot_information) <= 3 * 4096, "fits the pages at BOOT_INFO_ADDRESS");
