// SPDX-License-Identifier: GPL-2.0-only
// What the parts of memory on reference share (cor.h).
//
//   cor_area.c     the swap areas: slots, and when they are over
//   cor_source.c   sources: what another node has for this one; telling it what is over
//   cor_range.c    ranges of address spaces of which nothing is known yet
//   cor_install.c  and what they become when it is known
//   cor_fork.c     Linux's functions that drop, copy or move memory
//   cor_fault.c    faults, and how much is read ahead
//   cor_fetch.c    asking for pages, and their coming
//   cor_drain.c    the background: maps of all ranges, then all pages
//   cor_serve.c    the other side: address spaces that are served
//   cor_read.c     and what is read from them
//   cor_device.c   requests of /dev/corvus-migrate
//
// Linux here neither preempts nor has a second processor: what does not sleep needs no lock.
#pragma once

#include "linuxserver/migration/cor.h"
#include "linuxserver/migration/messages.h"
#include "linuxserver/migration/peer.h"

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/wait.h>
#include <linux/xarray.h>

// --- Messages (words; data) -------------------------------------------------------------------
// A block is 64 pages, aligned; a region 512, what one page table maps. Addresses are those of the
// address space that is served; a mask has bit n for page n of its block.

enum {
    // Call: number, first region's address, regions. Answer: 0, regions; a struct cor_map each.
    COR_MAPS = MESSAGES_PAGES_FIRST,
    // Call: number, block, mask of one page. Answer: 0, block, masks as COR_PAGES; the region's
    // struct cor_map, then the page.
    COR_TOUCH,
    // Number, block, mask. COR_PAGES follows.
    COR_FETCH,
    // Number, block, masks: pages that are in the data, that are zero, that cannot be had; the
    // data.
    COR_PAGES,
    // Number, count; a struct cor_freed each: these pages are not wanted any more.
    COR_FREE,
    // Number: nothing is wanted any more.
    COR_END,
    // For tests. Call: pid, start, end: serve it. Answer: 0 or a negative error number; the number.
    COR_EXPORT,
};

#define COR_BLOCK_PAGES   64u
#define COR_BLOCK_BYTES   (COR_BLOCK_PAGES * PAGE_SIZE)
#define COR_REGION_PAGES  512u
#define COR_REGION_BYTES  (COR_REGION_PAGES * PAGE_SIZE)
#define COR_REGION_BLOCKS (COR_REGION_PAGES / COR_BLOCK_PAGES)
#define COR_MAPS_MOST     1024u // regions of one message
#define COR_FREED_MOST    1024u

// Which pages of a region there are.
struct cor_map {
    u64 present[COR_REGION_BLOCKS];
};

struct cor_freed {
    u64 block, mask;
};

// --- Sources ------------------------------------------------------------------------------------

struct cor_counts {
    u64 faults;   // that waited for another node
    u64 demanded; // pages that they were about
    u64 ahead;    // pages asked for with those
    u64 drained;  // pages asked for by the drain
    u64 came;     // pages that came, zero ones among them
    u64 zero;
    u64 messages; // that they came in
    u64 unsent;   // pages that were over before they had been asked for
    u64 lost;     // asked for in vain
};

// What another node serves under a number. Counted: by each range and each region that refers to
// it, by who works with it, and until cor_start by the move.
struct cor_source {
    struct list_head link;
    unsigned int users;
    unsigned int node;
    u64 number;
    bool started; // the process runs; it is served
    bool lost;    // what it has cannot be had any more
    bool eager;
    bool ended;                  // and has been told so
    bool again;                  // the link is up again
    unsigned int ranges;         // not known yet
    u64 slots;                   // in use
    struct xarray regions;       // struct cor_region, by address / COR_REGION_BYTES
    struct list_head freed;      // regions with something to tell
    unsigned long down_since;    // jiffies | 1; 0: the link is up
    unsigned long last_fault;    // address, where the drain goes on
    unsigned long last_fault_at; // jiffies
    struct cor_counts counts;
};

// What is known of a region of a source and is in use: a run of slots. Freed with its last slot.
struct cor_region {
    struct cor_source *source;
    unsigned long address;
    swp_entry_t slots;            // the first of COR_REGION_PAGES
    u64 used[COR_REGION_BLOCKS];  // slots that stand for a page
    u64 asked[COR_REGION_BLOCKS]; // asked for; the page is in the swap cache, locked, ours
    u64 came[COR_REGION_BLOCKS];
    u64 freed[COR_REGION_BLOCKS]; // not used any more; the source does not know yet
    struct list_head freed_link;  // empty: nothing to tell
};

