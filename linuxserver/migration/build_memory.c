// SPDX-License-Identifier: GPL-2.0-only
// The mappings of a process, and the pages that came along. Where it had a private mapping of a
// file it gets anonymous memory: its pages come from where they were.
#include "linuxserver/backend/vdso/map.h"
#include "linuxserver/migration/build_private.h"
#include "linuxserver/migration/clocks.h"

#include <asm/elf.h>

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/syscalls.h>

#define VVAR_START (um_vdso_addr - PAGE_SIZE)

static const char *text(const struct migration_package *package, u32 at)
{
    return &package->text[at].byte;
}

// --- Before anything is changed ------------------------------------------------------------------

static bool is_in_its_place(const struct package_vma *vma)
{
    if (vma->kind == PACKAGE_VDSO)
        return vma->start == um_vdso_addr && vma->end == um_vdso_addr + PAGE_SIZE;
    if (vma->kind == PACKAGE_VVAR)
        return vma->start == VVAR_START && vma->end == um_vdso_addr;
    return vma->end <= VVAR_START && vma->start >= FIRST_USER_ADDRESS;
}

int build_check_mappings(const struct migration_package *package, char *reason)
{
    for (size_t i = 0; i < package->vmas_count; i++) {
        if (!is_in_its_place(&package->vmas[i]))
            return build_refuse(-EOPNOTSUPP, reason, "its memory at %llx has no place here",
                                package->vmas[i].start);
    }
    return 0;
}

// --- Mappings ------------------------------------------------------------------------------------

static unsigned long protection(const struct package_vma *vma)
{
    return (vma->flags & PACKAGE_READ ? PROT_READ : 0) |
           (vma->flags & PACKAGE_WRITE ? PROT_WRITE : 0) |
           (vma->flags & PACKAGE_EXECUTE ? PROT_EXEC : 0);
}

static int map_anonymous(const struct package_vma *vma)
{
    unsigned long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    unsigned long at;

    if (vma->kind == PACKAGE_STACK)
        flags |= MAP_GROWSDOWN;
    if (vma->flags & PACKAGE_NO_RESERVE)
        flags |= MAP_NORESERVE;
    at = vm_mmap(NULL, vma->start, vma->end - vma->start, protection(vma), flags, 0);
    return IS_ERR_VALUE(at) ? (int)at : 0;
}

static int cannot_make(int error, const struct migration_package *package,
                       const struct package_vma *vma, char *reason)
{
    return build_refuse(error, reason, "its memory at %llx %.40s cannot be made: error %d",
                        vma->start, text(package, vma->name), -error);
}

// Whether it is the segment that the process had: the name may be another one's by now.
static bool is_segment(const struct inode *inode, const struct package_vma *vma)
{
    return !strcmp(inode->i_sb->s_type->name, "memobj") && inode->i_ino == vma->segment;
}

// The one kind of files that have to be here, too.
static int map_segment(const struct migration_package *package, const struct package_vma *vma,
                       char *reason)
{
    struct file *file = filp_open(text(package, vma->name), O_RDWR, 0);
    unsigned long at;

    if (!IS_ERR(file) && !is_segment(file_inode(file), vma)) {
        fput(file);
        file = ERR_PTR(-ENOENT);
    }
    if (IS_ERR(file))
        return build_refuse((int)PTR_ERR(file), reason, "its shared memory %.60s is not there",
                            text(package, vma->name));
    at = vm_mmap(file, vma->start, vma->end - vma->start, protection(vma),
                 MAP_SHARED | MAP_FIXED_NOREPLACE, vma->offset);
    fput(file);
    return IS_ERR_VALUE(at) ? cannot_make((int)at, package, vma, reason) : 0;
}

static int map(const struct migration_package *package, const struct package_vma *vma, char *reason)
{
    int error = 0;

    if (vma->kind == PACKAGE_SEGMENT)
        return map_segment(package, vma, reason);
    if (package_vma_has_pages(vma))
        error = map_anonymous(vma);
    return error ? cannot_make(error, package, vma, reason) : 0;
}

// What a process did not have it does not get.
static int map_vdso(const struct migration_package *package, unsigned int home)
{
    const struct package_vma *code = package_vma_at(package, um_vdso_addr);
    const struct package_vma *data = package_vma_at(package, VVAR_START);
    int error;

    if (!code && !data)
        return 0;
    error = vdso_map(clocks_vdso(home));
    if (!error && !code)
        error = vm_munmap(um_vdso_addr, PAGE_SIZE);
    if (!error && !data)
        error = vm_munmap(VVAR_START, PAGE_SIZE);
    return error;
}

