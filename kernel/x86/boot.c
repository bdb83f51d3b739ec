// SPDX-License-Identifier: BSD-2-Clause
// Reads what a Multiboot 1 or 2 loader left, checks and copies it, and starts
// the parts of the machine layer in order. The loader's structures are outside
// data: each length is bounded, and what does not check out stops the boot with
// one line, since a kernel that guesses about memory is worse than none.
#include "x86/boot.h"

#include <stdbool.h>
#include <stddef.h>

#include "secrets.h"
#include "x86/acpi.h"
#include "x86/apic.h"
#include "x86/clock.h"
#include "x86/descriptor.h"
#include "x86/features.h"
#include "x86/memory.h"
#include "x86/paging.h"
#include "x86/panic.h"
#include "x86/print.h"
#include "x86/uart.h"

// boot.S maps this much; 32-bit loaders put everything below it.
#define BOOT_MAPPED_LIMIT 0x100000000ul

// Multiboot Specification 0.6.96, section 3.3.
enum {
    MULTIBOOT1_HAS_MEMORY = 1 << 0,
    MULTIBOOT1_HAS_COMMAND = 1 << 2,
    MULTIBOOT1_HAS_MODULES = 1 << 3,
    MULTIBOOT1_HAS_MAP = 1 << 6,
};

struct multiboot1_info {
    uint32_t flags;
    uint32_t memory_lower_kib;
    uint32_t memory_upper_kib; // from 1 MiB on
    uint32_t boot_device;
    uint32_t command;
    uint32_t module_count;
    uint32_t modules;
    uint32_t symbols[4];
    uint32_t map_length;
    uint32_t map;
};

struct multiboot1_module {
    uint32_t start;
    uint32_t end;
    uint32_t command;
    uint32_t reserved;
};

struct multiboot1_map_entry {
    uint32_t size; // of what follows
    uint64_t base;
    uint64_t length;
    uint32_t type;
} __attribute__((packed));

// Multiboot 2 Specification 2.0, section 3.6.
enum multiboot2_tag_type {
    MULTIBOOT2_END = 0,
    MULTIBOOT2_COMMAND = 1,
    MULTIBOOT2_MODULE = 3,
    MULTIBOOT2_MAP = 6,
    MULTIBOOT2_ACPI_OLD = 14,
    MULTIBOOT2_ACPI_NEW = 15,
};

struct multiboot2_info {
    uint32_t total_size;
    uint32_t reserved;
};

struct multiboot2_tag {
    uint32_t type;
    uint32_t size; // of the whole tag; the next one is at the next multiple of 8
};

struct multiboot2_module {
    struct multiboot2_tag tag;
    uint32_t start;
    uint32_t end;
    char command[];
};

struct multiboot2_map {
    struct multiboot2_tag tag;
    uint32_t entry_size;
    uint32_t entry_version;
};

struct multiboot2_map_entry {
    uint64_t base;
    uint64_t length;
    uint32_t type;
    uint32_t reserved;
};

// The conventional places of the RSDP, ACPI 6.4 section 5.2.5.1.
enum {
    EBDA_SEGMENT_POINTER = 0x40e,
    EBDA_SEARCH_BYTES = 1024,
    BIOS_SEARCH_START = 0xe0000,
    BIOS_SEARCH_END = 0x100000,
    RSDP_ALIGNMENT = 16,
    RSDP_SIZE_V1 = 20,
    RSDP_REVISION_OFFSET = 15,
};

static struct boot_info boot_info;

// The loader's word cannot be used.
static _Noreturn void refuse(const char *reason)
{
    panic_configure(boot_info.command);
    kprintf("corvus: cannot boot: %s\n", reason);
    panic_stop();
}

// The bytes at a physical address the loader gave.
static const void *loader_data(uint64_t physical, uint64_t bytes)
{
    if (physical >= BOOT_MAPPED_LIMIT || bytes > BOOT_MAPPED_LIMIT - physical)
        refuse("a structure of the boot loader is above 4 GiB");
    return physical_to_virtual(physical);
}

// from has at most limit bytes, and need not end in zero within them.
static void copy_command(char *to, size_t size, const char *from, uint64_t limit)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = i < limit ? from[i] : 0;
        if (to[i] == 0)
            return;
    }
    refuse(size == BOOT_COMMAND_MAX ? "the kernel's command line is too long"
                                    : "a module's command line is too long");
}

static void copy_physical_command(char *to, size_t size, uint64_t physical)
{
    uint64_t limit = BOOT_MAPPED_LIMIT - physical;
    copy_command(to, size, loader_data(physical, 1), limit);
}

