// SPDX-License-Identifier: BSD-2-Clause
// Two bytes for each page (its owner) and four for each chunk (how many pages
// are free, whether it has been divided). Invariant: a chunk's `free` is the
// number of its pages whose owner is PAGE_FREE.
#include "page_allocator.h"

#include <stddef.h>
#include <string.h>

static uint64_t chunk_floor(uint64_t page)
{
    return page & ~(PAGES_PER_CHUNK - 1);
}

static uint64_t chunk_ceiling(uint64_t page)
{
    return chunk_floor(page + PAGES_PER_CHUNK - 1);
}

// --- Pages and their place in the tables -----------------------------------

static const struct page_area *area_of(const struct page_allocator *allocator, uint64_t page)
{
    for (uint32_t i = 0; i < allocator->area_count; i++) {
        const struct page_area *area = &allocator->areas[i];
        if (page >= area->first && page < area->last)
            return area;
    }
    return NULL;
}

// Index of a page in `owners`, PAGE_NONE when it is in no area.
static uint64_t index_of(const struct page_allocator *allocator, uint64_t page)
{
    const struct page_area *area = area_of(allocator, page);
    return area == NULL ? PAGE_NONE : area->index + (page - area->first);
}

static uint64_t address_of(const struct page_allocator *allocator, uint64_t index)
{
    for (uint32_t i = 0; i < allocator->area_count; i++) {
        const struct page_area *area = &allocator->areas[i];
        if (index >= area->index && index - area->index < area->last - area->first)
            return (area->first + index - area->index) * PAGE_BYTES;
    }
    return PAGE_NONE;
}

static uint32_t owner_at(const struct page_allocator *allocator, uint64_t page)
{
    uint64_t index = index_of(allocator, page);
    return index == PAGE_NONE ? PAGE_ABSENT : allocator->owners[index];
}

static void set_owner(struct page_allocator *allocator, uint64_t index, uint32_t owner)
{
    struct page_chunk *chunk = &allocator->chunks[index / PAGES_PER_CHUNK];
    if (allocator->owners[index] == PAGE_FREE) {
        chunk->free--;
        allocator->free_pages--;
    }
    if (owner == PAGE_FREE) {
        chunk->free++;
        allocator->free_pages++;
    }
    allocator->owners[index] = (uint16_t)owner;
}

static void set_owners(struct page_allocator *allocator, uint64_t index, uint64_t pages,
                       uint32_t owner)
{
    for (uint64_t i = 0; i < pages; i++)
        set_owner(allocator, index + i, owner);
}

// --- Building the tables -----------------------------------------------------

// Collects the chunks that the ranges touch into areas; ranges that share or
// adjoin a chunk share an area. Returns the number of areas, 0 for too many.
static uint32_t collect_areas(const struct page_range *ranges, uint32_t count,
                              struct page_area *areas)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct page_area area = {
            .first = chunk_floor(ranges[i].base / PAGE_BYTES),
            .last = chunk_ceiling((ranges[i].base + ranges[i].length) / PAGE_BYTES),
        };
        for (uint32_t j = 0; j < used;) {
            if (areas[j].last < area.first || areas[j].first > area.last) {
                j++;
                continue;
            }
            if (areas[j].first < area.first)
                area.first = areas[j].first;
            if (areas[j].last > area.last)
                area.last = areas[j].last;
            areas[j] = areas[--used]; // merged; it may now touch one passed over before
            j = 0;
        }
        if (used == PAGE_AREAS_MAX)
            return 0;
        areas[used++] = area;
    }
    return used;
}

static uint64_t table_pages(struct page_area *areas, uint32_t count)
{
    uint64_t index = 0;
    for (uint32_t i = 0; i < count; i++) {
        areas[i].index = index;
        index += areas[i].last - areas[i].first;
    }
    return index;
}

static uint64_t bytes_for(uint64_t pages)
{
    return pages * sizeof(uint16_t) + pages / PAGES_PER_CHUNK * sizeof(struct page_chunk);
}

