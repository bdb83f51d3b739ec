// SPDX-License-Identifier: GPL-2.0-only
// Pending signals with what they say, and handlers.
#include "linuxserver/migration/capture_private.h"

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>

_Static_assert(sizeof(struct kernel_siginfo) == PACKAGE_INFO_BYTES, "what a signal says");

static size_t count_queue(const struct sigpending *queue)
{
    const struct sigqueue *entry;
    size_t count = 0;

    list_for_each_entry(entry, &queue->list, list)
    {
        count++;
    }
    return count + _NSIG; // and those that found no memory for what they say
}

static void add(struct gathered *to, u32 thread, const struct kernel_siginfo *info)
{
    struct package_signal *signal = (struct package_signal *)to->items + to->count++;

    signal->thread = thread;
    signal->number = (u32)info->si_signo;
    memcpy(signal->info, info, sizeof *info);
}

// The timer that it is of is not this node's any more: Linux must not look for it.
static struct kernel_siginfo without_timer(const struct kernel_siginfo *info)
{
    struct kernel_siginfo copy = *info;

    if (copy.si_code == SI_TIMER)
        copy.si_sys_private = 0;
    return copy;
}

// A timer that has gone off here, too, while its signal from the node before still waited, has two:
// Linux never has. They become one, and the timer's overrun has the rest (capture_timers.c).
static bool is_repeated(const struct sigpending *queue, const struct sigqueue *of)
{
    const struct sigqueue *entry;

    if (of->info.si_code != SI_TIMER)
        return false;
    list_for_each_entry(entry, &queue->list, list)
    {
        if (entry == of)
            return false;
        if (entry->info.si_code == SI_TIMER && entry->info.si_tid == of->info.si_tid)
            return true;
    }
    return false;
}

static void gather_queue(struct gathered *to, const struct sigpending *queue, u32 thread)
{
    const struct sigqueue *entry;
    sigset_t left = queue->signal;

    list_for_each_entry(entry, &queue->list, list)
    {
        struct kernel_siginfo info = without_timer(&entry->info);

        if (info.si_signo == SIGKILL)
            continue;
        if (!is_repeated(queue, entry))
            add(to, thread, &info);
        sigdelset(&left, info.si_signo);
    }
    sigdelset(&left, SIGKILL);
    for (int number = 1; number <= _NSIG; number++) {
        struct kernel_siginfo info = {.si_signo = number, .si_code = SI_USER};

        if (sigismember(&left, number))
            add(to, thread, &info);
    }
}

// How many there can be at most; under the lock.
static size_t most_signals(const struct capture *capture)
{
    size_t most = count_queue(&capture->leader->signal->shared_pending);

    for (size_t i = 0; i < capture->threads.count; i++)
        most += count_queue(&capture_threads(capture)[i]->pending);
    return most;
}

// Signals go on coming while we look, so the room may have become too small.
int capture_gather_signals(struct capture *capture)
{
    struct gathered *to = &capture->signals;
    spinlock_t *lock = &capture->leader->sighand->siglock;
    size_t most;

    spin_lock_irq(lock);
    most = most_signals(capture);
    while (most > to->room) {
        spin_unlock_irq(lock);
        kvfree(to->items);
        to->room = most;
        to->items = kvcalloc(most, sizeof(struct package_signal), GFP_KERNEL);
        if (!to->items)
            return -ENOMEM;
        spin_lock_irq(lock);
        most = most_signals(capture);
    }
    for (size_t i = 0; i < capture->threads.count; i++)
        gather_queue(to, &capture_threads(capture)[i]->pending, (u32)i);
    gather_queue(to, &capture->leader->signal->shared_pending, PACKAGE_SHARED);
    spin_unlock_irq(lock);
    return 0;
}

static size_t count_of_timer(const struct sigpending *queue, int timer)
{
    const struct sigqueue *entry;
    size_t count = 0;

    list_for_each_entry(entry, &queue->list, list)
    {
        count += entry->info.si_code == SI_TIMER && entry->info.si_tid == timer;
    }
    return count;
}

size_t capture_signals_of(const struct capture *capture, int timer)
{
    struct task_struct *leader = capture->leader;
    size_t count;

    spin_lock(&leader->sighand->siglock);
    count = count_of_timer(&leader->signal->shared_pending, timer);
    for (size_t i = 0; i < capture->threads.count; i++)
        count += count_of_timer(&capture_threads(capture)[i]->pending, timer);
    spin_unlock(&leader->sighand->siglock);
    return count;
}

void capture_handlers(struct capture *capture)
{
    const struct sighand_struct *handlers = capture->leader->sighand;

    for (size_t i = 0; i < _NSIG; i++) {
        const struct sigaction *from = &handlers->action[i].sa;

        capture->records.handlers[i] = (struct package_handler){
            .handler = (u64)from->sa_handler,
            .flags = from->sa_flags,
            .restorer = (u64)from->sa_restorer,
            .mask = from->sa_mask.sig[0],
        };
    }
}

// --- When the process has moved ------------------------------------------------------------------

// Of an interval timer or timer_create's: it has gone off where the process is now, too.
static bool is_of_timer(const struct kernel_siginfo *info)
{
    return info->si_code == SI_TIMER ||
           (info->si_code == SI_KERNEL &&
            (info->si_signo == SIGALRM || info->si_signo == SIGVTALRM ||
             info->si_signo == SIGPROF));
}

// The first `went` entries that are not of timers, and all that are, go to `dropped`.
static void drop_from_queue(struct sigpending *queue, size_t went, struct sigpending *dropped)
{
    struct sigqueue *entry, *next;
    bool kill = sigismember(&queue->signal, SIGKILL);

    sigemptyset(&queue->signal);
    list_for_each_entry_safe(entry, next, &queue->list, list)
    {
        bool timer = is_of_timer(&entry->info);

        if (entry->info.si_signo != SIGKILL && (went > 0 || timer))
            list_move_tail(&entry->list, &dropped->list);
        else
            sigaddset(&queue->signal, entry->info.si_signo);
        if (entry->info.si_signo != SIGKILL && !timer && went > 0)
            went--;
    }
    if (kill)
        sigaddset(&queue->signal, SIGKILL);
}

static size_t count_of(const struct migration_package *package, u32 thread)
{
    size_t count = 0;

    for (size_t i = 0; i < package->signals_count; i++) {
        struct kernel_siginfo info;

        memcpy(&info, package->signals[i].info, sizeof info);
        count += package->signals[i].thread == thread && !is_of_timer(&info);
    }
    return count;
}

static struct task_struct *thread_of(struct task_struct *leader, u32 tid)
{
    struct task_struct *t;

    for_each_thread(leader, t)
    {
        if (t->pid == (pid_t)tid)
            return t;
    }
    return NULL;
}

void capture_drop_signals(struct task_struct *leader, const struct migration_package *package)
{
    struct sigpending dropped;

    init_sigpending(&dropped);
    rcu_read_lock();
    spin_lock_irq(&leader->sighand->siglock);
    for (u32 i = 0; i < package->threads_count; i++) {
        struct task_struct *t = thread_of(leader, package->threads[i].tid);

        if (t)
            drop_from_queue(&t->pending, count_of(package, i), &dropped);
    }
    drop_from_queue(&leader->signal->shared_pending, count_of(package, PACKAGE_SHARED), &dropped);
    flush_sigqueue(&dropped);
    spin_unlock_irq(&leader->sighand->siglock);
    rcu_read_unlock();
}
