// SPDX-License-Identifier: GPL-2.0-only
// Processes that have come from elsewhere, on the node where they run: their records, signals that
// come from home, and how they end or stop, which home is told.
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/forward_private.h"

#include <linux/init.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

static LIST_HEAD(processes);
static DEFINE_HASHTABLE(threads, 6);

// --- Records -----------------------------------------------------------------------------

struct forward_thread *forward_thread_of(const struct task_struct *task)
{
    struct forward_thread *thread;

    hash_for_each_possible(threads, thread, link, (unsigned long)task)
    {
        if (thread->task == task)
            return thread;
    }
    return NULL;
}

struct forward *forward_find(unsigned int home, pid_t stub)
{
    struct forward *process = NULL;

    list_for_each_entry(process, &processes, link)
    {
        if (process->home == home && process->stub == stub)
            return process;
    }
    return NULL;
}

static struct forward *find_local(pid_t tgid)
{
    struct forward *process = NULL;

    list_for_each_entry(process, &processes, link)
    {
        if (process->tgid == tgid)
            return process;
    }
    return NULL;
}

int forward_attach(struct task_struct *task, unsigned int home, pid_t stub_tgid, pid_t stub_tid,
                   bool local)
{
    struct forward_thread *thread = kzalloc(sizeof *thread, GFP_KERNEL);
    struct forward *fresh = kzalloc(sizeof *fresh, GFP_KERNEL);
    struct forward *process = forward_find(home, stub_tgid);

    if (thread == NULL || fresh == NULL || forward_thread_of(task) != NULL) {
        int error = thread == NULL || fresh == NULL ? -ENOMEM : -EEXIST;

        kfree(thread);
        kfree(fresh);
        return error;
    }
    if (process == NULL) {
        process = fresh;
        process->home = home;
        process->stub = stub_tgid;
        process->tgid = task->tgid;
        process->local = local;
        list_add_tail(&process->link, &processes);
    } else {
        kfree(fresh);
    }
    process->threads++;
    thread->task = task;
    thread->process = process;
    thread->stub = stub_tid;
    hash_add(threads, &thread->link, (unsigned long)task);
    set_tsk_thread_flag(task, TIF_MIGRATED);
    return 0;
}

// The record of the process stays until its end has been told.
static void forget_thread(struct forward_thread *thread)
{
    hash_del(&thread->link);
    thread->process->threads--;
    kfree(thread);
}

static void forget_process(struct forward *process)
{
    list_del(&process->link);
    kfree(process);
}

bool forward_is_any_of(unsigned int home)
{
    const struct forward *process = NULL;

    list_for_each_entry(process, &processes, link)
    {
        if (process->home == home)
            return true;
    }
    return false;
}

unsigned int forward_home(pid_t tgid)
{
    const struct forward *process = find_local(tgid);

    return process == NULL || process->local || process->gone ? 0 : process->home;
}

void forward_detach(struct task_struct *task)
{
    struct forward_thread *thread = forward_thread_of(task);
    struct forward *process;

    if (thread == NULL)
        return;
    process = thread->process;
    clear_tsk_thread_flag(task, TIF_MIGRATED);
    forget_thread(thread);
    if (process->threads == 0)
        forget_process(process);
}

void forward_tell(const struct forward *process, u32 id, u64 second, u64 third, const void *data,
                  size_t bytes)
{
    u64 words[MIGRATION_WORDS] = {(u64)process->stub, second, third};
    int error = migration_send(process->home, id, words, data, bytes);

    if (error != 0)
        pr_err("migration: node %u does not hear %u of process %d: error %d\n", process->home, id,
               process->stub, error);
}

// --- Beginning and end -------------------------------------------------------------------

// Linux's last step of a clone: the child's number is known, and it has not run yet.
void __real_wake_up_new_task(struct task_struct *task);
void __wrap_wake_up_new_task(struct task_struct *task);
void __wrap_wake_up_new_task(struct task_struct *task)
{
    struct forward_thread *parent;
    int error;

    if (likely(!test_tsk_thread_flag(task, TIF_MIGRATED))) {
        __real_wake_up_new_task(task);
        return;
    }
    parent = forward_thread_of(current);
    // What a thread of Linux's own makes on its behalf has moved from nowhere.
    if (parent == NULL || parent->child == 0) {
        clear_tsk_thread_flag(task, TIF_MIGRATED);
    } else {
        bool fork = task->tgid == task->pid;

        error = forward_attach(task, parent->process->home,
                               fork ? parent->child : parent->process->stub, parent->child,
                               parent->process->local);
        if (error != 0)
            (void)send_sig(SIGKILL, task, 1);
        else if (fork)
            forward_tell(forward_thread_of(task)->process, FORWARD_BEGUN, 0, 0, NULL, 0);
    }
    __real_wake_up_new_task(task);
}

// A thread ends: alone, or with its process, whose end the shepherd tells; or a stub's.
void __real_exit_signals(struct task_struct *task);
void __wrap_exit_signals(struct task_struct *task);
void __wrap_exit_signals(struct task_struct *task)
{
    struct forward_thread *thread = NULL;

    if (unlikely(test_tsk_thread_flag(task, TIF_MIGRATED)))
        thread = forward_thread_of(task);
    if (thread != NULL) {
        u64 words[MIGRATION_WORDS] = {(u64)thread->stub};
        unsigned int home = thread->process->home;
        bool alone = !(task->signal->flags & SIGNAL_GROUP_EXIT) && !thread->process->gone &&
                     !thread_group_empty(task);

        thread->process->user_ns += task->utime;
        thread->process->system_ns += task->stime;
        thread->process->runtime_ns += task->se.sum_exec_runtime;
        forget_thread(thread);
        if (alone)
            (void)migration_send(home, FORWARD_END, words, NULL, 0);
    }
    stub_exits(task);
    __real_exit_signals(task);
}

