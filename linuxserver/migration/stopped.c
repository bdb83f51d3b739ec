// SPDX-License-Identifier: GPL-2.0-only
// Threads of a process that is stopped (SIGSTOP, Ctrl-Z) and have something to do nevertheless:
// they become its stub, build its memory, or end. They run for that, in the kernel, and stop again.
// For all others the process stays stopped meanwhile: SIGNAL_STOP_STOPPED says so, which is not
// touched, and while it is there a stop is told nobody (kernel/signal.c,
// task_participate_group_stop).
#include "linuxserver/migration/migration.h"

#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>

// It takes no signal on its way: those that wait are for where the process runs.
void stopped_interrupt(struct task_struct *task)
{
    unsigned long flags;

    if (lock_task_sighand(task, &flags) == NULL)
        return;
    if (task_is_stopped(task)) {
        sigfillset(&task->blocked);
        task_clear_jobctl_pending(task, JOBCTL_STOP_PENDING);
        task->jobctl &= ~JOBCTL_STOPPED;
        wake_up_state(task, __TASK_STOPPED);
    }
    unlock_task_sighand(task, &flags);
}

bool stopped_again(void)
{
    bool stopped;

    spin_lock_irq(&current->sighand->siglock);
    stopped = (current->signal->flags & SIGNAL_STOP_STOPPED) != 0 &&
              task_set_jobctl_pending(current, SIGSTOP | JOBCTL_STOP_PENDING);
    if (stopped)
        set_thread_flag(TIF_SIGPENDING);
    spin_unlock_irq(&current->sighand->siglock);
    return stopped;
}
