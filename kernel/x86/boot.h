// SPDX-License-Identifier: BSD-2-Clause
// What the boot loader told us, copied out of its memory and checked, and the
// Multiboot numbers boot.S and boot.c share. After kernel_boot() nothing of the
// loader's own structures is needed any more.
#pragma once

// Multiboot Specification 0.6.96 section 3.1 and 2.0 section 3.1.
#define MULTIBOOT1_HEADER_MAGIC 0x1badb002
#define MULTIBOOT1_HEADER_FLAGS 0x00010003 // page-aligned modules, memory map, address fields
#define MULTIBOOT1_LOADER_MAGIC 0x2badb002
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289

#define CPU_STACK_SIZE 16384

#ifndef __ASSEMBLER__

#include <stdint.h>

enum {
    BOOT_REGION_MAX = 64,
    BOOT_MODULE_MAX = 16,
    BOOT_MODULE_COMMAND_MAX = 256,
    BOOT_COMMAND_MAX = 1024,
    BOOT_RSDP_SIZE = 36,
};

// The types of ACPI's address map (ACPI 6.4, table 15.10), which both Multiboot versions use.
enum boot_region_type {
    BOOT_REGION_USABLE = 1,
    BOOT_REGION_RESERVED = 2,
    BOOT_REGION_ACPI = 3,
    BOOT_REGION_ACPI_NVS = 4,
    BOOT_REGION_BAD = 5,
};

// As the firmware says it: not page-aligned, perhaps overlapping. boot_free_regions() gives what
// is really free.
struct boot_region {
    uint64_t base;
    uint64_t length;
    uint32_t type; // enum boot_region_type; unknown types are turned into BOOT_REGION_RESERVED
};

// Checked: start < end <= 4 GiB, overlaps neither the kernel nor another module.
struct loader_module {
    uint64_t start;
    uint64_t end;
    char command[BOOT_MODULE_COMMAND_MAX];
};

struct boot_info {
    uint32_t region_count;
    uint32_t module_count;
    struct boot_region regions[BOOT_REGION_MAX];
    struct loader_module modules[BOOT_MODULE_MAX];
    char command[BOOT_COMMAND_MAX];
    // A copy, since Multiboot 2 hands it over in memory that is free afterwards.
    uint32_t rsdp_length; // 0: none found; 20: ACPI 1.0; 36: later
    uint8_t rsdp[BOOT_RSDP_SIZE];
};

// Called by boot.S on cpu_stack with the loader's magic number and information structure.
_Noreturn void kernel_boot(uint32_t magic, uint64_t info_physical);

// The rest of the kernel; entered with interrupts off and the machine layer ready.
_Noreturn void kernel_main(const struct boot_info *info);

// The one kernel stack, in boot.S. The page below is not mapped: an overflow is a double fault.
extern char cpu_stack_guard[], cpu_stack_bottom[], cpu_stack_top[];

// Linker script. All are page-aligned, and physical address = address - KERNEL_OFFSET.
extern char kernel_image_start[]; // includes the boot code; physical 1 MiB
extern char kernel_text_start[], kernel_text_end[], kernel_rodata_end[], kernel_data_end[],
    kernel_end[];

#endif
