// SPDX-License-Identifier: GPL-2.0-only
// The current thread becomes one of the package's.
#include "linuxserver/backend/server.h"
#include "linuxserver/migration/build_private.h"
#include "linuxserver/migration/migration.h"
#include "linuxserver/migration/restart.h"

#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/securebits.h>
#include <linux/uidgid.h>
#include <uapi/linux/sched/types.h>

#include <skas.h>

#define SYSCALL_BYTES 2 // of the instruction

#define FLAGS_FREE  0x254dd5ul // of RFLAGS, what a program can change
#define FLAGS_FIXED 0x202ul    // interrupts on

// --- Registers -----------------------------------------------------------------------------------

// Linux looks for a signal first, and makes a call that was interrupted again. From user mode, as
// it would, it cannot do that at once: the page with the instruction is still to follow, and a
// signal that came meanwhile would not end the call. So the call is made again where Linux has
// decided to.
void __real_do_signal(struct pt_regs *regs);
void __wrap_do_signal(struct pt_regs *regs);
void __wrap_do_signal(struct pt_regs *regs)
{
    __real_do_signal(regs);
    if (likely(!test_thread_flag(TIF_BUILT)))
        return;
    clear_thread_flag(TIF_BUILT);
    if (PT_REGS_IP(regs) != current->restart_block.arch_data)
        return; // a handler comes first
    PT_REGS_IP(regs) += SYSCALL_BYTES;
    regs->regs.gp[HOST_ORIG_AX] = regs->regs.gp[HOST_AX]; // which says which call
    handle_syscall(&regs->regs);
}

void build_registers(const struct package_thread *from)
{
    struct uml_pt_regs *regs = &current->thread.regs.regs;

    memcpy(regs->gp, from->registers, sizeof from->registers);
    regs->gp[HOST_IP] = from->rip;
    regs->gp[HOST_EFLAGS] = (from->rflags & FLAGS_FREE) | FLAGS_FIXED;
    regs->gp[HOST_SP] = from->rsp;
    regs->gp[HOST_FS_BASE] = from->fs_base;
    regs->gp[HOST_GS_BASE] = from->gs_base;
    regs->gp[HOST_ORIG_AX] = (unsigned long)from->call;
    regs->syscall = from->call;
    regs->is_user = 1;
    memset(&regs->faultinfo, 0, sizeof regs->faultinfo);
    current->thread.arch.fs = from->fs_base;
    set_thread_flag(TIF_SIGPENDING);
    if (from->call < 0)
        return;
    current->restart_block.arch_data = from->rip - SYSCALL_BYTES;
    set_thread_flag(TIF_BUILT);
}

static void set_vector(const struct package_vector *from)
{
    unsigned long *area = current->thread.regs.regs.fp;

    fpu_release(area);
    memcpy(area, from->bytes, sizeof from->bytes);
}

// --- Signals, scheduling, account ----------------------------------------------------------------

static void set_signal_state(const struct package_thread *from)
{
    spin_lock_irq(&current->sighand->siglock);
    current->sas_ss_sp = from->alternate_stack;
    current->sas_ss_size = from->alternate_bytes;
    current->sas_ss_flags = from->alternate_flags;
    current->pdeath_signal = (int)from->death_signal;
    spin_unlock_irq(&current->sighand->siglock);
}

void build_last_read(struct build_last *last, const struct package_thread *from)
{
    *last = (struct build_last){.blocked = from->blocked,
                                .saved_mask = from->saved_mask,
                                .has_saved_mask = from->flags & PACKAGE_SAVED_MASK};
}

void build_last_set(const struct build_last *last)
{
    sigset_t blocked = {.sig = {last->blocked}};

    set_current_blocked(&blocked);
    if (last->has_saved_mask) {
        current->saved_sigmask.sig[0] = last->saved_mask;
        set_restore_sigmask();
    }
    set_thread_flag(TIF_SIGPENDING);
}

