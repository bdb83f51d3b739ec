// SPDX-License-Identifier: GPL-2.0-only
// The mappings of a process, and those of its pages that come along with it.
#include "linuxserver/migration/capture_private.h"

#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#define FIRST_THREADS 16 // whose next instructions' pages come along

// --- Mappings ------------------------------------------------------------------------------------

static const struct {
    unsigned long from;
    u32 to;
} flags[] = {
    {VM_READ, PACKAGE_READ},
    {VM_WRITE, PACKAGE_WRITE},
    {VM_EXEC, PACKAGE_EXECUTE},
    {VM_LOCKED, PACKAGE_LOCKED},
    {VM_LOCKONFAULT, PACKAGE_LOCKED_ON_FAULT},
    {VM_NORESERVE, PACKAGE_NO_RESERVE},
    {VM_DONTCOPY, PACKAGE_NOT_TO_CHILDREN},
    {VM_DONTDUMP, PACKAGE_NOT_DUMPED},
    {VM_WIPEONFORK, PACKAGE_WIPED_ON_FORK},
    {VM_SEQ_READ, PACKAGE_SEQUENTIAL},
    {VM_RAND_READ, PACKAGE_RANDOM},
};

static u32 kind_of(const struct vm_area_struct *vma)
{
    const struct mm_struct *mm = vma->vm_mm;

    if (vma->vm_ops && vma->vm_ops->name)
        return vma->vm_flags & VM_EXEC ? PACKAGE_VDSO : PACKAGE_VVAR;
    if (vma->vm_file)
        return vma->vm_flags & VM_SHARED ? PACKAGE_SEGMENT : PACKAGE_FILE;
    if (vma->vm_flags & VM_GROWSDOWN)
        return PACKAGE_STACK;
    return vma->vm_start < mm->brk && vma->vm_end > mm->start_brk ? PACKAGE_HEAP
                                                                  : PACKAGE_ANONYMOUS;
}

static int name_of(struct capture *capture, struct file *file)
{
    char *room = kmalloc(PATH_MAX, GFP_KERNEL);
    const char *path;
    int at;

    if (!room)
        return -ENOMEM;
    path = file_path(file, room, PATH_MAX);
    at = IS_ERR(path) ? capture_refuse(capture->reason, "it has mapped a file with too long a path")
                      : capture_text(capture, path);
    kfree(room);
    return at;
}

static int gather_vma(struct capture *capture, const struct vm_area_struct *vma)
{
    struct package_vma *to;
    int error = capture_check_vma(vma, capture->reason);
    int name = 0;

    if (!error && vma->vm_file)
        name = name_of(capture, vma->vm_file);
    if (error || name < 0)
        return error ?: name;
    to = gather(&capture->vmas, sizeof *to);
    if (!to)
        return -ENOMEM;
    to->start = vma->vm_start;
    to->end = vma->vm_end;
    to->kind = kind_of(vma);
    to->name = (u32)name;
    if (vma->vm_file)
        to->offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        to->flags |= vma->vm_flags & flags[i].from ? flags[i].to : 0;
    if (to->kind == PACKAGE_SEGMENT)
        to->segment = file_inode(vma->vm_file)->i_ino;
    if (to->kind == PACKAGE_SEGMENT && d_unlinked(vma->vm_file->f_path.dentry))
        return capture_refuse(capture->reason, "it has a segment that has been removed");
    return 0;
}

// --- Pages ---------------------------------------------------------------------------------------

// The page there, or NULL: it has none, or none that differs from zero.
static struct page *page_at(struct capture *capture, u64 address)
{
    struct page *page;
    long got =
        get_user_pages_remote(capture->mm, address, 1, FOLL_FORCE | FOLL_DUMP, &page, NULL, NULL);

    return got == 1 ? page : NULL;
}

static int gather_page(struct capture *capture, u64 address)
{
    struct page *page = page_at(capture, address);
    u64 *to;

    if (!page)
        return 0;
    put_page(page);
    to = gather(&capture->pages, sizeof *to);
    if (to)
        *to = address;
    return to ? 0 : -ENOMEM;
}

