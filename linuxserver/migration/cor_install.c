// SPDX-License-Identifier: GPL-2.0-only
// What becomes of a range when it is known which of its pages there are: swap entries.
#include "linuxserver/migration/cor_private.h"

#include <linux/mm_inline.h>
#include <linux/rmap.h>
#include <linux/slab.h>

const struct cor_map cor_map_all = {
    .present = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}};

static bool is_present(const struct cor_map *map, unsigned int page)
{
    return map->present[page / COR_BLOCK_PAGES] & BIT_ULL(page % COR_BLOCK_PAGES);
}

static bool has_any(const struct cor_map *map)
{
    for (unsigned int i = 0; i < COR_REGION_BLOCKS; i++)
        if (map->present[i] != 0)
            return true;
    return false;
}

pte_t *cor_entry_of(struct mm_struct *mm, unsigned long address, unsigned long *next)
{
    pgd_t *pgd = pgd_offset(mm, address);
    p4d_t *p4d;
    pud_t *pud;
    pmd_t *pmd;

    *next = pgd_addr_end(address, ULONG_MAX);
    if (pgd_none(*pgd))
        return NULL;
    p4d = p4d_offset(pgd, address);
    pud = pud_offset(p4d, address);
    *next = pud_addr_end(address, ULONG_MAX);
    if (pud_none(*pud))
        return NULL;
    pmd = pmd_offset(pud, address);
    *next = pmd_addr_end(address, ULONG_MAX);
    return pmd_none(*pmd) ? NULL : pte_offset_kernel(pmd, address);
}

// The page table of the region; NULL: no memory.
static pmd_t *make_table(struct mm_struct *mm, unsigned long region)
{
    p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, region), region);
    pud_t *pud = p4d == NULL ? NULL : pud_alloc(mm, p4d, region);
    pmd_t *pmd = pud == NULL ? NULL : pmd_alloc(mm, pud, region);

    return pmd == NULL || pte_alloc(mm, pmd) ? NULL : pmd;
}

// All that sleeps, for the mappings of the region.
static int prepare(struct mm_struct *mm, unsigned long start)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, start);

    for_each_vma_range(iterator, vma, start + COR_REGION_BYTES)
    {
        if (!(vma->vm_flags & VM_SHARED) && vma->vm_file == NULL && anon_vma_prepare(vma) != 0)
            return -ENOMEM;
    }
    return 0;
}

// [start, end) of one mapping, which is in the range. A page that is there already, or of which
// there is nothing, gets no slot.
static void install_pages(struct vm_area_struct *vma, struct cor_region *region, pmd_t *pmd,
                          unsigned long start, unsigned long end, const struct cor_map *map)
{
    struct mm_struct *mm = vma->vm_mm;
    spinlock_t *lock;
    pte_t *table = pte_offset_map_lock(mm, pmd, start, &lock);

    for (pte_t *pte = table; start < end; start += PAGE_SIZE, pte++) {
        unsigned int page = (start - region->address) / PAGE_SIZE;

        if (!is_present(map, page))
            continue;
        if (!pte_none(*pte)) {
            cor_slot_skip(region, page);
            continue;
        }
        cor_slot_take(region, page);
        set_pte_at(mm, start, pte, swp_entry_to_pte(cor_slot(region, page)));
        inc_mm_counter(mm, MM_SWAPENTS);
    }
    pte_unmap_unlock(table, lock);
}

// All of one range in the region; nothing sleeps.
static void install_range(struct mm_struct *mm, const struct cor_range *range,
                          struct cor_region *region, pmd_t *pmd, const struct cor_map *map)
{
    unsigned long start = max(range->start, region->address);
    unsigned long end = min(range->end, region->address + COR_REGION_BYTES);
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, start);

    for_each_vma_range(iterator, vma, end)
    {
        if (!(vma->vm_flags & VM_SHARED) && vma->anon_vma != NULL)
            install_pages(vma, region, pmd, max(start, vma->vm_start), min(end, vma->vm_end), map);
    }
}

// Slots for the source's ranges of the region. 0; -ENOMEM; -EAGAIN: what was prepared has gone.
static int install_slots(struct mm_struct *mm, struct cor_source *source, unsigned long address,
                         const struct cor_map *map)
{
    pmd_t *pmd = make_table(mm, address);
    struct cor_region *region;
    struct cor_space *space;
    struct cor_range *range;

    if (pmd == NULL || prepare(mm, address) != 0 || cor_region_make(source, address) == NULL)
        return -ENOMEM;
    // From here on nothing sleeps.
    region = cor_region_find(source, address);
    if (region == NULL)
        return -EAGAIN;
    space = cor_space_find(mm);
    if (space != NULL)
        list_for_each_entry(range, &space->ranges, link)
        {
            if (range->source == source && range->start < address + COR_REGION_BYTES &&
                range->end > address)
                install_range(mm, range, region, pmd, map);
        }
    cor_region_drop(region); // if nothing came of it
    return 0;
}

int cor_install(struct mm_struct *mm, struct cor_source *source, unsigned long address,
                const struct cor_map *map)
{
    unsigned long end = address + COR_REGION_BYTES;
    struct cor_range *rest;
    int error = 0;

    if (cor_range_find(mm, address, end) == NULL)
        return 0;
    rest = kmalloc(sizeof(*rest), GFP_KERNEL);
    if (rest == NULL)
        return -ENOMEM;
    if (has_any(map))
        error = install_slots(mm, source, address, map);
    if (error == 0)
        cor_range_cut(mm, source, address, end, rest);
    else
        kfree(rest);
    return error;
}

// --- Asking now ----------------------------------------------------------------------------------

int cor_resolve_locked(struct mm_struct *mm, unsigned long start, unsigned long end)
{
    struct cor_range *range;

    while ((range = cor_range_find(mm, start, end)) != NULL) {
        struct cor_source *source = range->source;
        unsigned long address = max(start, range->start) & ~(COR_REGION_BYTES - 1);
        u64 words[MIGRATION_WORDS] = {source->number, address, 1};
        struct cor_map map;
        size_t bytes = sizeof(map);
        int error;

        cor_source_get(source);
        error = source->lost ? -EHOSTDOWN
                             : migration_call(source->node, COR_MAPS, words, NULL, 0, &map, &bytes);
        if (error == -ENOMEM) {
            cor_source_put(source);
            return error;
        }
        if (error == 0 && (words[0] != 0 || bytes != sizeof(map)))
            cor_source_lose(source, "does not know its process");
        // Nobody else can tell: each page is there, and asked for again when it is touched.
        error =
            cor_install(mm, source, address,
                        error == 0 && words[0] == 0 && bytes == sizeof(map) ? &map : &cor_map_all);
        cor_source_put(source);
        if (error != 0 && error != -EAGAIN)
            return error;
    }
    return 0;
}
