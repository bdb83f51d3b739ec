// SPDX-License-Identifier: BSD-2-Clause
// The kernel's own page tables, the direct map of physical memory, and the
// allocator that serves until the kernel's real one starts. Every address space
// copies slots 256..511 of kernel_pml4; they never change after paging_init(),
// but for slot 510 (see descriptor.h) in address spaces with I/O rights.
#pragma once

#define PAGE_SIZE       4096
#define KERNEL_OFFSET   0xffffffff80000000
#define DIRECT_MAP_BASE 0xffff800000000000
#define DIRECT_MAP_LIMIT                                                                           \
    0x2000000000 /* 128 GiB: what names of mapping nodes reach; memory above is not used */

// Bits of page table entries, Intel SDM volume 3, section 4.5.
#define PTE_PRESENT       0x001
#define PTE_WRITE         0x002
#define PTE_USER          0x004
#define PTE_WRITE_THROUGH 0x008
#define PTE_CACHE_DISABLE 0x010
#define PTE_ACCESSED      0x020
#define PTE_DIRTY         0x040
#define PTE_LARGE         0x080 // in a page directory or PDPT entry
#define PTE_GLOBAL        0x100
#define PTE_NO_EXECUTE    0x8000000000000000
#define PTE_ADDRESS_MASK  0x000ffffffffff000

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stdint.h>

#include "x86/boot.h"

static inline void *physical_to_virtual(uint64_t physical)
{
    return (void *)(physical + DIRECT_MAP_BASE);
}

// For direct map addresses only; the kernel image's own is kernel_to_physical().
static inline uint64_t virtual_to_physical(const void *address)
{
    return (uint64_t)address - DIRECT_MAP_BASE;
}

static inline uint64_t kernel_to_physical(const void *image_address)
{
    return (uint64_t)image_address - KERNEL_OFFSET;
}

extern uint64_t kernel_pml4_physical;

// Sorts out free memory, builds the final tables and switches to them; sets CR0, CR4, EFER, XCR0.
void paging_init(const struct boot_info *info);

// Whether the direct map reaches these bytes; for addresses out of the firmware's tables.
bool paging_direct_mapped(uint64_t physical, uint64_t bytes);

// Takes memory for good, from the highest free region that holds it. bytes is
// rounded up to whole pages; alignment is a power of two >= PAGE_SIZE. The
// memory is not cleared. Returns a physical address, 0 if there is none.
uint64_t paging_reserve(uint64_t bytes, uint64_t alignment);

// Memory still free: usable, and not the first 64 KiB, the kernel, a module or
// reserved. Page-aligned, ascending, disjoint. Start with *cursor = 0; false at
// the end. Calling paging_reserve() in between makes the cursor invalid.
struct free_region {
    uint64_t base;
    uint64_t length;
};
bool boot_free_regions(uint32_t *cursor, struct free_region *region);

#endif