static int gather_all_pages(struct capture *capture)
{
    const struct package_vma *vmas = capture->vmas.items;
    int error = 0;

    for (size_t i = 0; i < capture->vmas.count; i++) {
        if (!package_vma_has_pages(&vmas[i]))
            continue;
        for (u64 at = vmas[i].start; at < vmas[i].end && !error; at += PAGE_SIZE) {
            if (fatal_signal_pending(current))
                return -EINTR;
            cond_resched();
            error = gather_page(capture, at);
        }
    }
    return error;
}

// In ascending order; those that are there already, and what is in no mapping, are left out.
static void insert(u64 *addresses, size_t *count, u64 address)
{
    size_t at = 0;

    address &= PAGE_MASK;
    while (at < *count && addresses[at] < address)
        at++;
    if (at < *count && addresses[at] == address)
        return;
    memmove(addresses + at + 1, addresses + at, (*count - at) * sizeof *addresses);
    addresses[at] = address;
    (*count)++;
}

static int gather_first_pages(struct capture *capture)
{
    const struct migration_package mapped = {.vmas = capture->vmas.items,
                                             .vmas_count = capture->vmas.count};
    u64 addresses[3 * FIRST_THREADS];
    size_t count = 0;
    int error = 0;

    for (size_t i = 0; i < min_t(size_t, capture->threads.count, FIRST_THREADS); i++) {
        const unsigned long *gp = capture_threads(capture)[i]->thread.regs.regs.gp;

        insert(addresses, &count, gp[HOST_IP]);
        insert(addresses, &count, gp[HOST_SP]);
        insert(addresses, &count, gp[HOST_FS_BASE]);
    }
    for (size_t i = 0; i < count && !error; i++) {
        const struct package_vma *vma = package_vma_at(&mapped, addresses[i]);

        if (vma && package_vma_has_pages(vma))
            error = gather_page(capture, addresses[i]);
    }
    return error;
}

int capture_gather_memory(struct capture *capture)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, capture->mm, 0);
    int error = 0;

    if (mmap_read_lock_killable(capture->mm))
        return -EINTR;
    for_each_vma(iterator, vma)
    {
        error = gather_vma(capture, vma);
        if (error)
            break;
    }
    if (!error)
        error = capture->flags & CAPTURE_ALL_PAGES ? gather_all_pages(capture)
                                                   : gather_first_pages(capture);
    mmap_read_unlock(capture->mm);
    return error;
}

static int copy_page_of(struct capture *capture, struct package_page *to, u64 address)
{
    struct page *page = page_at(capture, address);

    if (!page) // it was there a moment ago, and nobody runs that could change it
        return -EIO;
    to->address = address;
    memcpy(to->bytes, page_address(page), PAGE_SIZE);
    put_page(page);
    return 0;
}

int capture_pages(struct capture *capture)
{
    const u64 *addresses = capture->pages.items;
    int error = 0;

    if (mmap_read_lock_killable(capture->mm))
        return -EINTR;
    for (size_t i = 0; i < capture->pages.count && !error; i++) {
        cond_resched();
        error = copy_page_of(capture, &capture->records.pages[i], addresses[i]);
    }
    mmap_read_unlock(capture->mm);
    return error;
}

// --- What Linux keeps besides --------------------------------------------------------------------

void capture_bounds(struct capture *capture)
{
    struct package_process *to = capture->records.process;
    const struct mm_struct *mm = capture->mm;

    to->resident = get_mm_rss(capture->mm);
    to->membarrier = (u32)atomic_read(&mm->membarrier_state);
    to->mm_flags = (u32)(mm->flags & MMF_INIT_MASK);
    to->lock_future = !(mm->def_flags & VM_LOCKED) ? 0 : mm->def_flags & VM_LOCKONFAULT ? 2 : 1;
    to->mmap_base = mm->mmap_base;
    to->start_code = mm->start_code;
    to->end_code = mm->end_code;
    to->start_data = mm->start_data;
    to->end_data = mm->end_data;
    to->start_brk = mm->start_brk;
    to->brk = mm->brk;
    to->start_stack = mm->start_stack;
    to->arg_start = mm->arg_start;
    to->arg_end = mm->arg_end;
    to->env_start = mm->env_start;
    to->env_end = mm->env_end;
    memcpy(to->auxv, mm->saved_auxv, sizeof mm->saved_auxv);
}