uint64_t page_allocator_bytes(const struct page_range *ranges, uint32_t count)
{
    struct page_area areas[PAGE_AREAS_MAX];
    return bytes_for(table_pages(areas, collect_areas(ranges, count, areas)));
}

// The kernel maps as one large page only what is a whole chunk of one range.
static void mark_whole(struct page_allocator *allocator, const struct page_range *range)
{
    uint64_t end = chunk_floor((range->base + range->length) / PAGE_BYTES);
    for (uint64_t page = chunk_ceiling(range->base / PAGE_BYTES); page < end;
         page += PAGES_PER_CHUNK)
        allocator->chunks[index_of(allocator, page) / PAGES_PER_CHUNK].divided = false;
}

bool page_allocator_initialize(struct page_allocator *allocator, const struct page_range *ranges,
                               uint32_t count, void *memory)
{
    memset(allocator, 0, sizeof *allocator);
    allocator->area_count = collect_areas(ranges, count, allocator->areas);
    if (allocator->area_count == 0)
        return false;
    uint64_t pages = table_pages(allocator->areas, allocator->area_count);
    allocator->owners = memory;
    allocator->chunks = (struct page_chunk *)(allocator->owners + pages);
    for (uint64_t i = 0; i < pages; i++)
        allocator->owners[i] = PAGE_ABSENT;
    for (uint64_t i = 0; i < pages / PAGES_PER_CHUNK; i++)
        allocator->chunks[i].divided = true;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t index = index_of(allocator, ranges[i].base / PAGE_BYTES);
        set_owners(allocator, index, ranges[i].length / PAGE_BYTES, PAGE_FREE);
        mark_whole(allocator, &ranges[i]);
    }
    allocator->pages = allocator->free_pages;
    return true;
}

// --- Allocation ----------------------------------------------------------------

static uint64_t chunk_count(const struct page_allocator *allocator)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < allocator->area_count; i++)
        pages += allocator->areas[i].last - allocator->areas[i].first;
    return pages / PAGES_PER_CHUNK;
}

static bool below(uint64_t address, uint64_t bytes, uint64_t limit)
{
    return address <= limit && bytes <= limit - address;
}

// First run of free pages in a chunk, as an index into `owners`, or PAGE_NONE.
static uint64_t find_run(const struct page_allocator *allocator, uint64_t chunk, uint32_t pages)
{
    uint64_t start = chunk * PAGES_PER_CHUNK;
    uint32_t run = 0;
    if (allocator->chunks[chunk].free < pages)
        return PAGE_NONE;
    for (uint32_t i = 0; i < PAGES_PER_CHUNK; i++) {
        run = allocator->owners[start + i] == PAGE_FREE ? run + 1 : 0;
        if (run == pages)
            return start + i + 1 - pages;
    }
    return PAGE_NONE;
}

// Looks through all chunks that are divided, or through all that are not.
static uint64_t find_small(struct page_allocator *allocator, uint32_t pages, uint64_t limit,
                           bool divided)
{
    uint64_t count = chunk_count(allocator);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t chunk = (allocator->small_hint + i) % count;
        if (allocator->chunks[chunk].divided != divided)
            continue;
        uint64_t index = find_run(allocator, chunk, pages);
        if (index != PAGE_NONE && below(address_of(allocator, index), pages * PAGE_BYTES, limit)) {
            allocator->small_hint = chunk;
            return index;
        }
    }
    return PAGE_NONE;
}

uint64_t page_allocate_small(struct page_allocator *allocator, uint32_t owner, uint32_t pages,
                             uint64_t limit)
{
    if (pages == 0 || pages > PAGES_PER_CHUNK)
        return PAGE_NONE;
    uint64_t index = find_small(allocator, pages, limit, true);
    if (index == PAGE_NONE)
        index = find_small(allocator, pages, limit, false);
    if (index == PAGE_NONE)
        return PAGE_NONE;
    allocator->chunks[index / PAGES_PER_CHUNK].divided = true;
    set_owners(allocator, index, pages, owner);
    return address_of(allocator, index);
}

