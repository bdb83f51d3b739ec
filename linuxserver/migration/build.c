// SPDX-License-Identifier: GPL-2.0-only
#include "linuxserver/migration/build.h"
#include "linuxserver/migration/build_private.h"
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/features.h"

#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/swap.h>

#define CLONE_FLAGS                                                                                \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_UNTRACED)

int build_refuse(int error, char *reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vscnprintf(reason, MIGRATION_REASON, format, arguments);
    va_end(arguments);
    return error;
}

static void put(struct build *build)
{
    if (--build->users == 0)
        kfree(build);
}

u64 build_time(const struct build *build, u32 clock, u64 time)
{
    s64 offset = 0;

    if (clock == PACKAGE_REAL || clock == PACKAGE_TAI)
        offset = build->clocks.real;
    else if (clock == PACKAGE_MONOTONIC)
        offset = build->clocks.monotonic;
    else if (clock == PACKAGE_BOOT)
        offset = build->clocks.boot;
    return clocks_add(time, offset);
}

// --- Before anything is changed ------------------------------------------------------------------

// What is left of a process that was here, and has gone on, is over soon.
static bool is_in_use(u32 tid)
{
    const struct task_struct *task;
    struct pid *pid;
    bool used;

    if (current->pid == (pid_t)tid)
        return false;
    rcu_read_lock();
    pid = find_pid_ns((int)tid, &init_pid_ns);
    task = pid != NULL ? pid_task(pid, PIDTYPE_PID) : NULL;
    used = pid != NULL && (task == NULL || !(task->flags & PF_EXITING));
    rcu_read_unlock();
    return used;
}

// What it can write it may never have all: what it has is what is wanted, at least.
int build_check_room(const struct package_process *process, char reason[MIGRATION_REASON])
{
    u32 features[PACKAGE_FEATURES];
    u64 xcr0;

    features_read(features, &xcr0);
    if (!package_fits_processor(process, features, xcr0))
        return build_refuse(-EOPNOTSUPP, reason,
                            "it may use what the processor here does not have");
    if (process->resident > (u64)si_mem_available() + get_nr_swap_pages())
        return build_refuse(-ENOMEM, reason, "there is no memory for its %llu KiB",
                            process->resident * (PAGE_SIZE / 1024));
    return 0;
}

int build_check(const struct package_process *process, char reason[MIGRATION_REASON])
{
    int error = build_check_room(process, reason);

    if (error != 0)
        return error;
    if (is_in_use(process->tgid))
        return build_refuse(-EEXIST, reason, "its process number %u is in use", process->tgid);
    return 0;
}

static int check_threads(const struct migration_package *package, char *reason)
{
    for (size_t i = 0; i < package->threads_count; i++) {
        if (is_in_use(package->threads[i].tid))
            return build_refuse(-EEXIST, reason, "its thread number %u is in use",
                                package->threads[i].tid);
    }
    if (get_nr_threads(current) != 1 || current->pid != (pid_t)package->process->tgid)
        return build_refuse(-EINVAL, reason, "this is not process %u", package->process->tgid);
    return 0;
}

// --- Threads -------------------------------------------------------------------------------------

struct start {
    struct build *build;
    size_t index;
};

// In a new thread, until the process runs: then back to user mode.
static int begin_thread(void *argument)
{
    struct start start = *(struct start *)argument;
    struct build *build = start.build;
    struct build_last last;
    int error;

    build_last_read(&last, &build->package->threads[start.index]);
    error = build_thread_state(build, start.index);
    if (!error)
        error = build_credentials(build, start.index);
    build_registers(&build->package->threads[start.index]);
    if (error)
        build->error = error;
    complete(&build->ready);
    if (build->migration)
        error = migration_gate(build->migration);
    if (!error)
        error = wait_for_completion_killable(&build->go);
    if (!error)
        build_last_set(&last);
    else
        send_sig(SIGKILL, current, 1); // it ends on its way to user mode
    put(build);
    return 0;
}

static int clone_thread(struct build *build, size_t index)
{
    pid_t tid = (pid_t)build->package->threads[index].tid;
    struct start start = {.build = build, .index = index};
    struct kernel_clone_args args = {
        .flags = CLONE_FLAGS,
        .fn = begin_thread,
        .fn_arg = &start,
        .set_tid = &tid,
        .set_tid_size = 1,
    };
    pid_t made;

    build->users++;
    made = kernel_clone(&args);
    if (made < 0) {
        build->users--;
        return made;
    }
    wait_for_completion(&build->ready); // it reads `start`, and the package, before it waits
    return build->error;
}

static int clone_threads(struct build *build, char *reason)
{
    int error = 0;

    for (size_t i = 1; i < build->package->threads_count && !error; i++)
        error = clone_thread(build, i);
    return error ? build_refuse(error, reason, "its threads cannot be made: error %d", -error) : 0;
}

