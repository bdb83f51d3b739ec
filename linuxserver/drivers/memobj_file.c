// SPDX-License-Identifier: GPL-2.0-only
// Open memory objects as files.
#include "memobj.h"

#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

static loff_t size_of(struct file *file)
{
    const struct memobj_file *own = memobj_file_of(file);

    return own->size_now != NULL ? own->size_now(file) : own->size;
}

// --- Reading and writing -------------------------------------------------------------------

// One page's part of a transfer at `position`.
static size_t part(loff_t position, size_t bytes)
{
    return min_t(size_t, bytes, PAGE_SIZE - offset_in_page(position));
}

static ssize_t read_page(struct memobj_object *object, loff_t position, size_t bytes,
                         struct iov_iter *to)
{
    struct memobj_page *page = memobj_page_get(object, position >> PAGE_SHIFT);
    struct folio *folio;
    ssize_t result;

    if (page == NULL)
        return -ENOMEM;
    result = memobj_page_await(page, ACCESS_READ);
    if (result == 0) {
        folio = page->folio;
        folio_get(folio);
        memobj_page_used(page, 0);
        result = (ssize_t)copy_to_iter(folio_address(folio) + offset_in_page(position), bytes, to);
        folio_put(folio);
        if (result == 0)
            result = -EFAULT;
    }
    memobj_page_put(page);
    return result;
}

static ssize_t file_read(struct kiocb *iocb, struct iov_iter *to)
{
    const struct memobj_file *own = memobj_file_of(iocb->ki_filp);
    loff_t size = size_of(iocb->ki_filp);
    ssize_t done = 0, result = 0;

    if (size < 0)
        return size;
    while (iov_iter_count(to) != 0 && iocb->ki_pos < size) {
        size_t bytes = min_t(loff_t, part(iocb->ki_pos, iov_iter_count(to)), size - iocb->ki_pos);

        result = read_page(own->object, iocb->ki_pos, bytes, to);
        if (result < 0)
            break;
        iocb->ki_pos += result;
        done += result;
        cond_resched();
    }
    return done != 0 ? done : result;
}

// May copy less, or nothing, when the memory that the bytes come from has gone meanwhile.
static ssize_t write_page(struct memobj_object *object, loff_t position, size_t bytes,
                          struct iov_iter *from)
{
    struct memobj_page *page;
    ssize_t result;

    if (fault_in_iov_iter_readable(from, bytes) == bytes)
        return -EFAULT;
    page = memobj_page_get(object, position >> PAGE_SHIFT);
    if (page == NULL)
        return -ENOMEM;
    result = memobj_page_await(page, ACCESS_READ | ACCESS_WRITE);
    if (result == 0) {
        page->changed = true;
        result = (ssize_t)copy_page_from_iter_atomic(&page->folio->page, offset_in_page(position),
                                                     bytes, from);
        memobj_page_used(page, 0);
    }
    memobj_page_put(page);
    return result;
}

// Where a write begins and where it may end; 0 or an error.
static int place(struct kiocb *iocb, struct iov_iter *from, loff_t *end)
{
    const struct memobj_file *own = memobj_file_of(iocb->ki_filp);
    loff_t size = size_of(iocb->ki_filp);

    if (size < 0)
        return (int)size;
    if (iocb->ki_flags & IOCB_APPEND)
        iocb->ki_pos = size;
    *end = size;
    if (iov_iter_count(from) == 0)
        return 0;
    if (own->grow == NULL)
        return iocb->ki_pos >= size ? -ENOSPC : 0;
    if (iocb->ki_pos >= own->size)
        return -EFBIG;
    iov_iter_truncate(from, own->size - iocb->ki_pos);
    *end = iocb->ki_pos + (loff_t)iov_iter_count(from);
    return *end > size ? own->grow(iocb->ki_filp, *end) : 0;
}

static ssize_t file_write(struct kiocb *iocb, struct iov_iter *from)
{
    const struct memobj_file *own = memobj_file_of(iocb->ki_filp);
    ssize_t done = 0, result = 0;
    loff_t size = 0;
    int error = place(iocb, from, &size);

    if (error != 0)
        return error;
    while (iov_iter_count(from) != 0 && iocb->ki_pos < size) {
        size_t bytes = min_t(loff_t, part(iocb->ki_pos, iov_iter_count(from)), size - iocb->ki_pos);

        result = write_page(own->object, iocb->ki_pos, bytes, from);
        if (result == 0 && fatal_signal_pending(current))
            result = -EINTR;
        if (result < 0)
            break;
        iocb->ki_pos += result;
        done += result;
        cond_resched();
    }
    return done != 0 ? done : result;
}

// --- The rest ----------------------------------------------------------------------------------

static loff_t file_seek(struct file *file, loff_t offset, int whence)
{
    loff_t size = size_of(file);

    return size < 0 ? size : generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE, size);
}

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
    file_accessed(file);
    vma->vm_ops = &memobj_vm_operations;
    return 0;
}

// Sends one page back, if it has been changed.
static int clean_page(struct memobj_page *page)
{
    int error = 0;

    page->users++;
    while (error == 0 && page->changed && page->valid && page->object->error == 0 &&
           !memobj_page_restrict(page, page->lock, 0, true))
        error = schedule_timeout_killable(1) < 0 || fatal_signal_pending(current) ? -EINTR : 0;
    if (error != 0 && page->taking)
        memobj_page_leave(page);
    memobj_page_put(page);
    return error;
}

static int file_fsync(struct file *file, loff_t start, loff_t end, int only_data)
{
    struct memobj_object *object = memobj_file_of(file)->object;
    struct memobj_page *page = NULL;
    unsigned long index;
    int error = 0;

    xa_for_each_range(&object->pages, index, page, start >> PAGE_SHIFT, end >> PAGE_SHIFT)
    {
        error = clean_page(page);
        if (error != 0)
            return error;
    }
    memobj_run_end(object);
    if (wait_event_killable(object->wait, list_empty(&object->queue.messages)) != 0)
        return -EINTR;
    return object->error != 0 ? -EIO : file_check_and_advance_wb_err(file);
}

static long file_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
    const struct memobj_object *object = memobj_file_of(file)->object;
    struct corvus_object_status status = object->counts;

    if (request != CORVUS_OBJECT_STATUS)
        return -ENOTTY;
    status.pages = object->page_count;
    return copy_to_user((void __user *)argument, &status, sizeof status) != 0 ? -EFAULT : 0;
}

static int file_release(struct inode *inode, struct file *file)
{
    struct memobj_file *own = memobj_file_of(file);

    memobj_object_close(own->object);
    kfree(own);
    return 0;
}

struct memobj_file *memobj_file_of(struct file *file)
{
    return file->private_data;
}

const struct file_operations memobj_file_operations = {
    .owner = THIS_MODULE,
    .llseek = file_seek,
    .read_iter = file_read,
    .write_iter = file_write,
    .splice_read = generic_file_splice_read,
    .splice_write = iter_file_splice_write,
    .mmap = file_mmap,
    .fsync = file_fsync,
    .unlocked_ioctl = file_ioctl,
    .release = file_release,
};
