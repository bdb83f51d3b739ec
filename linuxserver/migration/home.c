// SPDX-License-Identifier: GPL-2.0-only
// A process comes home: its stub becomes the process again. Until COMMIT the stub stays what it is:
// its main thread only makes a second address space out of the package, beside the one it has. At
// RUN each of its threads leaves the stub for that address space, and takes the registers, signal
// state and account of the thread with its number. What home has kept meanwhile (files, parent,
// session, credentials, limits, children) is not in question.
#include "linuxserver/migration/build_private.h"
#include "linuxserver/migration/forward_private.h"
#include "linuxserver/migration/move_private.h"

#include <asm/mmu_context.h>

#include <linux/binfmts.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

struct homecoming {
    unsigned int users;          // the stub, and each thread that has begun
    struct migration *migration; // counted
    struct migration_package package;
    struct mm_struct *mm; // what has been made; NULL: nothing yet
    struct build build;
    unsigned int arrived; // threads that have the process's state
    bool building, discarded, go;
    struct list_head late; // signals of home_keeps, in order
    wait_queue_head_t wait;
};

struct late_signal {
    struct list_head link;
    pid_t tid; // 0: of the process
    kernel_siginfo_t info;
};

static void put(struct homecoming *home)
{
    struct late_signal *late = NULL, *next = NULL;

    if (--home->users != 0)
        return;
    list_for_each_entry_safe(late, next, &home->late, link)
    {
        kfree(late);
    }
    if (home->mm != NULL)
        mmput(home->mm);
    kvfree(home->migration->bytes);
    home->migration->bytes = NULL;
    migration_put(home->migration);
    kfree(home);
}

void home_forget(struct stub *stub)
{
    struct homecoming *home = stub->home;

    stub->home = NULL;
    if (home == NULL)
        return;
    put(home);
    stub_kick(stub); // signals go to where it is again
}

// --- Address spaces ----------------------------------------------------------------------

// An empty one, of the program that the current process is known by, as exec leaves it. NULL: no
// memory.
static struct mm_struct *make_space(void)
{
    struct mm_struct *mm = mm_alloc(), *before = current->mm;
    struct file *file = get_mm_exe_file(before);

    if (mm != NULL && file != NULL && set_mm_exe_file(mm, file) != 0) {
        mmput(mm);
        mm = NULL;
    }
    if (file != NULL)
        fput(file);
    if (mm == NULL)
        return NULL;
    mm->get_unmapped_area = before->get_unmapped_area;
    mm->mmap_base = before->mmap_base;
    mm->task_size = before->task_size;
    mm->binfmt = before->binfmt;
    if (mm->binfmt != NULL)
        __module_get(mm->binfmt->module);
    return mm;
}

// The current thread's address space is `mm` from now on, as exec does it. Returns the one before,
// whose reference becomes the caller's, as that of `mm` becomes the thread's.
static struct mm_struct *enter(struct mm_struct *mm)
{
    struct mm_struct *before = current->mm;

    sync_mm_rss(before);
    task_lock(current);
    local_irq_disable();
    current->active_mm = mm;
    current->mm = mm;
    activate_mm(before, mm);
    local_irq_enable();
    task_unlock(current);
    return before;
}

// --- Beside the stub, before COMMIT ------------------------------------------------------

// All threads of the process have their stubs here.
static int check_threads(const struct stub *stub, const struct migration_package *package,
                         char *reason)
{
    for (size_t i = 0; i < package->threads_count; i++) {
        pid_t tid = (pid_t)package->threads[i].tid;
        const struct stub_thread *thread = stub_thread_find(tid);

        if (thread == NULL || thread->stub != stub || thread->task == NULL || thread->ending)
            return build_refuse(-ESRCH, reason, "its thread %d is not at home any more", tid);
    }
    return 0;
}

static int make_memory(struct homecoming *home, char *reason)
{
    struct mm_struct *mm = make_space(), *before;
    int error;

    if (mm == NULL)
        return build_refuse(-ENOMEM, reason, "there is no memory for it");
    before = enter(mm);
    home->migration->served = true;
    error = build_memory(&home->package, 0, reason);
    if (error == 0) {
        error = move_map_pages(home->migration, &home->package);
        if (error != 0)
            (void)build_refuse(error, reason, "its memory cannot follow: error %d", -error);
    }
    (void)enter(before);
    if (error == 0)
        home->mm = mm;
    else
        mmput(mm);
    return error;
}

