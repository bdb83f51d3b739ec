// SPDX-License-Identifier: GPL-2.0-only
// What the threads of a stub do: wait, make calls of the process, send it the signals that come
// here, and stop or end as it does.
//
// While a thread waits no signal is blocked, so that each one gets here at once, whoever it is for:
// the process's masks are where it runs. All are in real_blocked, which sigtimedwait uses: such a
// signal is neither ignored nor does it kill before somebody has looked at it (kernel/signal.c,
// sig_ignored and complete_signal).
#include "linuxserver/migration/forward_private.h"

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/tty.h>

LIST_HEAD(stubs);
static DEFINE_HASHTABLE(threads, 6);

// --- Records -----------------------------------------------------------------------------

struct stub *stub_find(pid_t tgid)
{
    struct stub *stub = NULL;

    list_for_each_entry(stub, &stubs, link)
    {
        if (stub->tgid == tgid)
            return stub;
    }
    return NULL;
}

struct stub_thread *stub_thread_find(pid_t tid)
{
    struct stub_thread *thread;

    hash_for_each_possible(threads, thread, hash, (unsigned long)tid)
    {
        if (thread->tid == tid)
            return thread;
    }
    return NULL;
}

struct stub *stub_new(unsigned int node, bool begun)
{
    struct stub *stub = kzalloc(sizeof *stub, GFP_KERNEL);

    if (stub == NULL)
        return NULL;
    INIT_LIST_HEAD(&stub->threads);
    stub->node = node;
    stub->begun = begun;
    list_add_tail(&stub->link, &stubs);
    return stub;
}

// The process's next thread, or first one. NULL: no memory.
struct stub_thread *stub_thread_new(struct stub *stub)
{
    struct stub_thread *thread = kzalloc(sizeof *thread, GFP_KERNEL);

    if (thread == NULL)
        return NULL;
    thread->stub = stub;
    init_waitqueue_head(&thread->wait);
    INIT_HLIST_NODE(&thread->hash);
    list_add_tail(&thread->link, &stub->threads);
    return thread;
}

// Its number, which can be known before it has run.
void stub_thread_known(struct stub_thread *thread, pid_t tid)
{
    if (thread->tid != 0)
        return;
    thread->tid = tid;
    hash_add(threads, &thread->hash, (unsigned long)tid);
    if (thread->stub->tgid == 0)
        thread->stub->tgid = tid;
}

void stub_thread_free(struct stub_thread *thread)
{
    struct stub *stub = thread->stub;

    if (!hlist_unhashed(&thread->hash))
        hash_del(&thread->hash);
    list_del(&thread->link);
    kfree(thread->call);
    kfree(thread);
    if (!list_empty(&stub->threads))
        return;
    list_del(&stub->link);
    home_forget(stub);
    kfree(stub);
}

// Something has changed that all its threads look at; calls they are in end as for a signal.
void stub_kick(struct stub *stub)
{
    struct stub_thread *thread = NULL;

    list_for_each_entry(thread, &stub->threads, link)
    {
        if (thread->task == NULL)
            continue;
        if (thread->sequence != 0)
            set_notify_signal(thread->task);
        thread->woken = true;
        stopped_interrupt(thread->task);
        wake_up(&thread->wait);
    }
}

// --- Signals -----------------------------------------------------------------------------

// What the process's descriptors wait for stays here; before the process is there, and while it
// comes back, all does.
void stub_idle_mask(const struct stub_thread *thread)
{
    sigset_t mask = thread->stub->claimed;

    if (!thread->stub->begun || thread->stub->home != NULL)
        sigfillset(&mask);
    set_current_blocked(&mask);
}

// Terminals' stops do nothing to those whose group nobody looks after; home knows who does.
static bool is_stop_of_orphan(int signal)
{
    return sig_kernel_stop(signal) && signal != SIGSTOP &&
           current->sighand->action[signal - 1].sa.sa_handler == SIG_DFL &&
           is_current_pgrp_orphaned();
}

static void send_signal(struct stub *stub, const kernel_siginfo_t *info, enum pid_type type)
{
    u64 words[MIGRATION_WORDS] = {(u64)stub->tgid, type == PIDTYPE_PID ? (u64)current->pid : 0};
    int error;

    if (is_stop_of_orphan(info->si_signo))
        return;
    if (info->si_signo == SIGCONT)
        stub->continued++;
    words[2] = stub->continued;
    error = migration_send(stub->node, FORWARD_SIGNAL, words, info, sizeof *info);
    if (error != 0)
        pr_err("migration: signal %d of process %d is lost: error %d\n", info->si_signo, stub->tgid,
               error);
}

void stub_send_signals(struct stub_thread *thread)
{
    kernel_siginfo_t info;
    enum pid_type type = PIDTYPE_PID;
    sigset_t before, now;
    int signal;

    for (;;) {
        spin_lock_irq(&current->sighand->siglock);
        signal = dequeue_signal(current, &current->blocked, &info, &type);
        spin_unlock_irq(&current->sighand->siglock);
        if (signal == 0 || signal == SIGKILL)
            return;
        before = thread->stub->claimed;
        stub_claims(thread->stub);
        now = thread->stub->claimed;
        if (!sigismember(&now, signal)) {
            send_signal(thread->stub, &info, type);
            continue;
        }
        // A descriptor has begun to wait for it since: it is put back, and stays.
        sigorsets(&now, &now, &current->blocked);
        set_current_blocked(&now);
        (void)do_send_sig_info(signal, &info, current, type);
    }
}

// --- Stopping ----------------------------------------------------------------------------

// Linux's own way to stop, continue and tell the parent; no other signal is looked at meanwhile.
static void obey(struct stub_thread *thread)
{
    struct ksignal nothing;

    set_thread_flag(TIF_SIGPENDING);
    (void)get_signal(&nothing);
    stub_idle_mask(thread);
}

