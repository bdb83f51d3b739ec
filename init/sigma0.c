// SPDX-License-Identifier: BSD-2-Clause
// Allocation and return of memory. Every page given out is derived from init's
// root mapping of it, so unmapping what is derived from that one takes it back
// from the child and from all whom the child passed it on to.
#include "sigma0.h"

#include "lib/call.h"

#include <corvus/stubs.h>

#include <stdio.h>
#include <string.h>

#define OWN_REGIONS_MAX   512
#define MEMORY_RANGES_MAX (BOOT_RANGES_MAX + BOOT_MODULES_MAX)

static struct page_allocator allocator;
static struct region own_regions[OWN_REGIONS_MAX];

struct memory_account sigma0_own = {
    .task = NAME_TASK_SELF,
    .owner = PAGE_OWNER_INIT,
    .limit = UINT64_MAX,
    .regions = {.array = own_regions, .room = OWN_REGIONS_MAX, .fixed = true},
};

static void *at_physical(uint64_t address)
{
    return (void *)(uintptr_t)address; // one to one
}

static uint64_t pages_of(uint64_t bytes)
{
    return bytes / PAGE_BYTES;
}

// --- Taking back -----------------------------------------------------------

// Frees pages that nobody can reach any more. If the kernel cannot take them
// from their holders they must never be given to another.
static void release(uint64_t physical, uint64_t bytes)
{
    corvus_error_t error =
        memory_unmap(NAME_TASK_SELF, physical, bytes, ACCESS_ALL, NULL, NULL, NULL);
    page_set_owner(&allocator, physical, pages_of(bytes), error == ERR_OK ? PAGE_FREE : PAGE_LOST);
    if (error != ERR_OK)
        printf("init: memory at 0x%llx is lost: error %d\n", (unsigned long long)physical, error);
}

static corvus_error_t map(struct memory_account *account, const struct region *region)
{
    if (region->access == 0)
        return ERR_OK;
    return memory_map(account->task, region->physical, region->address, region->bytes,
                      region->access, NULL);
}

// The part of a region that lies in a chunk of physical memory.
static struct region part_in_chunk(const struct region *region, uint64_t chunk)
{
    uint64_t start = region->physical > chunk ? region->physical : chunk;
    uint64_t end = region->physical + region->bytes;
    if (end > chunk + LARGE_PAGE_BYTES)
        end = chunk + LARGE_PAGE_BYTES;
    return (struct region){
        .address = region->address + (start - region->physical),
        .physical = start,
        .bytes = end > start ? end - start : 0,
        .access = region->access,
    };
}

// Maps a part of a chunk by small pages: the first alone, which makes the
// kernel split the chunk, then the rest.
static corvus_error_t map_divided(struct memory_account *account, struct region part)
{
    struct region first = part;
    first.bytes = PAGE_BYTES;
    corvus_error_t error = map(account, &first);
    part.address += PAGE_BYTES;
    part.physical += PAGE_BYTES;
    part.bytes -= PAGE_BYTES;
    return error != ERR_OK || part.bytes == 0 ? error : map(account, &part);
}

// Turns a 2 MiB page that an account has into 512 small ones. A thread of its
// task that touches it in between faults, and the pager lets it go on.
static corvus_error_t divide(struct memory_account *account, uint64_t chunk)
{
    corvus_error_t error =
        memory_unmap(NAME_TASK_SELF, chunk, LARGE_PAGE_BYTES, ACCESS_ALL, NULL, NULL, NULL);
    page_divide(&allocator, chunk);
    for (size_t i = 0; error == ERR_OK && i < account->regions.count; i++) {
        struct region part = part_in_chunk(&account->regions.array[i], chunk);
        if (part.bytes != 0)
            error = map_divided(account, part);
    }
    return error;
}

// Before pages on one side of an address are treated apart from those on the
// other: no 2 MiB page may lie across it.
static corvus_error_t divide_at(struct memory_account *account, uint64_t address)
{
    const struct region *region = regions_find(&account->regions, address);
    if (region == NULL)
        return ERR_OK;
    uint64_t physical = region->physical + (address - region->address);
    uint64_t chunk = physical & ~(LARGE_PAGE_BYTES - 1);
    if (physical == chunk || !page_is_large(&allocator, chunk))
        return ERR_OK;
    return divide(account, chunk);
}

static corvus_error_t check_range(uint64_t address, uint64_t bytes)
{
    bool aligned = (address | bytes) % PAGE_BYTES == 0;
    bool inside = bytes != 0 && address < USER_MAP_END && bytes <= USER_MAP_END - address;
    return aligned && inside ? ERR_OK : ERR_INVALID_RANGE;
}

// Checks a range of an account's memory and makes its edges edges of pages.
static corvus_error_t isolate(struct memory_account *account, uint64_t address, uint64_t bytes)
{
    corvus_error_t error = check_range(address, bytes);
    if (error != ERR_OK)
        return error;
    if (!regions_cover(&account->regions, address, bytes))
        return ERR_INVALID_RANGE;
    error = divide_at(account, address);
    return error != ERR_OK ? error : divide_at(account, address + bytes);
}

