// SPDX-License-Identifier: GPL-2.0-only
// Swap areas whose slots stand for pages of other nodes. They are made here, not by swapon, from
// the last type number downward: Linux's own allocation, /proc/swaps and swapoff never meet them,
// and nr_swap_pages does not count them. All else of Linux's swapping works on them as on any.
#include "linuxserver/migration/cor_private.h"

#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/swap_slots.h>
#include <linux/swapfile.h>
#include <linux/vmalloc.h>
#include <linux/writeback.h>

// mm/swap.h, which is mm's own.
struct swap_iocb;
#define SWAP_ADDRESS_SPACE_SHIFT 14
extern struct address_space *swapper_spaces[];
struct page *__read_swap_cache_async(swp_entry_t entry, gfp_t gfp_mask, struct vm_area_struct *vma,
                                     unsigned long addr, bool *new_page_allocated);

#define AREAS        8u
#define AREA_REGIONS 2048u // 4 GiB, for which Linux wants a MiB of counts
#define AREA_PAGES   (AREA_REGIONS * COR_REGION_PAGES)
#define AREA_TYPE(n) (MAX_SWAPFILES - 1u - (n))

static struct area {
    struct swap_info_struct *info; // NULL: not made yet
    struct cor_region **regions;
    unsigned int next; // where a free run is looked for
} areas[AREAS];

// --- Areas -----------------------------------------------------------------------------------

static void never(struct percpu_ref *ref)
{
    WARN_ON_ONCE(1);
}

static struct swap_info_struct *make_info(unsigned int type)
{
    struct swap_info_struct *info =
        kvzalloc(struct_size(info, avail_lists, nr_node_ids), GFP_KERNEL);

    if (info == NULL)
        return NULL;
    info->swap_map = vzalloc(AREA_PAGES);
    if (info->swap_map == NULL || percpu_ref_init(&info->users, never, 0, GFP_KERNEL) != 0)
        goto failed;
    info->type = (signed char)type;
    info->max = AREA_PAGES;
    info->pages = AREA_PAGES;
    info->flags = SWP_USED;
    info->swap_extent_root = RB_ROOT;
    plist_node_init(&info->list, 0);
    for (unsigned int i = 0; i < nr_node_ids; i++)
        plist_node_init(&info->avail_lists[i], 0);
    spin_lock_init(&info->lock);
    spin_lock_init(&info->cont_lock);
    init_completion(&info->comp);
    return info;
failed:
    vfree(info->swap_map);
    kvfree(info);
    return NULL;
}

static int make_area(unsigned int n)
{
    struct area *area = &areas[n];
    unsigned int type = AREA_TYPE(n);

    if (swap_info[type] != NULL)
        return -EBUSY; // somebody has 20 swap areas
    area->regions = kvcalloc(AREA_REGIONS, sizeof(*area->regions), GFP_KERNEL);
    struct swap_info_struct *info = make_info(type);
    if (area->regions == NULL || info == NULL || init_swap_address_space(type, AREA_PAGES) != 0) {
        kvfree(area->regions);
        if (info != NULL) {
            percpu_ref_exit(&info->users);
            vfree(info->swap_map);
            kvfree(info);
        }
        return -ENOMEM;
    }
    area->info = info;
    smp_store_release(&swap_info[type], info);
    return 0;
}

static struct area *area_of(swp_entry_t entry)
{
    unsigned int n = AREA_TYPE(0) - swp_type(entry);

    return n < AREAS && areas[n].info != NULL ? &areas[n] : NULL;
}

bool cor_is_slot(swp_entry_t entry)
{
    return !non_swap_entry(entry) && area_of(entry) != NULL;
}

// --- Regions -----------------------------------------------------------------------------------

static int place(struct area *area, struct cor_region *region)
{
    for (unsigned int i = 0; i < AREA_REGIONS; i++) {
        unsigned int n = (area->next + i) % AREA_REGIONS;

        if (area->regions[n] != NULL)
            continue;
        area->regions[n] = region;
        area->next = n + 1;
        region->slots = swp_entry((unsigned int)area->info->type, n * COR_REGION_PAGES);
        return 0;
    }
    return -ENOSPC;
}

struct cor_region *cor_region_find(struct cor_source *source, unsigned long address)
{
    return xa_load(&source->regions, address / COR_REGION_BYTES);
}

static int make_region(struct cor_source *source, unsigned long address)
{
    struct cor_region *region = kzalloc(sizeof(*region), GFP_KERNEL);
    int error = -ENOSPC;

    if (region == NULL ||
        xa_reserve(&source->regions, address / COR_REGION_BYTES, GFP_KERNEL) != 0) {
        kfree(region);
        return -ENOMEM;
    }
    // Areas are never given back, so they are few: the first that has room.
    for (unsigned int n = 0; error == -ENOSPC && n < AREAS; n++) {
        error = areas[n].info == NULL ? make_area(n) : 0;
        if (error == 0)
            error = place(&areas[n], region);
    }
    if (error != 0) {
        xa_release(&source->regions, address / COR_REGION_BYTES);
        kfree(region);
        return error;
    }
    region->source = source;
    region->address = address;
    INIT_LIST_HEAD(&region->freed_link);
    xa_store(&source->regions, address / COR_REGION_BYTES, region, GFP_KERNEL);
    cor_source_get(source);
    return 0;
}