static int build(struct homecoming *home, const struct stub *stub, char *reason)
{
    struct migration *migration = home->migration;
    const char *wrong = package_read(&home->package, migration->bytes, migration->length);
    int error;

    if (wrong != NULL)
        return build_refuse(-EPROTO, reason, "the state is not sound: %s", wrong);
    home->build.package = &home->package;
    error = check_threads(stub, &home->package, reason);
    if (error == 0)
        error = build_check_mappings(&home->package, reason);
    return error != 0 ? error : make_memory(home, reason);
}

bool home_has_work(const struct stub_thread *thread)
{
    const struct homecoming *home = thread->stub->home;

    return home != NULL && home->building && thread->tid == thread->stub->tgid;
}

void home_build(struct stub_thread *thread)
{
    struct homecoming *home = thread->stub->home;
    struct migration *migration = home->migration;
    char reason[MIGRATION_REASON] = "";
    int error = -ECANCELED;

    home->users++;
    if (!home->discarded) {
        migration->leader = get_task_struct(current);
        error = build(home, thread->stub, reason);
    }
    home->building = false;
    if (error != 0 && error != -ECANCELED)
        move_fails(migration, error, "%s", reason);
    if (home->discarded)
        home_forget(thread->stub);
    move_event(migration, error == 0 ? CAN : CANNOT);
    put(home);
}

// --- What the mover wants ----------------------------------------------------------------

int home_check(pid_t tgid, unsigned int source, const struct package_process *process,
               char reason[MIGRATION_REASON])
{
    const struct stub *stub = stub_find(tgid);

    if (stub == NULL || stub->node != source || stub->ended || stub->released || stub->home != NULL)
        return build_refuse(-ESRCH, reason, "it is not at home there");
    return build_check_room(process, reason);
}

void home_begin(struct migration *migration)
{
    struct stub *stub = stub_find(migration->tgid);
    struct homecoming *home = NULL;

    if (stub != NULL && stub->node == migration->source && !stub->ended && stub->home == NULL)
        home = kzalloc(sizeof *home, GFP_KERNEL);
    if (home == NULL) {
        move_fails(migration, -ESRCH, "it is not at home there any more");
        move_event(migration, CANNOT);
        return;
    }
    home->users = 1;
    home->migration = migration;
    migration_get(migration);
    home->building = true;
    INIT_LIST_HEAD(&home->late);
    init_waitqueue_head(&home->wait);
    stub->home = home;
    stub_kick(stub);
}

static struct stub *stub_of(const struct migration *migration)
{
    struct stub *stub = stub_find(migration->tgid);

    return stub != NULL && stub->home != NULL && stub->home->migration == migration ? stub : NULL;
}

void home_discard(const struct migration *migration)
{
    struct stub *stub = stub_of(migration);

    if (stub == NULL)
        return;
    stub->home->discarded = true;
    if (!stub->home->building)
        home_forget(stub);
}

bool home_run(const struct migration *migration)
{
    struct stub *stub = stub_of(migration);

    if (stub == NULL || stub->ended)
        return false;
    stub->released = true;
    stub_kick(stub);
    return true;
}

// --- Signals -----------------------------------------------------------------------------
// Those that it brings along are older than those that it met later where it was, and these older
// than those that are here, which stay since its homecoming has begun (stub_idle_mask).

bool home_keeps(const struct stub *stub, pid_t tid, const kernel_siginfo_t *info)
{
    struct homecoming *home = stub->home;
    struct late_signal *late = home != NULL ? kmalloc(sizeof *late, GFP_ATOMIC) : NULL;

    if (late == NULL)
        return false;
    late->tid = tid;
    copy_siginfo(&late->info, info);
    list_add_tail(&late->link, &home->late);
    return true;
}

static void take_late(const struct homecoming *home)
{
    const struct late_signal *late = NULL;

    list_for_each_entry(late, &home->late, link)
    {
        kernel_siginfo_t info = late->info;
        struct task_struct *task = current;

        rcu_read_lock();
        if (late->tid != 0)
            task = find_task_by_pid_ns(late->tid, &init_pid_ns);
        if (task != NULL && same_thread_group(task, current))
            (void)do_send_sig_info(info.si_signo, &info, task,
                                   late->tid != 0 ? PIDTYPE_PID : PIDTYPE_TGID);
        rcu_read_unlock();
    }
}