corvus_error_t sigma0_free(struct memory_account *account, uint64_t address, uint64_t bytes)
{
    if (!regions_reserve(&account->regions, 1))
        return ERR_NO_MEMORY;
    corvus_error_t error = isolate(account, address, bytes);
    if (error != ERR_OK)
        return error;
    for (;;) {
        struct region piece = regions_cut(&account->regions, address, bytes);
        if (piece.bytes == 0)
            return ERR_OK;
        release(piece.physical, piece.bytes);
        account->used -= piece.bytes;
    }
}

void sigma0_reclaim(struct memory_account *account)
{
    uint64_t cursor = 0, physical, pages;
    while ((pages = page_next_run(&allocator, account->owner, &cursor, &physical)) != 0)
        release(physical, pages * PAGE_BYTES);
    regions_clear(&account->regions);
    account->used = 0;
}

// --- Giving ------------------------------------------------------------------

// Takes memory for the front of a range: a 2 MiB page where one fits, or else as
// many adjacent small ones as there are. Returns their bytes, 0 for none.
static uint64_t take(uint32_t owner, uint64_t address, uint64_t bytes, uint64_t *physical)
{
    if (address % LARGE_PAGE_BYTES == 0 && bytes >= LARGE_PAGE_BYTES) {
        *physical = page_allocate_large(&allocator, owner, 1, UINT64_MAX);
        if (*physical != PAGE_NONE)
            return LARGE_PAGE_BYTES;
    }
    uint64_t to_edge = LARGE_PAGE_BYTES - address % LARGE_PAGE_BYTES;
    uint32_t pages = (uint32_t)pages_of(bytes < to_edge ? bytes : to_edge);
    for (; pages > 0; pages /= 2) {
        *physical = page_allocate_small(&allocator, owner, pages, UINT64_MAX);
        if (*physical != PAGE_NONE)
            return pages * PAGE_BYTES;
    }
    return 0;
}

static corvus_error_t check_request(const struct memory_account *account, uint64_t address,
                                    uint64_t bytes, uint64_t access)
{
    corvus_error_t error = check_range(address, bytes);
    if (error != ERR_OK)
        return error;
    if (bytes > MEMORY_REQUEST_MAX || (access & ~(uint64_t)ACCESS_ALL) != 0 ||
        !(access & ACCESS_READ))
        return ERR_INVALID_ARGUMENT;
    if (regions_touch(&account->regions, address, bytes))
        return ERR_IN_USE;
    if (bytes > account->limit - account->used || bytes > allocator.free_pages * PAGE_BYTES)
        return ERR_NO_MEMORY;
    return ERR_OK;
}

// Zeroes and maps pages that the allocator has marked as the account's.
static corvus_error_t give(struct memory_account *account, struct region region)
{
    if (!regions_reserve(&account->regions, 1)) {
        page_set_owner(&allocator, region.physical, pages_of(region.bytes), PAGE_FREE);
        return ERR_NO_MEMORY;
    }
    memset(at_physical(region.physical), 0, region.bytes);
    corvus_error_t error = map(account, &region);
    if (error != ERR_OK) {
        release(region.physical, region.bytes);
        return error;
    }
    regions_add(&account->regions, region);
    account->used += region.bytes;
    if (account->used > account->peak)
        account->peak = account->used;
    return ERR_OK;
}

corvus_error_t sigma0_allocate(struct memory_account *account, uint64_t address, uint64_t bytes,
                               uint64_t access)
{
    corvus_error_t error = check_request(account, address, bytes, access);
    for (uint64_t done = 0; error == ERR_OK && done < bytes;) {
        struct region region = {.address = address + done, .access = (uint32_t)access};
        region.bytes = take(account->owner, region.address, bytes - done, &region.physical);
        error = region.bytes == 0 ? ERR_NO_MEMORY : give(account, region);
        if (error == ERR_OK)
            done += region.bytes;
        else if (done != 0)
            (void)sigma0_free(account, address, done);
    }
    return error;
}

corvus_error_t sigma0_allocate_contiguous(struct memory_account *account, uint64_t address,
                                          uint64_t bytes, uint64_t access, uint64_t limit,
                                          uint64_t *physical)
{
    corvus_error_t error = check_request(account, address, bytes, access);
    if (error != ERR_OK)
        return error;
    struct region region = {.address = address, .bytes = bytes, .access = (uint32_t)access};
    if (bytes <= LARGE_PAGE_BYTES / 2)
        region.physical =
            page_allocate_small(&allocator, account->owner, (uint32_t)pages_of(bytes), limit);
    else if (bytes % LARGE_PAGE_BYTES == 0)
        region.physical = page_allocate_large(&allocator, account->owner,
                                              (uint32_t)(bytes / LARGE_PAGE_BYTES), limit);
    else
        return ERR_INVALID_ARGUMENT;
    if (region.physical == PAGE_NONE)
        return ERR_NO_MEMORY;
    *physical = region.physical;
    return give(account, region);
}

// --- Changing ------------------------------------------------------------------

