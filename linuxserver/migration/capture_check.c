// SPDX-License-Identifier: GPL-2.0-only
// What cannot move, refused by name before anything has changed.
#include "linuxserver/drivers/message.h"
#include "linuxserver/migration/capture_private.h"

#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/userfaultfd_k.h>

int capture_refuse(char *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vscnprintf(reason, MIGRATION_REASON, format, arguments);
    va_end(arguments);
    return -EOPNOTSUPP;
}

// --- The process ---------------------------------------------------------------------------------

static int check_process(struct task_struct *leader, char *reason)
{
    const struct signal_struct *signal = leader->signal;

    if (leader->flags & PF_KTHREAD)
        return capture_refuse(reason, "it is a kernel thread");
    if (is_global_init(leader))
        return capture_refuse(reason, "it is init");
    if (leader->flags & PF_EXITING && signal->nr_threads > 1)
        return capture_refuse(reason, "its main thread has ended");
    if (leader->flags & PF_EXITING || signal->flags & SIGNAL_GROUP_EXIT || signal->core_state)
        return capture_refuse(reason, "it is ending");
    if (task_active_pid_ns(leader) != &init_pid_ns)
        return capture_refuse(reason, "it is in a process number namespace of its own");
    return 0;
}

static int check_thread(struct task_struct *t, const struct task_struct *leader, char *reason)
{
    if (t->ptrace)
        return capture_refuse(reason, "thread %d is being debugged", t->pid);
    if (!list_empty(&t->ptraced))
        return capture_refuse(reason, "thread %d debugs another process", t->pid);
    if (t->seccomp.mode != SECCOMP_MODE_DISABLED)
        return capture_refuse(reason, "thread %d has a seccomp filter", t->pid);
    if (t->io_uring)
        return capture_refuse(reason, "thread %d uses io_uring", t->pid);
    if (__task_cred(t)->user_ns != &init_user_ns)
        return capture_refuse(reason, "thread %d is in a user namespace of its own", t->pid);
    if (t->policy == SCHED_DEADLINE)
        return capture_refuse(reason, "thread %d has a deadline policy", t->pid);
    if (t->files != leader->files || t->fs != leader->fs)
        return capture_refuse(reason, "thread %d has files or folders of its own", t->pid);
    return 0;
}

static int check_threads(struct task_struct *leader, char *reason)
{
    struct task_struct *t;
    int error = 0;

    rcu_read_lock();
    for_each_thread(leader, t)
    {
        if (t->flags & PF_EXITING)
            continue;
        error = check_thread(t, leader, reason);
        if (error)
            break;
    }
    rcu_read_unlock();
    return error;
}

static int check_sharing(struct task_struct *leader, char *reason)
{
    struct task_struct *p;
    int error = 0;

    rcu_read_lock();
    for_each_process(p)
    {
        if (same_thread_group(p, leader) || p->flags & (PF_KTHREAD | PF_EXITING))
            continue;
        if (p->mm == leader->mm)
            error = capture_refuse(reason, "it shares its memory with process %d", p->pid);
        else if (p->files == leader->files)
            error = capture_refuse(reason, "it shares its open files with process %d", p->pid);
        else if (p->fs == leader->fs)
            error = capture_refuse(reason, "it shares its folders with process %d", p->pid);
        if (error)
            break;
    }
    rcu_read_unlock();
    return error;
}

// Files whose calls name memory that nobody sees in the call.
static const struct kind {
    bool (*is)(struct file *file);
    const char *name;
} immovable[] = {
    {io_is_uring_fops, "an io_uring"},
    {corvus_has_ports, "of ports (/dev/corvus)"},
};

static int is_of_kind(const void *kind, struct file *file, unsigned int descriptor)
{
    return ((const struct kind *)kind)->is(file) ? (int)descriptor + 1 : 0;
}

static int check_files(struct task_struct *leader, char *reason)
{
    int descriptor = 0;
    size_t i;

    task_lock(leader);
    for (i = 0; i < ARRAY_SIZE(immovable) && leader->files && !descriptor; i++)
        descriptor = iterate_fd(leader->files, 0, is_of_kind, &immovable[i]);
    task_unlock(leader);
    return descriptor ? capture_refuse(reason, "descriptor %d is %s", descriptor - 1,
                                       immovable[i - 1].name)
                      : 0;
}

// --- Its memory ----------------------------------------------------------------------------------

// What is shared in earnest: a mapping of a file that was opened for reading only is none.
static int refuse_shared(const struct vm_area_struct *vma, char *reason)
{
    const struct file *file = vma->vm_file;
    const char *name = file->f_path.dentry->d_name.name;

    const char *type = file_inode(file)->i_sb->s_type->name;

    if (!strcmp(type, "memobj"))
        return 0; // distributed shared memory
    if (!strcmp(type, "aio"))
        return capture_refuse(reason, "it uses asynchronous I/O (io_setup)");
    if (!strcmp(type, "tmpfs") && !strncmp(name, "SYSV", 4))
        return capture_refuse(reason, "it has a System V segment");
    if (!strcmp(type, "tmpfs") && !strcmp(name, "dev/zero"))
        return capture_refuse(reason, "it has shared anonymous memory");
    return capture_refuse(reason, "it has a shared mapping of %.40s", name);
}

int capture_check_vma(const struct vm_area_struct *vma, char *reason)
{
    if (vma->vm_userfaultfd_ctx.ctx)
        return capture_refuse(reason, "it has memory under userfaultfd");
    if (vma->vm_ops && vma->vm_ops->name)
        return 0; // [vdso], [vvar]
    if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP | VM_HUGETLB))
        return capture_refuse(reason, "it has mapped a device");
    return vma->vm_flags & VM_SHARED && vma->vm_file ? refuse_shared(vma, reason) : 0;
}

static int check_mappings(struct mm_struct *mm, char *reason)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, 0);
    int error = 0;

    if (mmap_read_lock_killable(mm))
        return -EINTR;
    if (mm->context.arch.ldt.entry_count > 0)
        error = capture_refuse(reason, "it has segments of its own (modify_ldt)");
    for_each_vma(iterator, vma)
    {
        if (error)
            break;
        error = capture_check_vma(vma, reason);
    }
    mmap_read_unlock(mm);
    return error;
}

int capture_check_all(struct task_struct *leader, char *reason)
{
    struct mm_struct *mm;
    int error;

    reason[0] = 0;
    error = check_process(leader, reason);
    if (!error)
        error = check_threads(leader, reason);
    if (!error)
        error = check_sharing(leader, reason);
    if (!error)
        error = check_files(leader, reason);
    if (error)
        return error;
    mm = get_task_mm(leader);
    if (!mm)
        return capture_refuse(reason, "it is ending");
    error = check_mappings(mm, reason);
    mmput(mm);
    return error;
}