static void add_region(uint64_t base, uint64_t length, uint32_t type)
{
    struct boot_region *last = &boot_info.regions[boot_info.region_count];

    if (length == 0)
        return;
    if (length > UINT64_MAX - base)
        length = UINT64_MAX - base;
    if (type < BOOT_REGION_USABLE || type > BOOT_REGION_BAD)
        type = BOOT_REGION_RESERVED;
    // Loaders under UEFI split one range in many.
    if (boot_info.region_count > 0 && last[-1].type == type &&
        last[-1].base + last[-1].length == base) {
        last[-1].length += length;
        return;
    }
    if (boot_info.region_count == BOOT_REGION_MAX)
        refuse("the memory map has too many regions");
    *last = (struct boot_region){.base = base, .length = length, .type = type};
    boot_info.region_count++;
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
    return start < other_end && other_start < end;
}

// The caller fills in the command line.
static struct loader_module *add_module(uint64_t start, uint64_t end)
{
    if (boot_info.module_count == BOOT_MODULE_MAX)
        refuse("there are too many modules");
    if (start >= end || end > BOOT_MAPPED_LIMIT)
        refuse("a module is empty, truncated, or above 4 GiB");
    if (overlaps(start, end, (uint64_t)kernel_image_start, kernel_to_physical(kernel_end)))
        refuse("a module overlaps the kernel");
    for (uint32_t i = 0; i < boot_info.module_count; i++) {
        const struct loader_module *other = &boot_info.modules[i];
        if (overlaps(start, end, other->start, other->end))
            refuse("two modules overlap");
    }

    struct loader_module *module = &boot_info.modules[boot_info.module_count++];
    module->start = start;
    module->end = end;
    return module;
}

static void parse_map1(const struct multiboot1_info *info)
{
    const char *map = loader_data(info->map, info->map_length);
    uint64_t offset = 0;

    while (offset + sizeof(struct multiboot1_map_entry) <= info->map_length) {
        const struct multiboot1_map_entry *entry = (const void *)(map + offset);
        if (entry->size < sizeof *entry - sizeof entry->size)
            refuse("an entry of the memory map is truncated");
        add_region(entry->base, entry->length, entry->type);
        offset += (uint64_t)entry->size + sizeof entry->size;
    }
}

static void parse_modules1(const struct multiboot1_info *info)
{
    if (info->module_count > BOOT_MODULE_MAX)
        refuse("there are too many modules");

    const struct multiboot1_module *modules =
        loader_data(info->modules, info->module_count * sizeof *modules);
    for (uint32_t i = 0; i < info->module_count; i++) {
        struct loader_module *module = add_module(modules[i].start, modules[i].end);
        if (modules[i].command)
            copy_physical_command(module->command, sizeof module->command, modules[i].command);
    }
}

static void parse_multiboot1(uint64_t info_physical)
{
    const struct multiboot1_info *info = loader_data(info_physical, sizeof *info);

    if (info->flags & MULTIBOOT1_HAS_COMMAND)
        copy_physical_command(boot_info.command, sizeof boot_info.command, info->command);
    if (info->flags & MULTIBOOT1_HAS_MAP) {
        parse_map1(info);
    } else if (info->flags & MULTIBOOT1_HAS_MEMORY) {
        add_region(0, (uint64_t)info->memory_lower_kib * 1024, BOOT_REGION_USABLE);
        add_region(0x100000, (uint64_t)info->memory_upper_kib * 1024, BOOT_REGION_USABLE);
    }
    if (info->flags & MULTIBOOT1_HAS_MODULES)
        parse_modules1(info);
}

static void parse_map2(const struct multiboot2_map *map)
{
    if (map->tag.size < sizeof *map || map->entry_size < sizeof(struct multiboot2_map_entry))
        refuse("the memory map is truncated");

    const char *entries = (const char *)(map + 1);
    uint32_t count = (uint32_t)(map->tag.size - sizeof *map) / map->entry_size;
    for (uint32_t i = 0; i < count; i++) {
        const struct multiboot2_map_entry *entry =
            (const void *)(entries + (uint64_t)i * map->entry_size);
        add_region(entry->base, entry->length, entry->type);
    }
}

static void parse_module2(const struct multiboot2_module *tag)
{
    if (tag->tag.size < sizeof *tag)
        refuse("a module's tag is truncated");

    struct loader_module *module = add_module(tag->start, tag->end);
    copy_command(module->command, sizeof module->command, tag->command,
                 tag->tag.size - sizeof *tag);
}

static void copy_rsdp(const void *rsdp, uint64_t bytes)
{
    boot_info.rsdp_length = bytes < BOOT_RSDP_SIZE ? RSDP_SIZE_V1 : BOOT_RSDP_SIZE;
    memcpy(boot_info.rsdp, rsdp, boot_info.rsdp_length);
}

