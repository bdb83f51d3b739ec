// SPDX-License-Identifier: GPL-2.0-only
// A stopped thread: registers, vector state, the call it is in, masks, credentials, scheduling.
#include "linuxserver/backend/server.h"
#include "linuxserver/migration/capture_private.h"
#include "linuxserver/migration/restart.h"

#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/sched/prio.h>
#include <linux/sched/signal.h>
#include <linux/uidgid.h>

static bool is_restarted(long result)
{
    return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
           result == -ERESTART_RESTARTBLOCK;
}

static void write_registers(struct package_thread *to, const struct task_struct *t)
{
    const struct uml_pt_regs *regs = &t->thread.regs.regs;

    memcpy(to->registers, regs->gp, sizeof to->registers);
    to->rip = regs->gp[HOST_IP];
    to->rflags = regs->gp[HOST_EFLAGS];
    to->rsp = regs->gp[HOST_SP];
    to->fs_base = regs->gp[HOST_FS_BASE];
    to->gs_base = regs->gp[HOST_GS_BASE];
    // The number of a call that is over, whatever it was, is of no interest any more.
    to->call = is_restarted((long)regs->gp[HOST_AX]) ? regs->syscall : -1;
}

static void write_vector(struct package_vector *to, const struct task_struct *t)
{
    fpu_release(t->thread.regs.regs.fp);
    memcpy(to->bytes, t->thread.regs.regs.fp, sizeof to->bytes);
}

static void write_signal_state(struct package_thread *to, struct task_struct *t)
{
    spin_lock_irq(&t->sighand->siglock);
    to->blocked = t->blocked.sig[0];
    if (test_tsk_restore_sigmask(t)) {
        to->flags |= PACKAGE_SAVED_MASK;
        to->saved_mask = t->saved_sigmask.sig[0];
    }
    to->alternate_stack = t->sas_ss_sp;
    to->alternate_bytes = t->sas_ss_size;
    to->alternate_flags = t->sas_ss_flags;
    to->death_signal = (u32)t->pdeath_signal;
    spin_unlock_irq(&t->sighand->siglock);
}

static void write_scheduling(struct package_thread *to, const struct task_struct *t)
{
    to->policy = t->policy;
    to->priority = t->rt_priority;
    to->nice = PRIO_TO_NICE(t->static_prio);
    if (t->sched_reset_on_fork)
        to->flags |= PACKAGE_RESET_ON_FORK;
    to->timer_slack = t->timer_slack_ns;
    to->default_timer_slack = t->default_timer_slack_ns;
}

static void write_account(struct package_thread *to, const struct task_struct *t)
{
    to->user_time = t->utime;
    to->system_time = t->stime;
    to->run_time = t->se.sum_exec_runtime;
    to->minor_faults = t->min_flt;
    to->major_faults = t->maj_flt;
    to->voluntary_switches = t->nvcsw;
    to->involuntary_switches = t->nivcsw;
}

// --- Credentials ---------------------------------------------------------------------------------

static u64 capabilities(const kernel_cap_t *from)
{
    return from->cap[0] | (u64)from->cap[1] << 32;
}

static void write_credentials(struct package_credentials *to, const struct cred *from)
{
    to->uid = from_kuid(&init_user_ns, from->uid);
    to->gid = from_kgid(&init_user_ns, from->gid);
    to->suid = from_kuid(&init_user_ns, from->suid);
    to->sgid = from_kgid(&init_user_ns, from->sgid);
    to->euid = from_kuid(&init_user_ns, from->euid);
    to->egid = from_kgid(&init_user_ns, from->egid);
    to->fsuid = from_kuid(&init_user_ns, from->fsuid);
    to->fsgid = from_kgid(&init_user_ns, from->fsgid);
    to->securebits = from->securebits;
    to->inheritable = capabilities(&from->cap_inheritable);
    to->permitted = capabilities(&from->cap_permitted);
    to->effective = capabilities(&from->cap_effective);
    to->bounding = capabilities(&from->cap_bset);
    to->ambient = capabilities(&from->cap_ambient);
}

// A thread's groups are those of the one before it, nearly always.
static const struct group_info *groups_before(const struct capture *capture, size_t index)
{
    return index == 0 ? NULL : __task_cred(capture_threads(capture)[index - 1])->group_info;
}

int capture_gather_groups(struct capture *capture)
{
    int error = 0;

    for (size_t i = 0; i < capture->threads.count && !error; i++) {
        const struct cred *cred = get_task_cred(capture_threads(capture)[i]);
        const struct group_info *groups = cred->group_info;
        bool known;

        rcu_read_lock();
        known = groups == groups_before(capture, i);
        rcu_read_unlock();
        for (int j = 0; j < groups->ngroups && !known && !error; j++) {
            struct package_group *group = gather(&capture->groups, sizeof *group);

            if (group)
                group->gid = from_kgid(&init_user_ns, groups->gid[j]);
            else
                error = -ENOMEM;
        }
        put_cred(cred);
    }
    return error;
}

// Where they are, by the same rule.
static void write_groups(struct capture *capture, size_t index, const struct cred *cred)
{
    struct package_credentials *to = &capture->records.threads[index].credentials;
    const struct package_credentials *before = to;

    if (index > 0)
        before = &capture->records.threads[index - 1].credentials;
    to->groups = (u32)cred->group_info->ngroups;
    if (cred->group_info == groups_before(capture, index))
        to->first_group = before->first_group;
    else
        to->first_group = before->first_group + (index > 0 ? before->groups : 0);
}

// --- All of it -----------------------------------------------------------------------------------

int capture_thread(struct capture *capture, size_t index)
{
    struct package_thread *to = &capture->records.threads[index];
    struct task_struct *t = capture_threads(capture)[index];

    to->tid = (u32)t->pid;
    write_registers(to, t);
    write_vector(&capture->records.vectors[index], t);
    write_signal_state(to, t);
    write_scheduling(to, t);
    write_account(to, t);
    if ((long)to->registers[HOST_AX] == -ERESTART_RESTARTBLOCK && !restart_write(to, t))
        return capture_refuse(capture->reason, "thread %d is in a call that cannot be continued",
                              t->pid);
    to->clear_child_tid = (u64)t->clear_child_tid;
    to->robust_list = (u64)t->robust_list;
    to->personality = t->personality;
    __get_task_comm(to->comm, sizeof to->comm, t);
    rcu_read_lock();
    write_credentials(&to->credentials, __task_cred(t));
    write_groups(capture, index, __task_cred(t));
    rcu_read_unlock();
    to->credentials.no_new_privileges = task_no_new_privs(t);
    return 0;
}