extern struct list_head cor_sources;
extern struct cor_counts cor_counts; // of sources that are over

// NULL: none. Not counted.
struct cor_source *cor_source_find(unsigned int node, u64 number);
// Counted; NULL: no memory.
struct cor_source *cor_source_make(unsigned int node, u64 number);
void cor_source_get(struct cor_source *source);
void cor_source_put(struct cor_source *source);
// Nothing of it can be had: whoever waits for pages gets an error.
void cor_source_lose(struct cor_source *source, const char *why);
// The background has something to do.
void cor_tell_soon(void);
bool cor_source_is_over(const struct cor_source *source);

// --- cor_area.c ----------------------------------------------------------------------------------

static inline bool cor_region_idle(const struct cor_region *region)
{
    for (unsigned int i = 0; i < COR_REGION_BLOCKS; i++)
        if (region->used[i] != 0)
            return false;
    return true;
}

// The region of a source, made when it is not there yet. NULL: no memory, no slots.
struct cor_region *cor_region_make(struct cor_source *source, unsigned long address);
struct cor_region *cor_region_find(struct cor_source *source, unsigned long address);
// Frees it if it has no slot in use and nothing to tell.
void cor_region_drop(struct cor_region *region);

bool cor_is_slot(swp_entry_t entry);
// The region that the slot is of, and which page of it; NULL: it is not in use.
struct cor_region *cor_region_of(swp_entry_t entry, unsigned int *page);
static inline swp_entry_t cor_slot(const struct cor_region *region, unsigned int page)
{
    return (swp_entry_t){region->slots.val + page};
}
// Page `page` of the region gets a slot with one user.
void cor_slot_take(struct cor_region *region, unsigned int page);
// Its page is here by other means: the source may free it.
void cor_slot_skip(struct cor_region *region, unsigned int page);
// Users of the slot, without the swap cache.
unsigned int cor_slot_users(swp_entry_t entry);

// The page in the swap cache, counted, or NULL.
struct page *cor_cached(swp_entry_t entry);
// Likewise, and a new one, locked, if there is none: *is_new. NULL: no memory, or the slot is over.
struct page *cor_cache(swp_entry_t entry, gfp_t gfp, struct vm_area_struct *vma,
                       unsigned long address, bool *is_new);

// --- cor_range.c ---------------------------------------------------------------------------------

// Of an address space, what is not known yet, by address.
struct cor_range {
    struct list_head link;
    unsigned long start, end;
    struct cor_source *source;
};

// An address space that has slots or ranges, or its parent had. It holds the structure, not the
// memory.
struct cor_space {
    struct list_head link;
    struct mm_struct *mm;
    struct list_head ranges;
    unsigned int users; // who walks over it
    bool gone;          // the memory has gone
};

extern struct list_head cor_spaces;

static inline bool cor_concerns(const struct mm_struct *mm)
{
    return test_bit(COR_MM_FLAG, &mm->flags);
}

struct cor_space *cor_space_find(const struct mm_struct *mm);
struct cor_space *cor_space_make(struct mm_struct *mm);
void cor_space_get(struct cor_space *space);
void cor_space_put(struct cor_space *space);
void cor_space_end(struct mm_struct *mm);

// The first range that has something of [start, end); NULL: none.
struct cor_range *cor_range_find(const struct mm_struct *mm, unsigned long start,
                                 unsigned long end);
// Nothing of [start, end) is on reference by a range any more. Sleeps for memory.
void cor_range_forget(struct mm_struct *mm, unsigned long start, unsigned long end);
// Likewise of that source's ranges (NULL: of all), without sleeping: `rest`, from kmalloc, is for
// the second part of a range that is cut in two, or freed.
void cor_range_cut(struct mm_struct *mm, const struct cor_source *source, unsigned long start,
                   unsigned long end, struct cor_range *rest);

// --- cor_install.c -------------------------------------------------------------------------------

// What the ranges have of the source's region becomes slots, as the map says. Under mmap_lock, of
// any kind. 0; -ENOMEM; -EAGAIN.
int cor_install(struct mm_struct *mm, struct cor_source *source, unsigned long region,
                const struct cor_map *map);
