// SPDX-License-Identifier: GPL-2.0-only
// Faults on memory on reference, and how much is read ahead. A fault is one message to the source
// and one back; what is read ahead follows in messages of its own, so that nobody waits for it.
#include "linuxserver/migration/cor_private.h"

#include <linux/pagemap.h>
#include <linux/slab.h>

// --- In a region of which nothing is known -------------------------------------------------------

vm_fault_t cor_fault(struct vm_area_struct *vma, unsigned long address, unsigned int flags)
{
    struct mm_struct *mm = vma->vm_mm;
    struct cor_range *range = cor_range_find(mm, address, address + 1);
    // As for a page that is read from a disk, the lock is not held meanwhile.
    bool unlock = flags & FAULT_FLAG_ALLOW_RETRY && !(flags & FAULT_FLAG_RETRY_NOWAIT);
    struct cor_touched *touched;
    struct cor_source *source;
    int error;

    if (range == NULL)
        return 0;
    if (flags & FAULT_FLAG_RETRY_NOWAIT)
        return VM_FAULT_RETRY;
    touched = kmalloc(sizeof(*touched), GFP_KERNEL);
    if (touched == NULL)
        return VM_FAULT_OOM;
    address &= PAGE_MASK;
    source = range->source;
    cor_source_get(source);
    if (unlock)
        mmap_read_unlock(mm);
    error = cor_touch(source, address, touched);
    if (unlock)
        mmap_read_lock(mm);
    source->last_fault = address;
    source->last_fault_at = jiffies;
    // What the source cannot tell any more is lost, page by page.
    if (error == 0 || error == -EHOSTDOWN)
        error = cor_install(mm, source, address & ~(COR_REGION_BYTES - 1),
                            error == 0 ? &touched->map : &cor_map_all);
    if (error == 0)
        cor_put_touched(source, address, touched);
    if (unlock)
        mmap_read_unlock(mm);
    cor_source_put(source);
    kfree(touched);
    if (unlock)
        return VM_FAULT_RETRY; // a process that is to die does not come again
    return error == 0 || error == -EAGAIN ? 0 : error == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

// --- How much is read ahead
// -------------------------------------------------------------------------- Linux keeps in each
// mapping where the last fault was that waited, how much was read ahead then (here: its logarithm,
// 0 for nothing), and how many of such pages have been wanted since (mm/swap_state.c,
// swap_cache_get_folio).

#define FIRST_AHEAD 4u // 16 pages
#define MOST_AHEAD  9u // a page table's
#define HITS_MOST   63u

struct ahead {
    unsigned long address;
    bool never;
    unsigned int logarithm, hits;
};

static struct ahead get_ahead(struct vm_area_struct *vma)
{
    unsigned long value = (unsigned long)atomic_long_read(&vma->swap_readahead_info);

    unsigned int last = (unsigned int)(value >> 6) & 63;

    return (struct ahead){value & PAGE_MASK, last == 0, last == 0 ? 0 : last - 1, value & 63};
}

static unsigned int next_logarithm(const struct ahead *last, unsigned long address)
{
    unsigned int pages = min(1u << last->logarithm, HITS_MOST);

    if (last->never)
        return FIRST_AHEAD;
    if (last->logarithm == 0)
        return address - last->address == PAGE_SIZE || last->address - address == PAGE_SIZE ? 2 : 0;
    if (last->hits * 4 >= pages * 3)
        return min(last->logarithm + 1, MOST_AHEAD);
    return last->hits * 4 >= pages ? last->logarithm : last->logarithm - 1;
}

// Pages of the mapping and the page table onward from the fault, or backward if faults go that way.
static void read_ahead(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    unsigned long address = vmf->address & PAGE_MASK;
    const struct ahead last = get_ahead(vma);
    unsigned int logarithm = cor_memory_is_short() ? 0 : next_logarithm(&last, address);
    bool back = !last.never && address < last.address;
    unsigned long first = max(vma->vm_start, address & PMD_MASK);
    unsigned long end = min(vma->vm_end, (address & PMD_MASK) + PMD_SIZE);
    struct cor_batch batch = {.why = COR_AHEAD};

    atomic_long_set(&vma->swap_readahead_info, (long)(address | (logarithm + 1) << 6));
    if (logarithm == 0)
        return;
    for (unsigned int i = 0; i < 1u << logarithm; i++) {
        address += back ? -PAGE_SIZE : PAGE_SIZE;
        if (address < first || address >= end)
            break;
        pte_t pte = *pte_offset_map(vmf->pmd, address);
        if (pte_none(pte) || pte_present(pte) || !cor_is_slot(pte_to_swp_entry(pte)))
            continue;
        if (!cor_ask(pte_to_swp_entry(pte), &batch, GFP_NOWAIT | __GFP_HIGHMEM | __GFP_NOWARN, vma,
                     address))
            break;
    }
    cor_batch_send(&batch);
    lru_add_drain();
}

// Linux's own way to a page that is not in the swap cache; it returns it, perhaps locked yet.
struct page *__real_swapin_readahead(swp_entry_t entry, gfp_t gfp, struct vm_fault *vmf);
struct page *__wrap_swapin_readahead(swp_entry_t entry, gfp_t gfp, struct vm_fault *vmf);
struct page *__wrap_swapin_readahead(swp_entry_t entry, gfp_t gfp, struct vm_fault *vmf)
{
    struct cor_batch batch = {.why = COR_DEMAND};
    struct cor_region *region;
    struct page *page;
    unsigned int number;
    bool is_new;

    if (!cor_is_slot(entry))
        return __real_swapin_readahead(entry, gfp, vmf);
    page = cor_cache(entry, gfp, vmf->vma, vmf->address, &is_new);
    if (page == NULL || !is_new)
        return page;
    region = cor_region_of(entry, &number);
    region->source->counts.faults++;
    region->source->last_fault = vmf->address;
    region->source->last_fault_at = jiffies;
    cor_batch_add(&batch, region, number);
    cor_batch_send(&batch);
    read_ahead(vmf);
    return page;
}

// MADV_WILLNEED asks for one page after the other; a block's go together, and the last ones when
// the thread that tells sources comes by.
static struct cor_batch wanted = {.why = COR_AHEAD};

struct swap_iocb;
int __real_swap_readpage(struct page *page, bool synchronous, struct swap_iocb **plug);
int __wrap_swap_readpage(struct page *page, bool synchronous, struct swap_iocb **plug);
int __wrap_swap_readpage(struct page *page, bool synchronous, struct swap_iocb **plug)
{
    swp_entry_t entry = {.val = page_private(page)};
    struct cor_region *region;
    unsigned int number;

    if (!cor_is_slot(entry))
        return __real_swap_readpage(page, synchronous, plug);
    region = cor_region_of(entry, &number);
    cor_batch_add(&wanted, region, number);
    cor_tell_soon();
    return 0;
}

void cor_fault_flush(void)
{
    cor_batch_send(&wanted);
}