static int advise(const struct package_vma *vma)
{
    static const struct {
        u32 flag;
        int advice;
    } advices[] = {
        {PACKAGE_NOT_TO_CHILDREN, MADV_DONTFORK},
        {PACKAGE_NOT_DUMPED, MADV_DONTDUMP},
        {PACKAGE_WIPED_ON_FORK, MADV_WIPEONFORK},
        {PACKAGE_SEQUENTIAL, MADV_SEQUENTIAL},
        {PACKAGE_RANDOM, MADV_RANDOM},
    };
    int error = 0;

    if (vma->kind > PACKAGE_SEGMENT) // Linux's own
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(advices) && !error; i++) {
        if (vma->flags & advices[i].flag)
            error = do_madvise(current->mm, vma->start, vma->end - vma->start, advices[i].advice);
    }
    return error;
}

// Locks the memory without fetching its pages: those come from where the process was.
static int lock(const struct package_vma *vma)
{
    struct vm_area_struct *part;
    VMA_ITERATOR(iterator, current->mm, vma->start);
    int error;

    if (!(vma->flags & PACKAGE_LOCKED))
        return 0;
    error = (int)sys_mlock2(vma->start, vma->end - vma->start, MLOCK_ONFAULT);
    if (error || vma->flags & PACKAGE_LOCKED_ON_FAULT)
        return error;
    mmap_write_lock(current->mm);
    for_each_vma_range(iterator, part, vma->end)
    {
        part->vm_flags &= ~VM_LOCKONFAULT;
    }
    mmap_write_unlock(current->mm);
    return 0;
}

// --- Pages, bounds -------------------------------------------------------------------------------

static int write_pages(const struct migration_package *package)
{
    for (size_t i = 0; i < package->pages_count; i++) {
        const struct package_page *page = &package->pages[i];

        if (access_process_vm(current, page->address, (void *)page->bytes, PAGE_SIZE,
                              FOLL_WRITE | FOLL_FORCE) != PAGE_SIZE)
            return -ENOMEM;
        cond_resched();
    }
    return 0;
}

static void set_bounds(const struct package_process *from)
{
    static const unsigned long future[] = {0, VM_LOCKED, VM_LOCKED | VM_LOCKONFAULT};
    struct mm_struct *mm = current->mm;

    mmap_write_lock(mm);
    mm->mmap_base = from->mmap_base;
    mm->start_code = from->start_code;
    mm->end_code = from->end_code;
    mm->start_data = from->start_data;
    mm->end_data = from->end_data;
    mm->start_brk = from->start_brk;
    mm->brk = from->brk;
    mm->start_stack = from->start_stack;
    mm->def_flags = future[from->lock_future];
    spin_lock(&mm->arg_lock);
    mm->arg_start = from->arg_start;
    mm->arg_end = from->arg_end;
    mm->env_start = from->env_start;
    mm->env_end = from->env_end;
    spin_unlock(&mm->arg_lock);
    memcpy(mm->saved_auxv, from->auxv, sizeof mm->saved_auxv);
    atomic_set(&mm->membarrier_state, (int)from->membarrier);
    mm->flags = (mm->flags & ~(unsigned long)MMF_INIT_MASK) | (from->mm_flags & MMF_INIT_MASK);
    mmap_write_unlock(mm);
}

int build_memory(const struct migration_package *package, unsigned int home, char *reason)
{
    int error;

    current->mm->def_flags = 0;
    error = vm_munmap(0, TASK_SIZE);
    if (!error)
        error = map_vdso(package, home);
    if (error)
        return build_refuse(error, reason, "its memory cannot be made: error %d", -error);
    for (size_t i = 0; i < package->vmas_count; i++) {
        const struct package_vma *vma = &package->vmas[i];

        error = map(package, vma, reason);
        if (error)
            return error;
        error = advise(vma);
        if (error)
            return cannot_make(error, package, vma, reason);
    }
    error = write_pages(package);
    for (size_t i = 0; i < package->vmas_count && !error; i++)
        error = lock(&package->vmas[i]);
    if (error)
        return build_refuse(error, reason, "its pages cannot be put in place: error %d", -error);
    set_bounds(package->process);
    return 0;
}
