// SPDX-License-Identifier: GPL-2.0-only
// Address spaces with memory on reference, and their ranges of which nothing is known yet.
#include "linuxserver/migration/cor_private.h"

#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

LIST_HEAD(cor_spaces);

// --- Address spaces --------------------------------------------------------------------------

struct cor_space *cor_space_find(const struct mm_struct *mm)
{
    struct cor_space *space;

    if (!cor_concerns(mm))
        return NULL;
    list_for_each_entry(space, &cor_spaces, link)
    {
        if (space->mm == mm)
            return space;
    }
    return NULL;
}

struct cor_space *cor_space_make(struct mm_struct *mm)
{
    struct cor_space *made = kzalloc(sizeof(*made), GFP_KERNEL);
    struct cor_space *space = cor_space_find(mm);

    if (space != NULL || made == NULL) {
        kfree(made);
        return space;
    }
    made->mm = mm;
    made->users = 1;
    INIT_LIST_HEAD(&made->ranges);
    list_add_tail(&made->link, &cor_spaces);
    mmgrab(mm);
    set_bit(COR_MM_FLAG, &mm->flags);
    // Linux's fork puts a child with swap entries behind its parent in this list, for swapoff.
    spin_lock(&mmlist_lock);
    if (list_empty(&mm->mmlist))
        list_add(&mm->mmlist, &init_mm.mmlist);
    spin_unlock(&mmlist_lock);
    return made;
}

void cor_space_get(struct cor_space *space)
{
    space->users++;
}

void cor_space_put(struct cor_space *space)
{
    if (--space->users != 0)
        return;
    list_del(&space->link);
    mmdrop(space->mm);
    kfree(space);
}

void cor_space_end(struct mm_struct *mm)
{
    struct cor_space *space = cor_space_find(mm);

    if (space == NULL)
        return;
    cor_range_forget(mm, 0, ULONG_MAX);
    clear_bit(COR_MM_FLAG, &mm->flags);
    space->gone = true;
    cor_space_put(space);
}

// --- Ranges -----------------------------------------------------------------------------------

static struct cor_range *make_range(struct cor_source *source, unsigned long start,
                                    unsigned long end, struct cor_range *range)
{
    *range = (struct cor_range){.start = start, .end = end, .source = source};
    source->ranges++;
    cor_source_get(source);
    return range;
}

static void drop_range(struct cor_range *range)
{
    struct cor_source *source = range->source;

    list_del(&range->link);
    source->ranges--;
    if (cor_source_is_over(source))
        cor_tell_soon();
    cor_source_put(source);
    kfree(range);
}

// The first one of the source, NULL: of any, that has something of [start, end).
static struct cor_range *find_of(const struct mm_struct *mm, const struct cor_source *source,
                                 unsigned long start, unsigned long end)
{
    struct cor_space *space = cor_space_find(mm);
    struct cor_range *range;

    if (space == NULL)
        return NULL;
    list_for_each_entry(range, &space->ranges, link)
    {
        if (range->start < end && range->end > start && (source == NULL || range->source == source))
            return range;
    }
    return NULL;
}

struct cor_range *cor_range_find(const struct mm_struct *mm, unsigned long start, unsigned long end)
{
    return find_of(mm, NULL, start, end);
}

void cor_range_cut(struct mm_struct *mm, const struct cor_source *source, unsigned long start,
                   unsigned long end, struct cor_range *rest)
{
    struct cor_range *range;

    while ((range = find_of(mm, source, start, end)) != NULL) {
        if (range->start < start && range->end > end) {
            make_range(range->source, end, range->end, rest);
            list_add(&rest->link, &range->link);
            range->end = start;
            return;
        }
        if (range->start < start)
            range->end = start;
        else if (range->end > end)
            range->start = end;
        else
            drop_range(range);
    }
    kfree(rest);
}

void cor_range_forget(struct mm_struct *mm, unsigned long start, unsigned long end)
{
    if (cor_range_find(mm, start, end) != NULL)
        cor_range_cut(mm, NULL, start, end,
                      kmalloc(sizeof(struct cor_range), GFP_KERNEL | __GFP_NOFAIL));
}

static void insert(struct cor_space *space, struct cor_range *range)
{
    struct cor_range *other;

    list_for_each_entry(other, &space->ranges, link)
    {
        if (other->start > range->start)
            break;
    }
    list_add_tail(&range->link, &other->link);
}

int cor_map(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned int node,
            u64 number)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, start);

    mmap_assert_write_locked(mm);
    if (start >= end || (start | end) & ~PAGE_MASK || end > TASK_SIZE ||
        cor_range_find(mm, start, end) != NULL)
        return -EINVAL;
    for_each_vma_range(iterator, vma, end)
    {
        if (vma->vm_flags & VM_SHARED || vma->vm_file != NULL)
            return -EINVAL;
        // A fork looks only at mappings that have one.
        if (anon_vma_prepare(vma) != 0)
            return -ENOMEM;
    }
    struct cor_range *range = kmalloc(sizeof(*range), GFP_KERNEL);
    struct cor_space *space = cor_space_make(mm);
    struct cor_source *source = cor_source_make(node, number);
    if (range != NULL && space != NULL && source != NULL)
        insert(space, make_range(source, start, end, range));
    else
        kfree(range);
    if (source != NULL)
        cor_source_put(source);
    return range != NULL && space != NULL && source != NULL ? 0 : -ENOMEM;
}
