// SPDX-License-Identifier: GPL-2.0-only
// Asking a source for pages, and their coming. A page that has been asked for is in the swap cache,
// locked; who wants it sleeps on that lock as for a disk.
#include "linuxserver/migration/cor_private.h"

#include <linux/pagemap.h>
#include <linux/slab.h>

// --- Asking -----------------------------------------------------------------------------------

static void ask(struct cor_source *source, unsigned long block, u64 mask)
{
    u64 words[MIGRATION_WORDS] = {source->number, block, mask};

    // When the link is down it is asked again as soon as it is up. A queue that is full has to be
    // waited for: to lose it would be for ever.
    while (!source->lost && migration_send(source->node, COR_FETCH, words, NULL, 0) == -ENOMEM)
        schedule_timeout_uninterruptible(1);
}

void cor_batch_send(struct cor_batch *batch)
{
    struct cor_region *region = batch->region;
    unsigned int count = hweight64(batch->mask);
    struct cor_source *source;

    if (region == NULL)
        return;
    batch->region = NULL;
    source = region->source;
    if (batch->why == COR_DEMAND)
        source->counts.demanded += count;
    else if (batch->why == COR_AHEAD)
        source->counts.ahead += count;
    else
        source->counts.drained += count;
    cor_source_get(source);
    if (source->lost)
        cor_fail_asked(source);
    else
        ask(source, region->address + batch->block * COR_BLOCK_BYTES, batch->mask);
    // It may have been lost while it was waited for.
    if (source->lost)
        cor_fail_asked(source);
    cor_source_put(source);
}

void cor_batch_add(struct cor_batch *batch, struct cor_region *region, unsigned int page)
{
    unsigned int block = page / COR_BLOCK_PAGES;
    u64 bit = BIT_ULL(page % COR_BLOCK_PAGES);

    if (batch->region != NULL && (batch->region != region || batch->block != block))
        cor_batch_send(batch);
    if (batch->region == NULL) {
        batch->region = region;
        batch->block = block;
        batch->mask = 0;
    }
    batch->mask |= bit;
    region->asked[block] |= bit;
}

bool cor_ask(swp_entry_t entry, struct cor_batch *batch, gfp_t gfp, struct vm_area_struct *vma,
             unsigned long address)
{
    struct page *page = cor_cached(entry);
    unsigned int number;
    bool is_new = false;

    if (page == NULL)
        page = cor_cache(entry, gfp, vma, address, &is_new);
    if (page == NULL)
        return cor_slot_users(entry) == 0;
    if (is_new) {
        struct cor_region *region = cor_region_of(entry, &number);
        if (batch->why == COR_AHEAD)
            SetPageReadahead(page);
        cor_batch_add(batch, region, number);
    }
    put_page(page);
    return true;
}

// --- Coming -----------------------------------------------------------------------------------

// The page of the slot that was asked for is there: `data`, or NULL for zeros; or failed.
static void finish(struct cor_region *region, unsigned int page, const u8 *data, bool failed)
{
    swp_entry_t entry = cor_slot(region, page);
    struct page *cached = cor_cached(entry);
    u64 bit = BIT_ULL(page % COR_BLOCK_PAGES);

    region->asked[page / COR_BLOCK_PAGES] &= ~bit;
    if (WARN_ON_ONCE(cached == NULL || !PageLocked(cached)))
        return;
    if (failed) {
        SetPageError(cached);
        region->source->counts.lost++;
    } else {
        if (data != NULL)
            copy_page(page_address(cached), data);
        else
            clear_page(page_address(cached));
        SetPageUptodate(cached);
        region->came[page / COR_BLOCK_PAGES] |= bit;
        region->source->counts.came++;
        region->source->counts.zero += data == NULL;
    }
    // Nobody wants it any more: Linux could not free it while it was locked.
    if (cor_slot_users(entry) == 0)
        (void)folio_free_swap(page_folio(cached));
    unlock_page(cached);
    put_page(cached);
}

void cor_take(struct cor_source *source, unsigned long block, u64 data_mask, u64 zero_mask,
              u64 failed_mask, const u8 *data)
{
    struct cor_region *region = cor_region_find(source, block);
    unsigned int first = block % COR_REGION_BYTES / PAGE_SIZE;
    const unsigned int n = first / COR_BLOCK_PAGES;

    if (region == NULL)
        return;
    source->counts.messages++;
    for (unsigned int i = 0; i < COR_BLOCK_PAGES; i++) {
        u64 bit = BIT_ULL(i);
        const u8 *page = data;

        if (data_mask & bit)
            data += PAGE_SIZE;
        if (!((data_mask | zero_mask | failed_mask) & bit) || !(region->asked[n] & bit))
            continue; // came twice
        finish(region, first + i, data_mask & bit ? page : NULL, failed_mask & bit);
    }
}

// --- All that is under way ----------------------------------------------------------------------

void cor_fail_asked(struct cor_source *source)
{
    struct cor_region *region;
    unsigned long index;

    xa_for_each(&source->regions, index, region)
    {
        for (unsigned int page = 0; page < COR_REGION_PAGES; page++)
            if (region->asked[page / COR_BLOCK_PAGES] & BIT_ULL(page % COR_BLOCK_PAGES))
                finish(region, page, NULL, true);
    }
}

void cor_ask_again(struct cor_source *source)
{
    struct cor_region *region;
    unsigned long index;
    u64 asked[COR_REGION_BLOCKS];

    xa_for_each(&source->regions, index, region)
    {
        unsigned long address = region->address;

        memcpy(asked, region->asked, sizeof(asked)); // the region may go while it is asked for
        for (unsigned int n = 0; n < COR_REGION_BLOCKS; n++)
            if (asked[n] != 0)
                ask(source, address + n * COR_BLOCK_BYTES, asked[n]);
    }
}

// --- A fault in a region of which nothing is known -----------------------------------------------

int cor_touch(struct cor_source *source, unsigned long address, struct cor_touched *touched)
{
    unsigned long block = address & ~(COR_BLOCK_BYTES - 1);
    u64 mask = BIT_ULL((address - block) / PAGE_SIZE);
    u64 words[MIGRATION_WORDS] = {source->number, block, mask};
    size_t bytes = sizeof(touched->map) + sizeof(touched->page);
    int error = source->lost ? -EHOSTDOWN
                             : migration_call(source->node, COR_TOUCH, words, NULL, 0,
                                              &touched->map, &bytes);

    if (error == 0 && (words[0] != 0 || bytes < sizeof(touched->map))) {
        cor_source_lose(source, "does not know its process");
        error = -EHOSTDOWN;
    }
    touched->has_page = error == 0 && words[2] == mask;
    source->counts.faults++;
    return error;
}

void cor_put_touched(struct cor_source *source, unsigned long address,
                     const struct cor_touched *touched)
{
    struct cor_region *region = cor_region_find(source, address);
    unsigned int number = address % COR_REGION_BYTES / PAGE_SIZE;
    bool is_new = false;
    struct page *page;

    if (!touched->has_page || region == NULL || cor_slot_users(cor_slot(region, number)) == 0)
        return;
    page = cor_cache(cor_slot(region, number), GFP_HIGHUSER_MOVABLE, NULL, address, &is_new);
    if (page == NULL)
        return;
    if (is_new) {
        region->asked[number / COR_BLOCK_PAGES] |= BIT_ULL(number % COR_BLOCK_PAGES);
        source->counts.demanded++;
        finish(region, number, touched->page, false);
    }
    put_page(page);
}
