// SPDX-License-Identifier: BSD-2-Clause
// Who owns which page of physical memory. A pure data structure: it touches no
// page and calls no kernel, so that it is tested on the host. Chunks are the
// 2 MiB pages of memory; small pages come from as few chunks as possible, since
// a chunk once divided maps as 512 small pages for ever.
#pragma once

#include <corvus/types.h>

#include <stdbool.h>
#include <stdint.h>

#define PAGES_PER_CHUNK (LARGE_PAGE_BYTES / PAGE_BYTES)
#define PAGE_AREAS_MAX  80

// Owners of a page. Others are children's numbers, from PAGE_OWNER_CHILD on.
#define PAGE_FREE        0u
#define PAGE_OWNER_INIT  1u
#define PAGE_OWNER_CHILD 2u
#define PAGE_OWNER_MAX   0xfffdu
#define PAGE_LOST        0xfffeu // given to the kernel
#define PAGE_ABSENT      0xffffu // in the same chunk, but not ours

struct page_chunk {
    uint16_t free;
    bool divided; // small pages have been taken out of it, or it has absent pages
};

struct page_area {
    uint64_t first, last; // page numbers, last exclusive; whole chunks
    uint64_t index;       // of its first page in `owners`
};

struct page_allocator {
    uint32_t area_count;
    struct page_area areas[PAGE_AREAS_MAX];
    uint16_t *owners;
    struct page_chunk *chunks;
    uint64_t pages, free_pages;
    uint64_t small_hint; // chunk where a small page was found last
};

// A stretch of memory to manage.
struct page_range {
    uint64_t base, length; // bytes, page aligned
};

// Bytes of bookkeeping that these ranges need.
uint64_t page_allocator_bytes(const struct page_range *ranges, uint32_t count);
// `memory` is that many zeroed bytes. Ranges must not overlap; two may share a
// chunk. Returns false when there are too many.
bool page_allocator_initialize(struct page_allocator *allocator, const struct page_range *ranges,
                               uint32_t count, void *memory);

// Both return a physical address, or PAGE_NONE.
#define PAGE_NONE UINT64_MAX
// Up to a chunk's worth of adjacent small pages, all below `limit` (an address).
uint64_t page_allocate_small(struct page_allocator *allocator, uint32_t owner, uint32_t pages,
                             uint64_t limit);
// Adjacent whole 2 MiB pages.
uint64_t page_allocate_large(struct page_allocator *allocator, uint32_t owner, uint32_t chunks,
                             uint64_t limit);

// Whether all pages of a range are `owner`'s. False for addresses we do not have.
bool page_owned(const struct page_allocator *allocator, uint64_t address, uint64_t pages,
                uint32_t owner);
// Marks pages with a new owner. The caller has checked the range with page_owned.
void page_set_owner(struct page_allocator *allocator, uint64_t address, uint64_t pages,
                    uint32_t owner);
// Finds the next run of pages of `owner`: sets `*address` and returns its length
// in pages, 0 when there is none left. `*cursor` starts at 0. A run stays inside a
// chunk. Owners may be changed between calls.
uint64_t page_next_run(const struct page_allocator *allocator, uint32_t owner, uint64_t *cursor,
                       uint64_t *address);
uint64_t page_count_owned(const struct page_allocator *allocator, uint32_t owner);
// The chunk at an address is one 2 MiB page no longer.
void page_divide(struct page_allocator *allocator, uint64_t address);
// Whether the chunk at an address still is one 2 MiB page.
bool page_is_large(const struct page_allocator *allocator, uint64_t address);