struct cor_region *cor_region_make(struct cor_source *source, unsigned long address)
{
    static DEFINE_MUTEX(making); // memory is waited for
    struct cor_region *region;

    mutex_lock(&making);
    region = cor_region_find(source, address);
    if (region == NULL && make_region(source, address) == 0)
        region = cor_region_find(source, address);
    mutex_unlock(&making);
    return region;
}

void cor_region_drop(struct cor_region *region)
{
    struct cor_source *source = region->source;

    if (!cor_region_idle(region) || !list_empty(&region->freed_link))
        return;
    area_of(region->slots)->regions[swp_offset(region->slots) / COR_REGION_PAGES] = NULL;
    xa_erase(&source->regions, region->address / COR_REGION_BYTES);
    kfree(region);
    cor_source_put(source);
}

struct cor_region *cor_region_of(swp_entry_t entry, unsigned int *page)
{
    struct area *area = area_of(entry);

    *page = swp_offset(entry) % COR_REGION_PAGES;
    return area == NULL ? NULL : area->regions[swp_offset(entry) / COR_REGION_PAGES];
}

// --- Slots ---------------------------------------------------------------------------------------

static unsigned char *count_of(swp_entry_t entry)
{
    return &swap_info[swp_type(entry)]->swap_map[swp_offset(entry)];
}

static void tell_freed(struct cor_region *region, unsigned int page)
{
    region->freed[page / COR_BLOCK_PAGES] |= BIT_ULL(page % COR_BLOCK_PAGES);
    if (list_empty(&region->freed_link))
        list_add_tail(&region->freed_link, &region->source->freed);
    cor_tell_soon();
}

void cor_slot_take(struct cor_region *region, unsigned int page)
{
    swp_entry_t entry = cor_slot(region, page);

    WARN_ON_ONCE(*count_of(entry) != 0);
    *count_of(entry) = 1;
    region->used[page / COR_BLOCK_PAGES] |= BIT_ULL(page % COR_BLOCK_PAGES);
    region->source->slots++;
}

void cor_slot_skip(struct cor_region *region, unsigned int page)
{
    region->source->counts.unsent++;
    tell_freed(region, page);
}

unsigned int cor_slot_users(swp_entry_t entry)
{
    return *count_of(entry) & ~SWAP_HAS_CACHE;
}

// The last user of a slot has gone: Linux would cache it for its own next allocation. Its count is
// SWAP_HAS_CACHE until then, and its page is not in the swap cache.
void __real_free_swap_slot(swp_entry_t entry);
void __wrap_free_swap_slot(swp_entry_t entry);
void __wrap_free_swap_slot(swp_entry_t entry)
{
    unsigned int page;
    struct cor_region *region;
    u64 bit;

    if (area_of(entry) == NULL) {
        __real_free_swap_slot(entry);
        return;
    }
    region = cor_region_of(entry, &page);
    bit = BIT_ULL(page % COR_BLOCK_PAGES);
    *count_of(entry) = 0;
    if (WARN_ON_ONCE(region == NULL || !(region->used[page / COR_BLOCK_PAGES] & bit)))
        return;
    region->used[page / COR_BLOCK_PAGES] &= ~bit;
    region->source->slots--;
    if (!(region->came[page / COR_BLOCK_PAGES] & bit))
        region->source->counts.unsent++;
    region->came[page / COR_BLOCK_PAGES] &= ~bit;
    tell_freed(region, page);
}

// A changed page that Linux wants to write to its slot stays in memory: these cannot be written.
int __real_swap_writepage(struct page *page, struct writeback_control *control);
int __wrap_swap_writepage(struct page *page, struct writeback_control *control);
int __wrap_swap_writepage(struct page *page, struct writeback_control *control)
{
    swp_entry_t entry = {.val = page_private(page)};

    if (area_of(entry) == NULL)
        return __real_swap_writepage(page, control);
    if (folio_free_swap(page_folio(page))) {
        unlock_page(page);
        return 0;
    }
    set_page_dirty(page);
    return AOP_WRITEPAGE_ACTIVATE;
}

// --- The swap cache ------------------------------------------------------------------------------

struct page *cor_cached(swp_entry_t entry)
{
    struct address_space *space =
        &swapper_spaces[swp_type(entry)][swp_offset(entry) >> SWAP_ADDRESS_SPACE_SHIFT];
    struct folio *folio = filemap_get_folio(space, swp_offset(entry));

    return folio == NULL ? NULL : &folio->page;
}

struct page *cor_cache(swp_entry_t entry, gfp_t gfp, struct vm_area_struct *vma,
                       unsigned long address, bool *is_new)
{
    return __read_swap_cache_async(entry, gfp, vma, address, is_new);
}