// All that waits for the process becomes `aside`.
static void set_aside(struct sigpending *aside)
{
    struct sigpending *queue = &current->signal->shared_pending;

    init_sigpending(aside);
    spin_lock_irq(&current->sighand->siglock);
    list_splice_init(&queue->list, &aside->list);
    aside->signal = queue->signal;
    sigemptyset(&queue->signal);
    spin_unlock_irq(&current->sighand->siglock);
}

// Behind what has come since. Of those below SIGRTMIN one waits at a time.
static void put_behind(struct sigpending *aside)
{
    struct sigpending *queue = &current->signal->shared_pending, again;
    struct sigqueue *entry = NULL, *next = NULL;

    init_sigpending(&again);
    spin_lock_irq(&current->sighand->siglock);
    list_for_each_entry_safe(entry, next, &aside->list, list)
    {
        int number = entry->info.si_signo;
        bool twice = number < SIGRTMIN && sigismember(&queue->signal, number);

        list_move_tail(&entry->list, twice ? &again.list : &queue->list);
    }
    sigorsets(&queue->signal, &queue->signal, &aside->signal);
    flush_sigqueue(&again);
    spin_unlock_irq(&current->sighand->siglock);
}

static int take_signals(const struct homecoming *home)
{
    struct sigpending aside;
    int error;

    set_aside(&aside);
    error = build_signals(&home->package);
    take_late(home);
    put_behind(&aside);
    return error;
}

// --- From stub to process ----------------------------------------------------------------

static size_t index_of(const struct migration_package *package, pid_t tid)
{
    size_t i = 0;

    while (i < package->threads_count && package->threads[i].tid != (u32)tid)
        i++;
    return i;
}

// Its stub is stopped when it is, unless that has not come, or somebody continues it now.
static int take_stop(const struct migration_package *package)
{
    bool was = (package->process->flags & PACKAGE_STOPPED) != 0;
    bool is = (current->signal->flags & SIGNAL_STOP_STOPPED) != 0;

    if (!was && is)
        return send_sig(SIGCONT, current, 1);
    if (is || sigismember(&current->signal->shared_pending.signal, SIGCONT))
        return 0;
    return build_stop(package);
}

// What is the process's, not a thread's: by its main thread, when all have arrived. The processor
// time of its threads that are over; that of children is known here.
static void take_process(struct homecoming *home)
{
    const struct package_process *from = home->package.process;
    int error;

    build_handlers(&home->package);
    spin_lock_irq(&current->sighand->siglock);
    write_seqlock(&current->signal->stats_lock);
    current->signal->utime = from->user_time;
    current->signal->stime = from->system_time;
    write_sequnlock(&current->signal->stats_lock);
    spin_unlock_irq(&current->sighand->siglock);
    error = take_signals(home); // before those of its timers here
    if (error == 0)
        error = build_timers(&home->build);
    build_alarms(&home->build);
    if (error == 0)
        error = take_stop(&home->package);
    if (error == 0)
        return;
    pr_err("corvus: process %d cannot go on at home, and ends: error %d\n", current->tgid, error);
    send_sig(SIGKILL, current, 1);
}

// Waits for the others, the main one for all of them. A process that is killed waits for nobody.
static void meet(struct homecoming *home)
{
    home->arrived++;
    wake_up_all(&home->wait);
    if (!thread_group_leader(current)) {
        (void)wait_event_killable(home->wait, home->go);
        return;
    }
    if (wait_event_killable(home->wait, home->arrived >= home->package.threads_count) == 0)
        take_process(home);
    home->go = true;
    wake_up_all(&home->wait);
}

void home_go_on(struct stub_thread *thread)
{
    struct homecoming *home = thread->stub->home;
    size_t index = index_of(&home->package, thread->tid);
    sigset_t all, real_blocked = thread->real_blocked;
    const struct package_thread *from;
    struct build_last last;
    int error;

    if (index == home->package.threads_count)
        do_exit(0); // it had ended where the process was
    from = &home->package.threads[index];
    build_last_read(&last, from);
    sigfillset(&all);
    set_current_blocked(&all);
    current->real_blocked = real_blocked;
    clear_restore_sigmask();
    stub_area_free(thread);
    home->users++;
    mmget(home->mm);
    mmput(enter(home->mm));
    stub_thread_free(thread);
    error = build_thread_state(&home->build, index);
    build_registers(from);
    if (error != 0)
        send_sig(SIGKILL, current, 1);
    meet(home);
    build_last_set(&last);
    (void)stopped_again();
    put(home);
}
