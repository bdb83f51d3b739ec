// SPDX-License-Identifier: GPL-2.0-only
// Brings all threads of a process to a stop and lets them go on. Each is given a task work, as by a
// signal that interrupts whatever it waits for: the call returns -ERESTART*, and the thread parks
// in get_signal, before do_signal begins the call again. So its registers are all that there is of
// it. A thread that is stopped (SIGSTOP) stays so, and parks if it is continued meanwhile.
//
// SIGKILL does not wake a parked thread: whoever has frozen a process lets it go on, or makes it a
// stub, and then it dies, or tells the other node. So nobody decides while a move is under way.
#include "linuxserver/migration/interrupted.h"
#include "linuxserver/migration/migration.h"

#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>

#define FREEZE_LIMIT      HZ
#define FREEZE_LIMIT_AWAY (5 * HZ) // of a process whose calls another node has to give back

struct freeze {
    struct list_head link; // of all
    struct task_struct *leader;
    struct list_head threads;
    bool over; // those who park go on
    void (*stub)(void *context);
    void *context;
    wait_queue_head_t changed; // for who freezes
    wait_queue_head_t wait;    // for those who are parked
};

struct freeze_thread {
    struct callback_head work;
    struct list_head link;
    struct freeze *freeze;
    struct task_struct *task;
    bool parked;
};

static LIST_HEAD(freezes);

static struct freeze *freeze_of(const struct task_struct *leader)
{
    struct freeze *freeze = NULL;

    list_for_each_entry(freeze, &freezes, link)
    {
        if (freeze->leader == leader)
            return freeze;
    }
    return NULL;
}

static struct freeze_thread *thread_of(const struct freeze *freeze, const struct task_struct *task)
{
    struct freeze_thread *thread = NULL;

    list_for_each_entry(thread, &freeze->threads, link)
    {
        if (thread->task == task)
            return thread;
    }
    return NULL;
}

static void forget(struct freeze_thread *thread)
{
    struct freeze *freeze = thread->freeze;

    list_del(&thread->link);
    kfree(thread);
    wake_up_all(&freeze->changed);
    if (freeze->over && list_empty(&freeze->threads))
        kfree(freeze);
}

// --- The threads' side -------------------------------------------------------------------

static void park(struct callback_head *work)
{
    struct freeze_thread *thread = container_of(work, struct freeze_thread, work);
    struct freeze *freeze = thread->freeze;

    if (!(current->flags & PF_EXITING)) {
        interrupted_by_freeze();
        thread->parked = true;
        wake_up_all(&freeze->changed);
        wait_event_idle(freeze->wait, freeze->over || freeze->stub != NULL);
        if (freeze->stub != NULL) {
            void (*stub)(void *context) = freeze->stub;
            void *context = freeze->context;

            // It may end in there, and whoever froze it has no more to do with it.
            forget(thread);
            stub(context);
            return;
        }
    }
    forget(thread);
}

// --- Who freezes -------------------------------------------------------------------------

static int add(struct freeze *freeze, struct task_struct *task)
{
    struct freeze_thread *thread = kzalloc(sizeof *thread, GFP_ATOMIC);

    if (thread == NULL)
        return -ENOMEM;
    thread->freeze = freeze;
    thread->task = task;
    init_task_work(&thread->work, park);
    list_add(&thread->link, &freeze->threads);
    if (task_work_add(task, &thread->work, TWA_SIGNAL) == 0)
        return 0;
    list_del(&thread->link); // it ends
    kfree(thread);
    return 0;
}

// Those that are there and not asked yet are. 1: all rest; 0: not yet; -ENOMEM, -ESRCH.
static int look(struct freeze *freeze)
{
    struct task_struct *task = NULL;
    bool is_stopped = (freeze->leader->signal->flags & SIGNAL_STOP_STOPPED) != 0;
    bool all = true, any = false;
    int error = 0;

    rcu_read_lock();
    for_each_thread(freeze->leader, task)
    {
        const struct freeze_thread *thread;

        if (task->flags & PF_EXITING)
            continue;
        any = true;
        thread = thread_of(freeze, task);
        if (thread == NULL)
            error = add(freeze, task);
        if (error != 0)
            break;
        // A stop in which not all of them are yet is waited for.
        if (thread == NULL || (!thread->parked && !(task_is_stopped(task) && is_stopped)))
            all = false;
    }
    rcu_read_unlock();
    return error != 0 ? error : !any ? -ESRCH : all;
}

static int bring_to_a_stop(struct freeze *freeze)
{
    bool away = migration_is_migrated(freeze->leader);
    unsigned long limit = jiffies + (away ? FREEZE_LIMIT_AWAY : FREEZE_LIMIT);
    int result = look(freeze);

    while (result == 0) {
        DEFINE_WAIT(entry);

        if (time_after_eq(jiffies, limit))
            return -EBUSY;
        // A thread that ends, or begins, wakes nobody: so it is looked again after a while.
        prepare_to_wait(&freeze->changed, &entry, TASK_IDLE);
        result = look(freeze);
        if (result == 0)
            schedule_timeout(HZ / 50 + 1);
        finish_wait(&freeze->changed, &entry);
    }
    return result < 0 ? result : 0;
}

static void let_go(struct freeze *freeze)
{
    struct freeze_thread *thread = NULL, *next = NULL;

    list_del(&freeze->link);
    freeze->over = true;
    wake_up_all(&freeze->wait);
    // Works that have not begun, of threads that are stopped or are somewhere else.
    list_for_each_entry_safe(thread, next, &freeze->threads, link)
    {
        if (thread->parked || !task_work_cancel(thread->task, &thread->work))
            continue;
        list_del(&thread->link);
        kfree(thread);
    }
    if (list_empty(&freeze->threads))
        kfree(freeze);
}

int freeze_process(struct task_struct *leader)
{
    struct freeze *freeze;
    int error;

    if (freeze_of(leader) != NULL)
        return -EALREADY;
    freeze = kzalloc(sizeof *freeze, GFP_KERNEL);
    if (freeze == NULL)
        return -ENOMEM;
    freeze->leader = leader;
    INIT_LIST_HEAD(&freeze->threads);
    init_waitqueue_head(&freeze->changed);
    init_waitqueue_head(&freeze->wait);
    list_add(&freeze->link, &freezes);
    error = bring_to_a_stop(freeze);
    if (error != 0)
        let_go(freeze);
    return error;
}

void thaw_process(struct task_struct *leader)
{
    struct freeze *freeze = freeze_of(leader);

    if (freeze != NULL)
        let_go(freeze);
}

void freeze_into_stub(struct task_struct *leader, void (*stub)(void *context), void *context)
{
    struct freeze *freeze = freeze_of(leader);
    struct freeze_thread *thread = NULL;

    if (freeze == NULL)
        return;
    freeze->stub = stub;
    freeze->context = context;
    wake_up_all(&freeze->wait);
    list_for_each_entry(thread, &freeze->threads, link)
    {
        stopped_interrupt(thread->task);
    }
    // What the process says next is for threads that are there. Nobody runs between their wakening
    // of us and their first sleep.
    wait_event_idle(freeze->changed, list_empty(&freeze->threads));
    let_go(freeze);
}
