// SPDX-License-Identifier: BSD-2-Clause
// Free memory at boot, and the final kernel page tables.
//
// The list of free memory is made by adding what is usable and then taking out
// everything that is anything else, so that overlapping entries of a careless
// firmware end up on the safe side. Page tables are only ever reached through
// the direct map, which boot.S has set up for the first 4 GiB.
#include "x86/paging.h"

#include <stddef.h>

#include "x86/descriptor.h"
#include "x86/features.h"
#include "x86/instructions.h"
#include "x86/memory.h"
#include "x86/panic.h"
#include "x86/print.h"

#define MIB               (1ul << 20)
#define GIB               (1ul << 30)
#define LARGE_PAGE_SIZE   (2 * MIB)
#define BOOT_MAPPED_LIMIT (4 * GIB)
#define LOW_RESERVED_END  0x10000ul // BIOS data, and null stays no page of anybody
#define ENTRIES           512

enum { FREE_MAX = 2 * (BOOT_REGION_MAX + BOOT_MODULE_MAX) };

// Flags for a table entry that points to a table: the leaf decides.
#define TABLE_FLAGS     (PTE_PRESENT | PTE_WRITE)
#define LEAF_FLAGS      (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED)
#define WRITABLE_FLAGS  (LEAF_FLAGS | PTE_WRITE | PTE_DIRTY | PTE_NO_EXECUTE)
#define READ_ONLY_FLAGS (LEAF_FLAGS | PTE_NO_EXECUTE)
#define TEXT_FLAGS      LEAF_FLAGS
#define DEVICE_FLAGS    (WRITABLE_FLAGS | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH)

// The page attribute table after a reset: what PTE_CACHE_DISABLE and PTE_WRITE_THROUGH assume.
#define PAT_RESET 0x0007040600070406

uint64_t kernel_pml4_physical;

static struct free_region free_regions[FREE_MAX];
static uint32_t free_count;

// Memory above is not reached by boot.S's tables.
static uint64_t reserve_limit = BOOT_MAPPED_LIMIT;

static const struct boot_info *boot;

// First address the direct map cannot hold, or the CPU cannot send out.
static uint64_t physical_limit = DIRECT_MAP_LIMIT;

static uint64_t page_down(uint64_t address)
{
    return address & ~(uint64_t)(PAGE_SIZE - 1);
}

static uint64_t page_up(uint64_t address)
{
    return page_down(address + PAGE_SIZE - 1);
}

// ---- Free memory ----

// The list is kept sorted; one piece too many is lost, not misused.
static void free_insert(uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (free_count == FREE_MAX) {
        kprintf("paging: memory %lx - %lx is not used, too many regions\n", start, end);
        return;
    }
    uint32_t at = free_count++;
    for (; at > 0 && free_regions[at - 1].base > start; at--)
        free_regions[at] = free_regions[at - 1];
    free_regions[at] = (struct free_region){.base = start, .length = end - start};
}

static void free_delete(uint32_t at)
{
    free_count--;
    for (; at < free_count; at++)
        free_regions[at] = free_regions[at + 1];
}

// Takes start..end, widened to whole pages, out of the list.
static void free_subtract(uint64_t start, uint64_t end)
{
    start = page_down(start);
    end = page_up(end);
    for (uint32_t i = 0; i < free_count;) {
        uint64_t base = free_regions[i].base;
        uint64_t limit = base + free_regions[i].length;
        if (base >= end || limit <= start) {
            i++;
            continue;
        }
        // What is left of it goes in again and no longer overlaps, so this ends.
        free_delete(i);
        free_insert(end, limit);
        free_insert(base, start < limit ? start : limit);
        i = 0;
    }
}

static uint64_t region_end(const struct boot_region *region)
{
    uint64_t end = region->base + region->length;
    return end < physical_limit ? end : physical_limit;
}

static void free_collect(const struct boot_info *info)
{
    for (uint32_t i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->type != BOOT_REGION_USABLE || region->base >= physical_limit)
            continue;
        // Out and in again: a region that is listed twice must not be free twice.
        uint64_t start = page_up(region->base);
        uint64_t end = page_down(region_end(region));
        if (start < end) {
            free_subtract(start, end);
            free_insert(start, end);
        }
    }
    for (uint32_t i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->type != BOOT_REGION_USABLE && region->base < physical_limit)
            free_subtract(region->base, region_end(region));
    }
    for (uint32_t i = 0; i < info->module_count; i++)
        free_subtract(info->modules[i].start, info->modules[i].end);
    free_subtract(0, LOW_RESERVED_END);
    free_subtract((uint64_t)kernel_image_start, kernel_to_physical(kernel_end));
}

