// SPDX-License-Identifier: GPL-2.0-only
// What is read from an address space that is served, and taken away from it.
#include "linuxserver/migration/cor_private.h"

#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

// --- Which pages there are ----------------------------------------------------------------------

static void set_present(struct cor_map *maps, unsigned long index)
{
    maps[index / COR_REGION_PAGES].present[index % COR_REGION_PAGES / COR_BLOCK_PAGES] |=
        BIT_ULL(index % COR_BLOCK_PAGES);
}

// A page that has never been written to reads as zeros, so it need not be there.
static bool is_there(pte_t pte)
{
    return pte_present(pte) ? !is_zero_pfn(pte_pfn(pte)) : !pte_none(pte);
}

static void map_anonymous(struct mm_struct *mm, unsigned long base, unsigned long start,
                          unsigned long end, struct cor_map *maps)
{
    while (start < end) {
        unsigned long next;
        const pte_t *pte = cor_entry_of(mm, start, &next);

        if (pte != NULL && is_there(*pte))
            set_present(maps, (start - base) / PAGE_SIZE);
        start = pte != NULL ? start + PAGE_SIZE : next;
    }
}

// All that the file has, and what has been changed behind its end.
static void map_file(struct vm_area_struct *vma, unsigned long base, unsigned long start,
                     unsigned long end, struct cor_map *maps)
{
    unsigned long pages = DIV_ROUND_UP(i_size_read(file_inode(vma->vm_file)), PAGE_SIZE);

    for (unsigned long address = start; address < end; address += PAGE_SIZE)
        if (linear_page_index(vma, address) < pages)
            set_present(maps, (address - base) / PAGE_SIZE);
    map_anonymous(vma->vm_mm, base, start, end, maps);
}

int cor_read_maps(const struct cor_export *export, unsigned long address, unsigned int regions,
                  struct cor_map *maps)
{
    unsigned long end = address + regions * COR_REGION_BYTES;
    struct mm_struct *mm = export->mm;
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, address);

    memset(maps, 0, regions * sizeof(*maps));
    if (!mmget_not_zero(mm))
        return -ESRCH;
    mmap_read_lock(mm);
    // It may have come here on reference itself.
    int error = cor_resolve_locked(mm, address, end);
    for_each_vma_range(iterator, vma, end)
    {
        unsigned long from = max(address, vma->vm_start), to = min(end, vma->vm_end);

        if (error != 0 || vma->vm_flags & (VM_SHARED | VM_IO | VM_PFNMAP | VM_MIXEDMAP))
            continue;
        if (vma->vm_file != NULL)
            map_file(vma, address, from, to, maps);
        else
            map_anonymous(mm, address, from, to, maps);
    }
    mmap_read_unlock(mm);
    mmput(mm);
    return error;
}

// --- Contents ------------------------------------------------------------------------------------

// Counted, or NULL. Under mmap_lock.
static struct page *read_page(struct mm_struct *mm, unsigned long address)
{
    struct page *page;

    return get_user_pages_remote(mm, address, 1, FOLL_FORCE, &page, NULL, NULL) == 1 ? page : NULL;
}

// Takes the page over.
static void add_page(struct cor_pages *pages, u64 bit, struct page *page, u8 *room, bool single)
{
    const u8 *bytes = page == NULL ? NULL : page_address(page);

    if (page == NULL) {
        pages->failed_mask |= bit;
    } else if (memchr_inv(bytes, 0, PAGE_SIZE) == NULL) {
        pages->zero_mask |= bit;
    } else {
        pages->data_mask |= bit;
        if (single) {
            pages->page = page;
            pages->data = bytes;
            pages->bytes = PAGE_SIZE;
            return;
        }
        copy_page(room + pages->bytes, (void *)bytes);
        pages->bytes += PAGE_SIZE;
    }
    if (page != NULL)
        put_page(page);
}

void cor_read_pages(const struct cor_export *export, u64 block, u64 mask, u8 *room,
                    struct cor_pages *pages)
{
    struct mm_struct *mm = export->mm;
    bool single = is_power_of_2(mask);

    *pages = (struct cor_pages){.block = block, .data = room};
    if (!mmget_not_zero(mm)) {
        pages->failed_mask = mask;
        return;
    }
    mmap_read_lock(mm);
    for (unsigned int i = 0; i < COR_BLOCK_PAGES; i++)
        if (mask & BIT_ULL(i))
            add_page(pages, BIT_ULL(i), read_page(mm, block + i * PAGE_SIZE), room, single);
    mmap_read_unlock(mm);
    mmput(mm);
}

// --- Freeing -------------------------------------------------------------------------------------

// What is private in [start, end). Under mmap_lock.
static void zap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, start);

    for_each_vma_range(iterator, vma, end)
    {
        unsigned long from = max(start, vma->vm_start), to = min(end, vma->vm_end);

        if (!(vma->vm_flags & (VM_SHARED | VM_IO | VM_PFNMAP | VM_MIXEDMAP)))
            zap_page_range_single(vma, from, to - from, NULL);
    }
}

void cor_read_free(const struct cor_export *export, const struct cor_freed *freed, size_t count)
{
    struct mm_struct *mm = export->mm;

    if (!mmget_not_zero(mm))
        return;
    mmap_read_lock(mm);
    for (size_t i = 0; i < count; i++) {
        u64 mask = freed[i].mask;

        while (mask != 0) {
            unsigned int first = __ffs64(mask);
            unsigned int last = first;
            while (last < COR_BLOCK_PAGES && mask & BIT_ULL(last))
                mask &= ~BIT_ULL(last++);
            zap(mm, freed[i].block + first * PAGE_SIZE, freed[i].block + last * PAGE_SIZE);
        }
    }
    mmap_read_unlock(mm);
    mmput(mm);
}

void cor_read_free_all(const struct cor_export *export)
{
    struct mm_struct *mm = export->mm;
    struct cor_served *range;

    if (!mmget_not_zero(mm))
        return;
    mmap_read_lock(mm);
    list_for_each_entry(range, &export->ranges, link)
    {
        zap(mm, range->start, range->end);
    }
    mmap_read_unlock(mm);
    mmput(mm);
}