// --- The process ---------------------------------------------------------------------------------

static void set_limits(const struct migration_package *package)
{
    struct signal_struct *signal = current->signal;

    task_lock(current->group_leader);
    for (size_t i = 0; i < RLIM_NLIMITS; i++)
        signal->rlim[i] = (struct rlimit){.rlim_cur = package->limits[i].now,
                                          .rlim_max = package->limits[i].most};
    task_unlock(current->group_leader);
    if (signal->rlim[RLIMIT_CPU].rlim_cur != RLIM_INFINITY)
        (void)update_rlimit_cpu(current, signal->rlim[RLIMIT_CPU].rlim_cur);
}

static void set_process(const struct migration_package *package)
{
    const struct package_process *from = package->process;
    struct signal_struct *signal = current->signal;

    current->fs->umask = (int)from->umask;
    signal->oom_score_adj = (short)from->oom_score_adj;
    signal->utime = from->user_time;
    signal->stime = from->system_time;
    signal->cutime = from->children_user_time;
    signal->cstime = from->children_system_time;
}

// In this order: what needs the privileges that the current process still has; what needs the
// threads; credentials. What a timer's signal brings along was before what the timer does here.
static int become(struct build *build, char *reason)
{
    const struct migration_package *package = build->package;
    unsigned int home = build->migration != NULL ? build->migration->home : 0;
    int error = build_memory(package, home, reason);

    if (!error)
        error = clone_threads(build, reason);
    if (error)
        return error;
    build_handlers(package);
    set_process(package);
    error = build_signals(package);
    if (!error)
        error = build_timers(build);
    if (!error)
        error = build_thread_state(build, 0);
    if (!error) {
        build_alarms(build);
        error = build_stop(package);
    }
    set_limits(package);
    if (!error)
        error = build_credentials(build, 0);
    return error ? build_refuse(error, reason, "its state cannot be set: error %d", -error) : 0;
}

// All but SIGKILL, and so SIGSTOP, too: Linux makes no thread while a signal waits to be taken.
static void block_signals_of_current(void)
{
    spin_lock_irq(&current->sighand->siglock);
    sigfillset(&current->blocked);
    sigdelset(&current->blocked, SIGKILL);
    recalc_sigpending();
    spin_unlock_irq(&current->sighand->siglock);
}

// The last thing before the process goes to user mode: behind the end of the system call that built
// it, which has written its result, and behind the gate.
static void go(struct callback_head *work)
{
    struct build *build = container_of(work, struct build, work);

    build_registers(&build->registers);
    build_last_set(&build->last);
    complete_all(&build->go);
    put(build);
}

static struct build *make_build(const struct migration_package *package)
{
    struct build *build = kzalloc(sizeof *build, GFP_KERNEL);

    if (!build)
        return NULL;
    build->package = package;
    build->users = 1;
    init_completion(&build->ready);
    init_completion(&build->go);
    build_last_read(&build->last, &package->threads[0]);
    build->registers = package->threads[0];
    init_task_work(&build->work, go);
    return build;
}

// From here on there is no way back.
static int become_for_good(struct build *build, char *reason)
{
    int error;

    block_signals_of_current();
    error = become(build, reason);
    if (!error && build->migration) {
        error = migration_built(build->migration, build->package);
        if (error)
            (void)build_refuse(error, reason, "its memory cannot follow: error %d", -error);
    }
    if (!error)
        error = task_work_add(current, &build->work, TWA_RESUME);
    build->package = NULL;
    if (error) {
        send_sig(SIGKILL, current, 1);
        put(build);
    }
    return error;
}

static int build_here(struct migration *migration, const struct migration_package *package,
                      const struct build_clocks *clocks, char *reason)
{
    struct build *build;
    int error = build_check(package->process, reason);

    if (!error)
        error = check_threads(package, reason);
    if (!error)
        error = build_check_mappings(package, reason);
    if (error)
        return error;
    build = make_build(package);
    if (!build)
        return build_refuse(-ENOMEM, reason, "there is no memory for it");
    build->clocks = *clocks;
    build->migration = migration;
    return become_for_good(build, reason);
}

int build_alone(const struct migration_package *package, const struct build_clocks *clocks,
                char reason[MIGRATION_REASON])
{
    return build_here(NULL, package, clocks, reason);
}

// A package has times by the clocks of home. Nodes never sleep: CLOCK_BOOTTIME is CLOCK_MONOTONIC.
int build_process(struct migration *migration, const struct migration_package *package,
                  char reason[MIGRATION_REASON])
{
    s64 monotonic = clocks_ahead(migration->home, CLOCK_MONOTONIC);
    const struct build_clocks clocks = {
        .real = -clocks_ahead(migration->home, CLOCK_REALTIME),
        .monotonic = -monotonic,
        .boot = -monotonic,
    };

    return build_here(migration, package, &clocks, reason);
}