static bool is_stopped(pid_t tgid)
{
    struct task_struct *task;
    bool stopped;

    rcu_read_lock();
    task = find_task_by_pid_ns(tgid, &init_pid_ns);
    stopped = task != NULL && (task->signal->flags & SIGNAL_STOP_STOPPED) != 0;
    rcu_read_unlock();
    return stopped;
}

#define STATUS_IS_STOP(status) (((status)&0xff) == 0x7f)
#define STATUS_CONTINUED       0xffff

static void tell_end(const struct forward *process, int status)
{
    u64 words[MIGRATION_WORDS] = {(u64)process->stub, (u64)status,        process->continued,
                                  process->user_ns,   process->system_ns, process->runtime_ns};
    int error = migration_send(process->home, FORWARD_STATUS, words, NULL, 0);

    if (error != 0)
        pr_err("migration: node %u does not hear the end of process %d: error %d\n", process->home,
               process->stub, error);
}

void forward_status(pid_t tgid, int status)
{
    struct forward *process = find_local(tgid);

    if (process == NULL || status == STATUS_CONTINUED)
        return;
    // One that goes on already was continued by home, which knows.
    if (STATUS_IS_STOP(status)) {
        if (is_stopped(tgid))
            forward_tell(process, FORWARD_STATUS, (u64)status, process->continued, NULL, 0);
        return;
    }
    if (!process->gone)
        tell_end(process, status);
    forget_process(process);
}

// --- From home ---------------------------------------------------------------------------

static void deliver(struct forward *process, pid_t stub_tid, const kernel_siginfo_t *given)
{
    kernel_siginfo_t info = *given;
    struct forward_thread *thread = NULL;
    struct task_struct *task = NULL;
    int bucket;

    rcu_read_lock();
    if (stub_tid == 0) {
        task = find_task_by_pid_ns(process->tgid, &init_pid_ns);
    } else {
        hash_for_each(threads, bucket, thread, link)
        {
            if (thread->process == process && thread->stub == stub_tid)
                task = thread->task;
        }
    }
    if (task != NULL)
        (void)do_send_sig_info(info.si_signo, &info, task,
                               stub_tid == 0 ? PIDTYPE_TGID : PIDTYPE_PID);
    rcu_read_unlock();
}

static void kill_process(struct forward *process)
{
    struct task_struct *task;

    rcu_read_lock();
    task = find_task_by_pid_ns(process->tgid, &init_pid_ns);
    if (task != NULL)
        (void)do_send_sig_info(SIGKILL, SEND_SIG_PRIV, task, PIDTYPE_TGID);
    rcu_read_unlock();
}

void forward_from_home(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes)
{
    struct forward *process;
    const kernel_siginfo_t *info = data;

    if (id == FORWARD_RESULT) {
        forward_result(node, words, data, bytes);
        return;
    }
    process = forward_find(node, (pid_t)words[0]);
    if (process == NULL) {
        // It has ended, or has gone on: then its home has heard, or will, where it is now.
        if (id == FORWARD_SIGNAL && move_has_gone_on(node, (pid_t)words[0]))
            (void)migration_send(node, FORWARD_STRAY, words, data, bytes);
        return;
    }
    if (id == FORWARD_KILL) {
        kill_process(process);
        return;
    }
    if (id != FORWARD_SIGNAL || bytes != sizeof *info ||
        !valid_signal((unsigned long)info->si_signo) || info->si_signo <= 0) {
        migration_peer_counts.refused++;
        return;
    }
    process->continued = words[2];
    deliver(process, (pid_t)words[1], info);
}

// Its files are gone, and its parent; unless home has heard nothing of it yet that could be lost.
void forward_home_gone(unsigned int node, bool for_good)
{
    struct forward *process = NULL;

    list_for_each_entry(process, &processes, link)
    {
        if (process->home != node || (!for_good && move_is_unsettled(node, process->tgid)))
            continue;
        pr_warn("migration: process %d ends: its home, node %u, is gone\n", process->tgid, node);
        kill_process(process);
    }
}

// --- Both sides' messages ----------------------------------------------------------------

static void handle(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                   const void *data, size_t bytes)
{
    if (id < FORWARD_TO_HOME)
        stub_from_process(node, id, words, data, bytes);
    else
        forward_from_home(node, id, words, data, bytes);
}

static void link_changed(unsigned int node, enum migration_link_event event)
{
    // What was under way is lost with the link, whether the node is dead or cut off.
    if (event == MIGRATION_LINK_UP)
        return;
    stub_node_gone(node);
    forward_home_gone(node, event == MIGRATION_LINK_GONE);
    forward_again(node);
    clocks_forget(node);
}

static int __init begin(void)
{
    migration_handle(MESSAGES_FORWARD_FIRST, MESSAGES_FORWARD_LAST, handle);
    migration_on_link(link_changed);
    return 0;
}
device_initcall(begin);