static int set_scheduling(const struct package_thread *from)
{
    const struct sched_attr attributes = {
        .size = sizeof attributes,
        .sched_policy = from->policy,
        .sched_flags = from->flags & PACKAGE_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0,
        .sched_nice = from->nice,
        .sched_priority = from->priority,
    };

    current->timer_slack_ns = from->timer_slack;
    current->default_timer_slack_ns = from->default_timer_slack;
    return sched_setattr_nocheck(current, &attributes);
}

static void set_account(const struct package_thread *from)
{
    current->utime = from->user_time;
    current->stime = from->system_time;
    current->se.sum_exec_runtime = from->run_time;
    current->min_flt = from->minor_faults;
    current->maj_flt = from->major_faults;
    current->nvcsw = from->voluntary_switches;
    current->nivcsw = from->involuntary_switches;
}

int build_thread_state(const struct build *build, size_t index)
{
    const struct package_thread *from = &build->package->threads[index];

    set_vector(&build->package->vectors[index]);
    set_signal_state(from);
    set_account(from);
    restart_read(from, build_time(build, from->restart_clock, from->restart_time));
    current->clear_child_tid = (int __user *)from->clear_child_tid;
    current->robust_list = (void __user *)from->robust_list;
    current->personality = from->personality;
    set_task_comm(current, from->comm);
    return set_scheduling(from);
}

// --- Credentials ---------------------------------------------------------------------------------

static kernel_cap_t capabilities(u64 from)
{
    return (kernel_cap_t){.cap = {(u32)from, (u32)(from >> 32)}};
}

static int take_groups(struct cred *cred, const struct migration_package *package,
                       const struct package_credentials *from)
{
    struct group_info *groups = groups_alloc((int)from->groups);

    if (!groups)
        return -ENOMEM;
    for (u32 i = 0; i < from->groups; i++)
        groups->gid[i] = make_kgid(&init_user_ns, package->groups[from->first_group + i].gid);
    groups_sort(groups);
    set_groups(cred, groups);
    put_group_info(groups);
    return 0;
}

static void set_ids(struct cred *cred, const struct package_credentials *from)
{
    cred->uid = make_kuid(&init_user_ns, from->uid);
    cred->gid = make_kgid(&init_user_ns, from->gid);
    cred->suid = make_kuid(&init_user_ns, from->suid);
    cred->sgid = make_kgid(&init_user_ns, from->sgid);
    cred->euid = make_kuid(&init_user_ns, from->euid);
    cred->egid = make_kgid(&init_user_ns, from->egid);
    cred->fsuid = make_kuid(&init_user_ns, from->fsuid);
    cred->fsgid = make_kgid(&init_user_ns, from->fsgid);
    cred->securebits = from->securebits;
    cred->cap_inheritable = capabilities(from->inheritable);
    cred->cap_permitted = capabilities(from->permitted);
    cred->cap_effective = capabilities(from->effective);
    cred->cap_bset = capabilities(from->bounding);
    cred->cap_ambient = capabilities(from->ambient);
}

// What commit_creds makes undumpable for a change of users stays as the process had it.
int build_credentials(const struct build *build, size_t index)
{
    const struct package_credentials *from = &build->package->threads[index].credentials;
    struct cred *cred = prepare_creds();
    struct user_struct *user;
    int dumpable = get_dumpable(current->mm);
    int death_signal = current->pdeath_signal;
    int error;

    if (!cred)
        return -ENOMEM;
    set_ids(cred, from);
    error = take_groups(cred, build->package, from);
    user = error ? NULL : alloc_uid(cred->uid);
    if (!user) {
        abort_creds(cred);
        return error ?: -ENOMEM;
    }
    free_uid(cred->user);
    cred->user = user;
    error = set_cred_ucounts(cred);
    if (error) {
        abort_creds(cred);
        return error;
    }
    commit_creds(cred);
    current->pdeath_signal = death_signal;
    set_dumpable(current->mm, dumpable);
    if (from->no_new_privileges)
        task_set_no_new_privs(current);
    return 0;
}
