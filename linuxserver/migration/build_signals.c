// SPDX-License-Identifier: GPL-2.0-only
// Handlers and pending signals. All threads still block all signals, so nothing is delivered.
#include "linuxserver/migration/build_private.h"

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>

void build_handlers(const struct migration_package *package)
{
    struct sighand_struct *handlers = current->sighand;

    spin_lock_irq(&handlers->siglock);
    for (size_t i = 0; i < _NSIG; i++) {
        const struct package_handler *from = &package->handlers[i];

        handlers->action[i].sa = (struct sigaction){
            .sa_handler = (__sighandler_t)from->handler,
            .sa_flags = from->flags,
            .sa_restorer = (__sigrestore_t)from->restorer,
            .sa_mask = {.sig = {from->mask}},
        };
    }
    spin_unlock_irq(&handlers->siglock);
}

static struct task_struct *thread_of(u32 tid)
{
    struct task_struct *t;

    for_each_thread(current, t)
    {
        if (t->pid == (pid_t)tid)
            return get_task_struct(t);
    }
    return NULL;
}

static int send(const struct migration_package *package, const struct package_signal *signal)
{
    bool shared = signal->thread == PACKAGE_SHARED;
    struct task_struct *t;
    struct kernel_siginfo info;
    int error;

    memcpy(&info, signal->info, sizeof info);
    rcu_read_lock();
    t = thread_of(package->threads[shared ? 0 : signal->thread].tid);
    rcu_read_unlock();
    if (!t)
        return -ESRCH;
    error = do_send_sig_info((int)signal->number, &info, t, shared ? PIDTYPE_TGID : PIDTYPE_PID);
    put_task_struct(t);
    return error;
}

int build_stop(const struct migration_package *package)
{
    if (!(package->process->flags & PACKAGE_STOPPED))
        return 0;
    return do_send_sig_info(SIGSTOP, SEND_SIG_PRIV, current, PIDTYPE_TGID);
}

int build_signals(const struct migration_package *package)
{
    int error = 0;

    for (size_t i = 0; i < package->signals_count && !error; i++)
        error = send(package, &package->signals[i]);
    return error;
}