// A run of wholly free chunks inside one area. With `whole`, divided ones do not
// count: they would be mapped as small pages.
static uint64_t find_large(const struct page_allocator *allocator, uint32_t chunks, uint64_t limit,
                           bool whole)
{
    for (uint32_t i = 0; i < allocator->area_count; i++) {
        const struct page_area *area = &allocator->areas[i];
        uint32_t run = 0;
        for (uint64_t page = area->first; page < area->last; page += PAGES_PER_CHUNK) {
            uint64_t index = area->index + page - area->first;
            const struct page_chunk *chunk = &allocator->chunks[index / PAGES_PER_CHUNK];
            bool usable = chunk->free == PAGES_PER_CHUNK && !(whole && chunk->divided);
            run = usable ? run + 1 : 0;
            uint64_t start = (page + PAGES_PER_CHUNK - run * PAGES_PER_CHUNK) * PAGE_BYTES;
            if (run == chunks && below(start, chunks * LARGE_PAGE_BYTES, limit))
                return start;
        }
    }
    return PAGE_NONE;
}

uint64_t page_allocate_large(struct page_allocator *allocator, uint32_t owner, uint32_t chunks,
                             uint64_t limit)
{
    if (chunks == 0)
        return PAGE_NONE;
    uint64_t address = find_large(allocator, chunks, limit, true);
    if (address == PAGE_NONE)
        address = find_large(allocator, chunks, limit, false);
    if (address != PAGE_NONE)
        page_set_owner(allocator, address, chunks * PAGES_PER_CHUNK, owner);
    return address;
}

// --- Questions and changes -------------------------------------------------------

bool page_owned(const struct page_allocator *allocator, uint64_t address, uint64_t pages,
                uint32_t owner)
{
    uint64_t page = address / PAGE_BYTES;
    if (address % PAGE_BYTES != 0 || pages > allocator->pages)
        return false;
    for (uint64_t i = 0; i < pages; i++) {
        if (owner_at(allocator, page + i) != owner)
            return false;
    }
    return true;
}

void page_set_owner(struct page_allocator *allocator, uint64_t address, uint64_t pages,
                    uint32_t owner)
{
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t index = index_of(allocator, address / PAGE_BYTES + i);
        if (index != PAGE_NONE)
            set_owner(allocator, index, owner);
    }
}

uint64_t page_next_run(const struct page_allocator *allocator, uint32_t owner, uint64_t *cursor,
                       uint64_t *address)
{
    uint64_t count = chunk_count(allocator) * PAGES_PER_CHUNK;
    uint64_t index = *cursor;
    while (index < count && allocator->owners[index] != owner)
        index++;
    if (index >= count)
        return 0;
    uint64_t end = index + 1;
    while (end < count && end % PAGES_PER_CHUNK != 0 && allocator->owners[end] == owner)
        end++;
    *cursor = end;
    *address = address_of(allocator, index);
    return end - index;
}

uint64_t page_count_owned(const struct page_allocator *allocator, uint32_t owner)
{
    uint64_t count = chunk_count(allocator) * PAGES_PER_CHUNK;
    uint64_t owned = 0;
    for (uint64_t i = 0; i < count; i++)
        owned += allocator->owners[i] == owner;
    return owned;
}

void page_divide(struct page_allocator *allocator, uint64_t address)
{
    uint64_t index = index_of(allocator, address / PAGE_BYTES);
    if (index != PAGE_NONE)
        allocator->chunks[index / PAGES_PER_CHUNK].divided = true;
}

bool page_is_large(const struct page_allocator *allocator, uint64_t address)
{
    uint64_t index = index_of(allocator, address / PAGE_BYTES);
    return index != PAGE_NONE && !allocator->chunks[index / PAGES_PER_CHUNK].divided;
}
