// SPDX-License-Identifier: GPL-2.0-only
// Faults on mapped memory objects. Who has to wait for a pager lets go of its address space first,
// so that its other threads, ps and debuggers go on.
#include "memobj.h"

#include <linux/file.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>

// The page's folio, locked and counted, when it may be used so; else NULL.
static struct folio *lock_usable(struct memobj_page *page, u8 access)
{
    struct folio *folio = page->folio;

    if (!memobj_page_usable(page, access))
        return NULL;
    folio_get(folio);
    folio_lock(folio);
    if (memobj_page_usable(page, access) && page->folio == folio)
        return folio;
    folio_unlock(folio);
    folio_put(folio);
    return NULL;
}

static vm_fault_t fault_of(int error)
{
    return error == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

// Waits. 0: it is worth another look, still with the lock of the address space.
static vm_fault_t await(struct vm_fault *vmf, struct memobj_page *page, u8 access)
{
    struct mm_struct *mm = vmf->vma->vm_mm;
    struct file *file;
    int error;

    if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
        error = memobj_page_ask(page, access);
        return error != 0 ? fault_of(error) : VM_FAULT_RETRY;
    }
    if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
        error = memobj_page_await(page, access);
        return error != 0 ? fault_of(error) : 0;
    }
    file = get_file(vmf->vma->vm_file); // and with it the object
    mmap_read_unlock(mm);
    error = memobj_page_await(page, access);
    if (error != 0 && error != -EINTR)
        mmap_read_lock(mm); // as who hears of an error expects
    // The page's user must go before the object can.
    memobj_page_put(page);
    fput(file);
    return error != 0 && error != -EINTR ? fault_of(error) : VM_FAULT_RETRY;
}

static bool keeps_lock(const struct vm_fault *vmf)
{
    return !(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || vmf->flags & FAULT_FLAG_RETRY_NOWAIT;
}

static vm_fault_t fault(struct vm_fault *vmf)
{
    const struct memobj_file *own = memobj_file_of(vmf->vma->vm_file);
    u8 access = vmf->flags & FAULT_FLAG_WRITE && vmf->vma->vm_flags & VM_SHARED
                    ? ACCESS_READ | ACCESS_WRITE
                    : ACCESS_READ;
    struct memobj_page *page;
    struct folio *folio;
    vm_fault_t result = 0;

    if (vmf->pgoff >= DIV_ROUND_UP((u64)own->size, PAGE_SIZE))
        return VM_FAULT_SIGBUS;
    page = memobj_page_get(own->object, vmf->pgoff);
    if (page == NULL)
        return VM_FAULT_OOM;
    for (;;) {
        folio = lock_usable(page, access);
        if (folio != NULL)
            break;
        result = await(vmf, page, access);
        if (!keeps_lock(vmf))
            return result; // and the page is not ours any more
        if (result != 0)
            break;
    }
    if (folio != NULL) {
        memobj_page_used(page, MEMOBJ_USED_HOLD);
        vmf->page = &folio->page;
        result = VM_FAULT_LOCKED;
    }
    memobj_page_put(page);
    return result;
}

// A page that is mapped for reading is to be written. The way to wait leads over `fault`: so
// without the access the page is unmapped.
static vm_fault_t page_mkwrite(struct vm_fault *vmf)
{
    const struct memobj_file *own = memobj_file_of(vmf->vma->vm_file);
    struct folio *folio = page_folio(vmf->page);
    struct memobj_page *page;

    folio_lock(folio);
    page = xa_load(&own->object->pages, folio->index);
    if (folio->mapping == vmf->vma->vm_file->f_mapping && page != NULL && page->folio == folio &&
        memobj_page_usable(page, ACCESS_READ | ACCESS_WRITE)) {
        page->changed = true;
        memobj_page_used(page, MEMOBJ_USED_HOLD);
        return VM_FAULT_LOCKED;
    }
    if (folio->mapping != NULL)
        try_to_unmap(folio, TTU_IGNORE_MLOCK);
    folio_unlock(folio);
    return VM_FAULT_NOPAGE;
}

const struct vm_operations_struct memobj_vm_operations = {
    .fault = fault,
    .page_mkwrite = page_mkwrite,
};