uint64_t paging_reserve(uint64_t bytes, uint64_t alignment)
{
    KASSERT(bytes > 0 && bytes < DIRECT_MAP_LIMIT);
    KASSERT(alignment >= PAGE_SIZE && (alignment & (alignment - 1)) == 0);

    bytes = page_up(bytes);
    for (uint32_t i = free_count; i-- > 0;) {
        const struct free_region *region = &free_regions[i];
        uint64_t end = region->base + region->length;
        if (end > reserve_limit)
            end = reserve_limit;
        if (end < region->base || end - region->base < bytes)
            continue;
        uint64_t start = (end - bytes) & ~(alignment - 1);
        if (start < region->base)
            continue;
        free_subtract(start, start + bytes);
        return start;
    }
    return 0;
}

bool boot_free_regions(uint32_t *cursor, struct free_region *region)
{
    if (*cursor >= free_count)
        return false;
    *region = free_regions[(*cursor)++];
    return true;
}

// ---- Page tables ----

static uint64_t table_allocate(void)
{
    uint64_t physical = paging_reserve(PAGE_SIZE, PAGE_SIZE);

    if (physical == 0)
        panic("no memory below 4 GiB for the kernel's page tables");
    memset(physical_to_virtual(physical), 0, PAGE_SIZE);
    return physical;
}

// The entry for address at a level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB); makes the tables above it.
static uint64_t *table_entry(uint64_t address, int level)
{
    uint64_t *table = physical_to_virtual(kernel_pml4_physical);

    for (int at = 3;; at--) {
        uint64_t *entry = &table[address >> (12 + 9 * at) & (ENTRIES - 1)];
        if (at == level)
            return entry;
        if (*entry == 0)
            *entry = table_allocate() | TABLE_FLAGS;
        KASSERT(!(*entry & PTE_LARGE));
        table = physical_to_virtual(*entry & PTE_ADDRESS_MASK);
    }
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
    return start < other_end && other_start < end;
}

// Whether any of it is memory, of which the firmware's tables are a part.
static bool holds_memory(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < boot->region_count; i++) {
        const struct boot_region *region = &boot->regions[i];
        if (region->type != BOOT_REGION_RESERVED && region->type != BOOT_REGION_BAD &&
            region->base < physical_limit && overlaps(start, end, region->base, region_end(region)))
            return true;
    }
    return false;
}

// What the kernel must not write it cannot write through the direct map either.
static uint64_t direct_page_flags(uint64_t physical)
{
    if (physical >= (uint64_t)kernel_image_start &&
        physical < kernel_to_physical(kernel_rodata_end))
        return READ_ONLY_FLAGS;
    return WRITABLE_FLAGS;
}

static void direct_map_small(uint64_t start)
{
    for (uint64_t at = start; at < start + LARGE_PAGE_SIZE; at += PAGE_SIZE)
        *table_entry(DIRECT_MAP_BASE + at, 0) = at | direct_page_flags(at);
}

static void direct_map_large(uint64_t start)
{
    uint64_t image_end = kernel_to_physical(kernel_rodata_end);
    uint64_t *entry = table_entry(DIRECT_MAP_BASE + start, 1);

    if (*entry != 0) // two regions meet in one page
        return;
    if (overlaps(start, start + LARGE_PAGE_SIZE, (uint64_t)kernel_image_start, image_end))
        direct_map_small(start);
    else if (holds_memory(start, start + LARGE_PAGE_SIZE))
        *entry = start | WRITABLE_FLAGS | PTE_LARGE;
    else
        *entry = start | DEVICE_FLAGS | PTE_LARGE;
}

// One region covers it all, so that the page holds nothing that wants another caching type.
static bool usable_throughout(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < boot->region_count; i++) {
        const struct boot_region *region = &boot->regions[i];
        if (region->type == BOOT_REGION_USABLE && region->base <= start &&
            region->base < physical_limit && region_end(region) >= end)
            return true;
    }
    return false;
}

