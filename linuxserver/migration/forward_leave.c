// SPDX-License-Identifier: GPL-2.0-only
// A process that has come from elsewhere goes on elsewhere: nothing is told of its end here, its
// memory stays for its new node, and signals that came after it was written down go home, which
// knows where it is.
#include "linuxserver/migration/forward_private.h"

#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

static void send_stray(const struct forward *process, pid_t tid, const kernel_siginfo_t *info)
{
    forward_tell(process, FORWARD_STRAY, (u64)tid, 0, info, sizeof *info);
}

// Takes one signal out of the queue. False: there is none.
static bool take_one(struct sigpending *queue, kernel_siginfo_t *info)
{
    struct sigqueue *entry = list_first_entry_or_null(&queue->list, struct sigqueue, list);
    struct sigqueue *other;
    struct sigpending taken;
    unsigned int number;

    if (entry == NULL) {
        for (number = 1; number <= _NSIG && !sigismember(&queue->signal, (int)number); number++)
            ;
        if (number > _NSIG)
            return false;
        clear_siginfo(info);
        info->si_signo = (int)number;
        info->si_code = number == SIGKILL ? SI_KERNEL : SI_USER;
        sigdelset(&queue->signal, (int)number);
        return true;
    }
    copy_siginfo(info, &entry->info);
    init_sigpending(&taken);
    list_move_tail(&entry->list, &taken.list);
    flush_sigqueue(&taken);
    sigdelset(&queue->signal, info->si_signo);
    list_for_each_entry(other, &queue->list, list)
    {
        if (other->info.si_signo == info->si_signo)
            sigaddset(&queue->signal, info->si_signo);
    }
    return true;
}

static void empty_queue(const struct forward *process, struct task_struct *task, bool shared)
{
    struct sigpending *queue = shared ? &task->signal->shared_pending : &task->pending;
    kernel_siginfo_t info;
    bool any;

    do {
        spin_lock_irq(&task->sighand->siglock);
        any = take_one(queue, &info);
        spin_unlock_irq(&task->sighand->siglock);
        if (any)
            send_stray(process, shared ? 0 : task->pid, &info);
    } while (any);
}

void forward_send_signals(struct task_struct *leader)
{
    const struct forward_thread *thread = forward_thread_of(leader);
    struct task_struct *task = NULL;

    if (thread == NULL)
        return;
    // All stand still: none begins, and none ends.
    for_each_thread(leader, task)
    {
        if (!(task->flags & PF_EXITING))
            empty_queue(thread->process, task, false);
    }
    empty_queue(thread->process, leader, true);
}

void forward_leave(struct task_struct *leader, unsigned int node)
{
    const struct forward_thread *thread = forward_thread_of(leader);
    struct task_struct *task = NULL;

    if (thread == NULL)
        return;
    forward_send_signals(leader);
    if (node != thread->process->home)
        forward_tell(thread->process, FORWARD_LEFT, node, 0, NULL, 0);
    for_each_thread(leader, task)
    {
        forward_detach(task);
        // The end of a thread here changes nothing in the memory.
        task->clear_child_tid = NULL;
        task->robust_list = NULL;
    }
}

int forward_here(unsigned int home, pid_t tgid)
{
    u64 words[MIGRATION_WORDS] = {(u64)tgid};
    int error = migration_send(home, FORWARD_HERE, words, NULL, 0);

    if (error != 0)
        pr_err("migration: node %u does not hear that process %d is here: error %d\n", home, tgid,
               error);
    return error;
}
