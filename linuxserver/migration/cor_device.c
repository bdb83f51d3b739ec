// SPDX-License-Identifier: GPL-2.0-only
// Requests of /dev/corvus-migrate about memory on reference (include/corvus/migrate.h).
#include "linuxserver/migration/cor_private.h"
#include "linuxserver/migration/migration.h"

#include <corvus/migrate.h>

#include <linux/init.h>
#include <linux/uaccess.h>

// What the caller has there goes; what comes is anonymous.
static int replace(const struct migrate_pages_map *map)
{
    struct mm_struct *mm = current->mm;
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, map->start);
    int error = 0;

    mmap_write_lock(mm);
    for_each_vma_range(iterator, vma, map->end)
    {
        if (vma->vm_flags & VM_SHARED || vma->vm_file != NULL || vma->vm_start < map->start ||
            vma->vm_end > map->end)
            error = -EINVAL;
        else
            zap_page_range_single(vma, vma->vm_start, vma->vm_end - vma->vm_start, NULL);
    }
    if (error == 0)
        error = cor_map(mm, map->start, map->end, map->node, map->number);
    mmap_write_unlock(mm);
    return error;
}

static long map_pages(struct file *file, void __user *argument)
{
    struct migrate_pages_map map;
    size_t none = 0;
    long error;

    if (copy_from_user(&map, argument, sizeof(map)) != 0)
        return -EFAULT;
    if (map.start >= map.end || (map.start | map.end) & ~PAGE_MASK || map.end > TASK_SIZE)
        return -EINVAL;
    error = migration_connect(map.node);
    if (error != 0)
        return error;
    u64 words[MIGRATION_WORDS] = {(u64)map.pid, map.start, map.end};
    error = migration_call(map.node, COR_EXPORT, words, NULL, 0, NULL, &none);
    if (error == 0)
        error = (s64)words[0];
    if (error != 0)
        return error;
    map.number = words[1];
    error = replace(&map);
    if (error == 0)
        cor_start(map.node, map.number, false);
    else
        cor_discard(map.node, map.number);
    return error == 0 && copy_to_user(argument, &map, sizeof(map)) != 0 ? -EFAULT : error;
}

static long tell_status(struct file *file, void __user *argument)
{
    struct migrate_pages_status status;
    struct cor_remaining remaining;
    const struct cor_source *source;
    const struct cor_counts *counts;

    if (copy_from_user(&status, argument, sizeof(status)) != 0)
        return -EFAULT;
    source = cor_source_find(status.node, status.number);
    if (source == NULL && status.number != 0)
        return -ESRCH;
    cor_remaining(status.node, status.number, &remaining);
    counts = source == NULL ? &cor_counts : &source->counts;
    status = (struct migrate_pages_status){
        .node = status.node,
        .number = status.number,
        .pages = remaining.pages,
        .regions = remaining.regions,
        .faults = counts->faults,
        .demanded = counts->demanded,
        .ahead = counts->ahead,
        .drained = counts->drained,
        .came = counts->came,
        .zero = counts->zero,
        .messages = counts->messages,
        .unsent = counts->unsent,
        .lost = counts->lost,
        .served = cor_serve_counts.pages,
        .freed = cor_serve_counts.freed,
    };
    return copy_to_user(argument, &status, sizeof(status)) != 0 ? -EFAULT : 0;
}

static long wait_drained(struct file *file, void __user *argument)
{
    struct migrate_pages_wait wait;

    if (copy_from_user(&wait, argument, sizeof(wait)) != 0)
        return -EFAULT;
    return cor_wait_drained(wait.node, wait.number);
}

static int __init begin(void)
{
    migration_device_handle(MIGRATE_PAGES_MAP, map_pages);
    migration_device_handle(MIGRATE_PAGES_STATUS, tell_status);
    migration_device_handle(MIGRATE_PAGES_WAIT, wait_drained);
    return 0;
}
device_initcall(begin);