// Regions may overlap: what is mapped stays as it is. Below 4 GiB a 1 GiB page would hide devices
// and the kernel.
static void direct_map(uint64_t start, uint64_t end)
{
    uint64_t at = start & ~(LARGE_PAGE_SIZE - 1);

    while (at < end) {
        uint64_t *entry = table_entry(DIRECT_MAP_BASE + at, 2);
        if (*entry == 0 && at % GIB == 0 && at >= BOOT_MAPPED_LIMIT && cpu_features.page_1g &&
            usable_throughout(at, at + GIB))
            *entry = at | WRITABLE_FLAGS | PTE_LARGE;
        if (*entry & PTE_LARGE) {
            at = (at & ~(GIB - 1)) + GIB;
        } else {
            direct_map_large(at);
            at += LARGE_PAGE_SIZE;
        }
    }
}

// Reserved ranges above 4 GiB are device windows, which the kernel has no business with.
static bool direct_mapped_region(const struct boot_region *region)
{
    return region->base < physical_limit && region->type != BOOT_REGION_RESERVED &&
           region->type != BOOT_REGION_BAD;
}

static void direct_map_all(void)
{
    direct_map(0, BOOT_MAPPED_LIMIT);
    for (uint32_t i = 0; i < boot->region_count; i++) {
        const struct boot_region *region = &boot->regions[i];
        uint64_t start = region->base < BOOT_MAPPED_LIMIT ? BOOT_MAPPED_LIMIT : region->base;
        if (direct_mapped_region(region) && start < region_end(region))
            direct_map(start, region_end(region));
    }
}

bool paging_direct_mapped(uint64_t physical, uint64_t bytes)
{
    if (bytes > physical_limit || physical > physical_limit - bytes)
        return false;
    if (physical + bytes <= BOOT_MAPPED_LIMIT)
        return true;
    for (uint32_t i = 0; i < boot->region_count; i++) {
        const struct boot_region *region = &boot->regions[i];
        if (direct_mapped_region(region) && physical >= region->base &&
            physical + bytes <= region_end(region))
            return true;
    }
    return false;
}

static void map_image(const char *start, const char *end, uint64_t flags)
{
    for (const char *at = start; at < end; at += PAGE_SIZE) {
        if (at != cpu_stack_guard)
            *table_entry((uint64_t)at, 0) = kernel_to_physical(at) | flags;
    }
}

// Not global: address spaces with I/O rights have other pages here.
static void map_tss_window(void)
{
    *table_entry(TSS_WINDOW, 0) = tss_page_physical | (WRITABLE_FLAGS & ~(uint64_t)PTE_GLOBAL);
    for (uint64_t page = 1; page <= TSS_BITMAP_PAGES; page++)
        *table_entry(TSS_WINDOW + page * PAGE_SIZE, 0) =
            tss_denied_page_physical | (READ_ONLY_FLAGS & ~(uint64_t)PTE_GLOBAL);
}

// ---- Control registers ----

// All bits are set anew: firmware and loaders leave different ones.
static void enable_cpu_features(void)
{
    const struct cpu_features *f = &cpu_features;
    uint64_t cr4 =
        CR4_PHYSICAL_EXTENSION | CR4_MACHINE_CHECK | CR4_PAGE_GLOBAL | CR4_OSFXSR | CR4_OSXMMEXCPT;

    write_cr0(CR0_PROTECTED | CR0_MONITOR_COPROCESSOR | CR0_EXTENSION_TYPE | CR0_NUMERIC_ERROR |
              CR0_WRITE_PROTECT | CR0_PAGING);
    wrmsr(MSR_PAT, PAT_RESET);
    cr4 |= f->smep ? CR4_SMEP : 0;
    cr4 |= f->smap ? CR4_SMAP : 0;
    cr4 |= f->umip ? CR4_UMIP : 0;
    cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->pcid ? CR4_PCIDE : 0; // the low bits of CR3 are 0, as this wants
    cr4 |= f->xsave ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    if (f->xsave)
        xsetbv(0, f->xcr0);
}

void paging_init(const struct boot_info *info)
{
    boot = info;
    if (cpu_features.physical_bits < 64 && 1ul << cpu_features.physical_bits < physical_limit)
        physical_limit = 1ul << cpu_features.physical_bits;
    free_collect(info);

    kernel_pml4_physical = table_allocate();
    direct_map_all();
    map_image(kernel_text_start, kernel_text_end, TEXT_FLAGS);
    map_image(kernel_text_end, kernel_rodata_end, READ_ONLY_FLAGS);
    map_image(kernel_rodata_end, kernel_end, WRITABLE_FLAGS);
    map_tss_window();

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NO_EXECUTE | EFER_SYSCALL);
    write_cr3(kernel_pml4_physical);
    enable_cpu_features();
    reserve_limit = physical_limit;
}