static bool is_told_to_stop(void)
{
    return (current->jobctl & (JOBCTL_PENDING_MASK | JOBCTL_TRAP_FREEZE)) != 0 ||
           (current->signal->flags & SIGNAL_CLD_MASK) != 0;
}

static void obey_only(struct stub_thread *thread)
{
    sigset_t all;

    sigfillset(&all);
    set_current_blocked(&all);
    obey(thread);
}

// The process has stopped where it runs, by that signal.
static void stop(struct stub_thread *thread, int signal)
{
    struct k_sigaction *action = &current->sighand->action[signal - 1];
    __sighandler_t handler = action->sa.sa_handler;
    sigset_t others;

    if (current->signal->flags & SIGNAL_STOP_STOPPED)
        return; // it is known: it was stopped when it moved
    // One that continues it has come since, and is on its way there.
    if (sigismember(&current->signal->shared_pending.signal, SIGCONT) ||
        sigismember(&current->pending.signal, SIGCONT))
        return;
    siginitsetinv(&others, sigmask(signal));
    set_current_blocked(&others);
    action->sa.sa_handler = SIG_DFL;
    (void)send_sig(signal, current, 1);
    obey(thread);
    action->sa.sa_handler = handler;
}

// --- Ends --------------------------------------------------------------------------------

// Somebody has killed the stub: the process dies.
static void tell_killed(struct stub *stub)
{
    u64 words[MIGRATION_WORDS] = {(u64)stub->tgid};

    if (stub->told || stub->ended || stub->leaving || stub->released)
        return;
    stub->told = true;
    (void)migration_send(stub->node, FORWARD_KILL, words, NULL, 0);
}

// What the process has taken elsewhere is told its parent as its own.
static void take_time(struct stub *stub)
{
    struct signal_struct *signal = current->signal;

    spin_lock_irq(&current->sighand->siglock);
    write_seqlock(&signal->stats_lock);
    signal->utime += stub->user_ns;
    signal->stime += stub->system_ns;
    signal->sum_sched_runtime += stub->runtime_ns;
    write_sequnlock(&signal->stats_lock);
    spin_unlock_irq(&current->sighand->siglock);
    stub->user_ns = stub->system_ns = stub->runtime_ns = 0;
}

static void __noreturn end(struct stub_thread *thread)
{
    struct stub *stub = thread->stub;
    int status = stub->ended ? stub->status : SIGKILL;

    take_time(stub);
    do_group_exit(status);
}

// However a thread ends: also by a signal that Linux itself sees while the stub is stopped.
void stub_exits(struct task_struct *task)
{
    struct stub_thread *thread = list_empty(&stubs) ? NULL : stub_thread_find(task->pid);

    if (thread == NULL || thread->task != task)
        return;
    if (task->signal->flags & SIGNAL_GROUP_EXIT)
        tell_killed(thread->stub);
    stub_thread_free(thread);
}

// --- The loop ----------------------------------------------------------------------------

static bool has_work(const struct stub_thread *thread)
{
    const struct stub *stub = thread->stub;

    return thread->call != NULL || thread->ending || stub->ended || stub->released ||
           stub->stop != 0 || thread->woken || home_has_work(thread);
}

static void look_at_signals(struct stub_thread *thread)
{
    clear_notify_signal();
    if (task_work_pending(current))
        task_work_run();
    if (is_told_to_stop())
        obey_only(thread);
    if (task_sigpending(current))
        stub_send_signals(thread);
}

void stub_loop(struct stub_thread *thread)
{
    struct stub *stub = thread->stub;

    for (;;) {
        stub_idle_mask(thread);
        if (!has_work(thread) && stopped_again())
            obey_only(thread);
        (void)wait_event_interruptible(thread->wait, has_work(thread));
        thread->woken = false;
        if (fatal_signal_pending(current) || stub->ended)
            end(thread);
        if (thread->ending)
            do_exit(0);
        if (stub->released)
            return;
        look_at_signals(thread);
        if (home_has_work(thread))
            home_build(thread);
        if (stub->stop != 0) {
            int signal = stub->stop;

            stub->stop = 0;
            stop(thread, signal);
        }
        if (thread->call != NULL && stub_make(thread))
            return;
    }
}

void stub_leave(struct stub_thread *thread)
{
    if (thread->stub->released) {
        home_go_on(thread);
        return;
    }
    current->real_blocked = thread->real_blocked;
    stub_area_free(thread);
    stub_thread_free(thread);
}

void stub_serve(void *context)
{
    unsigned int node = (unsigned int)(unsigned long)context;
    struct stub *stub = stub_find(current->tgid);
    struct stub_thread *thread;

    if (stub == NULL)
        stub = stub_new(node, true);
    thread = stub != NULL ? stub_thread_new(stub) : NULL;
    if (thread == NULL) {
        pr_err("migration: no memory for the stub of process %d, which ends\n", current->tgid);
        if (stub != NULL && list_empty(&stub->threads)) {
            list_del(&stub->link);
            kfree(stub);
        }
        do_group_exit(SIGKILL);
    }
    thread->task = current;
    if (stub->tgid == 0)
        stub->tgid = current->tgid;
    stub_thread_known(thread, current->pid);
    thread->real_blocked = current->real_blocked;
    siginitsetinv(&current->real_blocked, sigmask(SIGKILL) | sigmask(SIGSTOP));
    stub_claims(stub);
    stub_loop(thread);
    stub_leave(thread);
}

unsigned int stub_node(pid_t tgid)
{
    const struct stub *stub = stub_find(tgid);

    return stub != NULL ? stub->node : 0;
}
