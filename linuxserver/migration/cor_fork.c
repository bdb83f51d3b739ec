// SPDX-License-Identifier: GPL-2.0-only
// Functions of Linux that drop, copy or move memory, for ranges of which nothing is known yet
// (--wrap). They are those that page tables are changed by, so each system call is covered. For the
// rest an address space without COR_MM_FLAG passes.
#include "linuxserver/migration/cor_private.h"

#include <linux/mmu_notifier.h>

// munmap, MAP_FIXED, brk; the end of an address space, where Linux asks for all of it. What is not
// known is forgotten.
void __real_unmap_vmas(struct mmu_gather *tlb, struct maple_tree *mappings,
                       struct vm_area_struct *vma, unsigned long start, unsigned long end);
void __wrap_unmap_vmas(struct mmu_gather *tlb, struct maple_tree *mappings,
                       struct vm_area_struct *vma, unsigned long start, unsigned long end);
void __wrap_unmap_vmas(struct mmu_gather *tlb, struct maple_tree *mappings,
                       struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
    struct mm_struct *mm = vma->vm_mm;
    bool all = start == 0 && end == ULONG_MAX;

    if (cor_concerns(mm) && !all)
        cor_range_forget(mm, start, end);
    __real_unmap_vmas(tlb, mappings, vma, start, end);
    if (all)
        cor_space_end(mm);
}

// MADV_DONTNEED: zeros from now on.
void __real_zap_page_range_single(struct vm_area_struct *vma, unsigned long address,
                                  unsigned long size, struct zap_details *details);
void __wrap_zap_page_range_single(struct vm_area_struct *vma, unsigned long address,
                                  unsigned long size, struct zap_details *details);
void __wrap_zap_page_range_single(struct vm_area_struct *vma, unsigned long address,
                                  unsigned long size, struct zap_details *details)
{
    if (cor_concerns(vma->vm_mm))
        cor_range_forget(vma->vm_mm, address, address + size);
    __real_zap_page_range_single(vma, address, size, details);
}

// A fork copies what is known; so the rest is asked for now. The child's slots are Linux's copies
// of the parent's, but the drain has to find them.
int __real_copy_page_range(struct vm_area_struct *to, struct vm_area_struct *from);
int __wrap_copy_page_range(struct vm_area_struct *to, struct vm_area_struct *from);
int __wrap_copy_page_range(struct vm_area_struct *to, struct vm_area_struct *from)
{
    if (cor_concerns(from->vm_mm)) {
        int error = cor_resolve_locked(from->vm_mm, from->vm_start, from->vm_end);
        if (error == 0 && cor_space_make(to->vm_mm) == NULL)
            error = -ENOMEM;
        if (error != 0)
            return error;
    }
    return __real_copy_page_range(to, from);
}

// mremap moves page tables' entries next.
struct vm_area_struct *__real_copy_vma(struct vm_area_struct **vma, unsigned long address,
                                       unsigned long length, pgoff_t offset, bool *need_locks,
                                       bool keep_source);
struct vm_area_struct *__wrap_copy_vma(struct vm_area_struct **vma, unsigned long address,
                                       unsigned long length, pgoff_t offset, bool *need_locks,
                                       bool keep_source);
struct vm_area_struct *__wrap_copy_vma(struct vm_area_struct **vma, unsigned long address,
                                       unsigned long length, pgoff_t offset, bool *need_locks,
                                       bool keep_source)
{
    const struct vm_area_struct *from = *vma;

    if (cor_concerns(from->vm_mm) &&
        cor_resolve_locked(from->vm_mm, from->vm_start, from->vm_end) != 0)
        return NULL;
    return __real_copy_vma(vma, address, length, offset, need_locks, keep_source);
}