static void parse_tag2(const struct multiboot2_tag *tag)
{
    uint64_t bytes = tag->size - sizeof *tag;

    switch (tag->type) {
    case MULTIBOOT2_COMMAND:
        copy_command(boot_info.command, sizeof boot_info.command, (const char *)(tag + 1), bytes);
        break;
    case MULTIBOOT2_MODULE:
        parse_module2((const void *)tag);
        break;
    case MULTIBOOT2_MAP:
        parse_map2((const void *)tag);
        break;
    case MULTIBOOT2_ACPI_OLD: // a loader may send both; the new one has the XSDT
        if (bytes >= RSDP_SIZE_V1 && boot_info.rsdp_length == 0)
            copy_rsdp(tag + 1, RSDP_SIZE_V1);
        break;
    case MULTIBOOT2_ACPI_NEW:
        if (bytes >= BOOT_RSDP_SIZE)
            copy_rsdp(tag + 1, BOOT_RSDP_SIZE);
        break;
    default:
        break;
    }
}

static void parse_multiboot2(uint64_t info_physical)
{
    const struct multiboot2_info *info = loader_data(info_physical, sizeof *info);
    uint64_t size = info->total_size;
    const char *start = loader_data(info_physical, size);
    uint64_t offset = sizeof *info;

    while (offset + sizeof(struct multiboot2_tag) <= size) {
        const struct multiboot2_tag *tag = (const void *)(start + offset);
        if (tag->type == MULTIBOOT2_END)
            return;
        if (tag->size < sizeof *tag || tag->size > size - offset)
            break;
        parse_tag2(tag);
        offset += ((uint64_t)tag->size + 7) & ~7ul;
    }
    refuse("the boot loader's information is truncated");
}

static bool search_rsdp(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at + BOOT_RSDP_SIZE <= end; at += RSDP_ALIGNMENT) {
        const uint8_t *rsdp = physical_to_virtual(at);
        uint8_t sum = 0;
        if (memcmp(rsdp, "RSD PTR ", 8) != 0)
            continue;
        for (int i = 0; i < RSDP_SIZE_V1; i++)
            sum += rsdp[i];
        if (sum != 0)
            continue;
        copy_rsdp(rsdp, rsdp[RSDP_REVISION_OFFSET] == 0 ? RSDP_SIZE_V1 : BOOT_RSDP_SIZE);
        return true;
    }
    return false;
}

// Multiboot 1 says nothing of ACPI, but is only used on BIOS machines, which have these places.
static void find_rsdp(void)
{
    uint64_t ebda = (uint64_t) * (const uint16_t *)physical_to_virtual(EBDA_SEGMENT_POINTER) << 4;

    if (ebda >= 0x80000 && ebda < 0xa0000 && search_rsdp(ebda, ebda + EBDA_SEARCH_BYTES))
        return;
    search_rsdp(BIOS_SEARCH_START, BIOS_SEARCH_END);
}

static void parse_loader(uint32_t magic, uint64_t info_physical)
{
    switch (magic) {
    case MULTIBOOT1_LOADER_MAGIC:
        parse_multiboot1(info_physical);
        find_rsdp();
        break;
    case MULTIBOOT2_LOADER_MAGIC:
        parse_multiboot2(info_physical);
        break;
    default:
        refuse("the boot loader speaks neither Multiboot 1 nor 2");
    }
}

static void print_boot_info(void)
{
    static const char *const type_names[] = {"", "usable", "reserved", "ACPI", "ACPI NVS", "bad"};
    static char shown[BOOT_COMMAND_MAX];

    for (uint32_t i = 0; i < boot_info.region_count; i++) {
        const struct boot_region *region = &boot_info.regions[i];
        kprintf("boot: memory %012lx + %012lx %s\n", region->base, region->length,
                type_names[region->type]);
    }
    for (uint32_t i = 0; i < boot_info.module_count; i++) {
        const struct loader_module *module = &boot_info.modules[i];
        kprintf("boot: module %08lx - %08lx '%s'\n", module->start, module->end, module->command);
    }
    memcpy(shown, boot_info.command, sizeof shown);
    secrets_hide(shown);
    kprintf("boot: command line '%s'\n", shown);
}

void kernel_boot(uint32_t magic, uint64_t info_physical)
{
    uart_init();
    kprintf("\ncorvus: booting\n");

    parse_loader(magic, info_physical);
    panic_configure(boot_info.command);
    print_boot_info();
    if (boot_info.region_count == 0)
        refuse("the boot loader gave no memory map");

    const char *missing = features_detect();
    if (missing) {
        kprintf("corvus: cannot boot: this CPU lacks %s\n", missing);
        panic_stop();
    }
    paging_init(&boot_info);
    features_print();
    descriptor_init();
    acpi_init(&boot_info);
    apic_init();
    clock_init();
    kernel_main(&boot_info);
}