// A map of a region of which nothing can be known any more: each page is there, and lost.
extern const struct cor_map cor_map_all;

// The page table entry of an address, NULL: there is no table, and none before *next. Under
// mmap_lock.
pte_t *cor_entry_of(struct mm_struct *mm, unsigned long address, unsigned long *next);

// Asks for what is not known of [start, end) and installs it. Under mmap_lock. 0; -ENOMEM.
int cor_resolve_locked(struct mm_struct *mm, unsigned long start, unsigned long end);

// --- cor_fetch.c ---------------------------------------------------------------------------------

enum cor_why { COR_DEMAND, COR_AHEAD, COR_DRAIN };

// What is asked for together: pages of one block.
struct cor_batch {
    struct cor_region *region; // NULL: empty
    unsigned int block;
    u64 mask;
    enum cor_why why;
};

// The page of the slot, new in the swap cache and locked, is asked for; sent when something of
// another block follows, or by cor_batch_send.
void cor_batch_add(struct cor_batch *batch, struct cor_region *region, unsigned int page);
void cor_batch_send(struct cor_batch *batch);
// Adds the slot's page, unless that is in the swap cache, as one to be read ahead. False: no
// memory.
bool cor_ask(swp_entry_t entry, struct cor_batch *batch, gfp_t gfp, struct vm_area_struct *vma,
             unsigned long address);
// Data for pages of a block have come.
void cor_take(struct cor_source *source, unsigned long block, u64 data_mask, u64 zero_mask,
              u64 failed_mask, const u8 *data);
// All that has been asked for and has not come: fails, or is asked for again (sleeps).
void cor_fail_asked(struct cor_source *source);
void cor_ask_again(struct cor_source *source);

// What the source says of a page in a region of which nothing is known. The address has no offset.
struct cor_touched {
    struct cor_map map;
    u8 page[PAGE_SIZE]; // as it comes, behind the map
    bool has_page;
};
// Asks. As migration_call.
int cor_touch(struct cor_source *source, unsigned long address, struct cor_touched *touched);
// Its page goes where it belongs, after cor_install.
void cor_put_touched(struct cor_source *source, unsigned long address,
                     const struct cor_touched *touched);

// --- cor_drain.c ---------------------------------------------------------------------------------

// Sends what MADV_WILLNEED has asked for and has not been sent yet (cor_fault.c).
void cor_fault_flush(void);

// Whether memory is so short that nothing is to come that nobody waits for.
bool cor_memory_is_short(void);
void cor_drain_wake(void);
int cor_drain_begin(void);

// --- cor_serve.c, cor_read.c ---------------------------------------------------------------------

struct cor_served {
    struct list_head link;
    unsigned long start, end;
};

// An address space that is served. It holds the structure, not the memory. Counted: until it is
// ended, and by who reads.
struct cor_export {
    struct list_head link;
    unsigned int users;
    u64 number;
    unsigned int node; // 0: any
    struct mm_struct *mm;
    bool kept; // it counts as a user of the address space
    bool ended;
    struct list_head ranges; // struct cor_served
};

struct cor_serve_counts {
    u64 maps, requests, pages, zero, failed, freed, refused;
};
extern struct cor_serve_counts cor_serve_counts;

// A message to who serves: in the daemon's thread.
void cor_serve_message(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes);
// A node has another life: what was served to it is not any more.
void cor_serve_gone(unsigned int node);
int cor_serve_begin(void);

// Which pages of the regions from `address` on there are. 0; -ESRCH: the memory has gone.
int cor_read_maps(const struct cor_export *export, unsigned long address, unsigned int regions,
                  struct cor_map *maps);

// Pages of a block.
struct cor_pages {
    u64 block, data_mask, zero_mask, failed_mask;
    const u8 *data; // of those of data_mask, one after the other
    size_t bytes;
    struct page *page; // counted: a single one, which `data` is; or NULL
};
// Those of the mask; `room` for COR_BLOCK_BYTES is used when there is more than one.
void cor_read_pages(const struct cor_export *export, u64 block, u64 mask, u8 *room,
                    struct cor_pages *pages);
static inline void cor_pages_put(struct cor_pages *pages)
{
    if (pages->page != NULL)
        put_page(pages->page);
}

// The pages are not wanted any more.
void cor_read_free(const struct cor_export *export, const struct cor_freed *freed, size_t count);
void cor_read_free_all(const struct cor_export *export);