static corvus_error_t change_access(struct memory_account *account, struct region *region)
{
    if (region->access == 0)
        return memory_unmap(NAME_TASK_SELF, region->physical, region->bytes, ACCESS_ALL, NULL, NULL,
                            NULL);
    return map(account, region); // replaces what was mapped
}

corvus_error_t sigma0_protect(struct memory_account *account, uint64_t address, uint64_t bytes,
                              uint64_t access)
{
    if ((access & ~(uint64_t)ACCESS_ALL) != 0 || (access != 0 && !(access & ACCESS_READ)))
        return ERR_INVALID_ARGUMENT;
    corvus_error_t error = isolate(account, address, bytes);
    for (uint64_t end = address + bytes; error == ERR_OK && address < end;) {
        if (!regions_reserve(&account->regions, 2))
            return ERR_NO_MEMORY;
        struct region piece = regions_cut(&account->regions, address, end - address);
        uint32_t old = piece.access;
        piece.access = (uint32_t)access;
        error = change_access(account, &piece);
        if (error != ERR_OK)
            piece.access = old;
        regions_add(&account->regions, piece);
        address = piece.address + piece.bytes;
    }
    return error;
}

bool sigma0_read(struct memory_account *account, uint64_t address, void *bytes, size_t count)
{
    char *to = bytes;
    if (!regions_cover(&account->regions, address, count))
        return false;
    while (count > 0) {
        const struct region *region = regions_find(&account->regions, address);
        uint64_t offset = address - region->address;
        size_t part = count < region->bytes - offset ? count : region->bytes - offset;
        memcpy(to, at_physical(region->physical + offset), part);
        address += part;
        to += part;
        count -= part;
    }
    return true;
}

bool sigma0_write(struct memory_account *account, uint64_t address, const void *bytes, size_t count)
{
    const char *from = bytes;
    if (!regions_cover(&account->regions, address, count))
        return false;
    while (count > 0) {
        const struct region *region = regions_find(&account->regions, address);
        uint64_t offset = address - region->address;
        size_t part = count < region->bytes - offset ? count : region->bytes - offset;
        memcpy(at_physical(region->physical + offset), from, part);
        address += part;
        from += part;
        count -= part;
    }
    return true;
}

// --- Beginning -------------------------------------------------------------------

static struct page_range page_range_of(const struct boot_module *module)
{
    uint64_t base = module->base & ~(PAGE_BYTES - 1);
    uint64_t end = (module->base + module->length + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    return (struct page_range){.base = base, .length = end - base};
}

// Whole pages of the boot ranges, without page 0: its address is no pointer.
static uint32_t collect_ranges(const struct boot_information *boot, struct page_range *ranges)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < boot->range_count && i < BOOT_RANGES_MAX; i++) {
        uint64_t base = boot->ranges[i].base, length = boot->ranges[i].length;
        if (base == 0 && length >= PAGE_BYTES) {
            base += PAGE_BYTES;
            length -= PAGE_BYTES;
        }
        if ((base | length) % PAGE_BYTES == 0 && length != 0)
            ranges[count++] = (struct page_range){.base = base, .length = length};
    }
    return count;
}

// The smallest range with room for the bookkeeping: the large ones keep their
// 2 MiB pages.
static const struct page_range *place_tables(const struct page_range *ranges, uint32_t count,
                                             uint64_t bytes)
{
    const struct page_range *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].length >= bytes && (best == NULL || ranges[i].length < best->length))
            best = &ranges[i];
    }
    return best;
}

corvus_error_t sigma0_initialize(const struct boot_information *boot)
{
    struct page_range ranges[MEMORY_RANGES_MAX];
    uint32_t usable = collect_ranges(boot, ranges), count = usable;
    for (uint32_t i = 0; i < boot->module_count && i < BOOT_MODULES_MAX; i++)
        ranges[count++] = page_range_of(&boot->modules[i]);
    if (usable == 0)
        return ERR_NO_MEMORY;
    uint64_t bytes = page_allocator_bytes(ranges, count);
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    const struct page_range *place = place_tables(ranges, usable, bytes);
    if (place == NULL)
        return ERR_NO_MEMORY;
    memset(at_physical(place->base), 0, bytes);
    if (!page_allocator_initialize(&allocator, ranges, count, at_physical(place->base)))
        return ERR_TOO_LARGE;
    page_set_owner(&allocator, place->base, pages_of(bytes), PAGE_OWNER_INIT);
    page_divide(&allocator, place->base);
    for (uint32_t i = usable; i < count; i++)
        page_set_owner(&allocator, ranges[i].base, pages_of(ranges[i].length), PAGE_OWNER_INIT);
    return ERR_OK;
}

void sigma0_release_module(const struct boot_module *module)
{
    struct page_range range = page_range_of(module);
    release(range.base, range.length);
}

struct memory_statistics sigma0_statistics(void)
{
    return (struct memory_statistics){
        .total = allocator.pages * PAGE_BYTES,
        .free = allocator.free_pages * PAGE_BYTES,
        .lost = page_count_owned(&allocator, PAGE_LOST) * PAGE_BYTES,
    };
}
