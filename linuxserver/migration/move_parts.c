// SPDX-License-Identifier: GPL-2.0-only
// Where the mover meets forwarding (forward.h): calls and signals of a process that has moved.
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/move_private.h"

#include <linux/sched/signal.h>
#include <linux/wait.h>

int move_attach(struct migration *migration)
{
    struct task_struct *task = NULL;
    int error = 0;

    // The process is built by its only running thread, so there will be no more of them.
    for_each_thread(current, task)
    {
        error = forward_attach(task, migration->home, migration->tgid, task->pid, false);
        if (error != 0)
            break;
    }
    return error;
}

void move_leave(void *unused)
{
    do_group_exit(0);
}

// As waitpid tells it.
static int wait_status(int code, int status)
{
    switch (code) {
    case CLD_EXITED:
        return (status & 255) << 8;
    case CLD_DUMPED:
        return status | 128;
    case CLD_STOPPED:
    case CLD_TRAPPED:
        return status << 8 | 127;
    case CLD_CONTINUED:
        return 0xffff;
    default:
        return status & 127;
    }
}

// Not of another move, by which the process has come again.
static struct migration *move_of_shepherd(const struct file *shepherd, pid_t pid)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        if (migration->resident && migration->tgid == pid && migration->shepherd == shepherd)
            return migration;
    }
    return NULL;
}

void move_child(const struct file *shepherd, pid_t pid, int code, int status)
{
    struct migration *migration;

    forward_status(pid, wait_status(code, status));
    if (code != CLD_EXITED && code != CLD_KILLED && code != CLD_DUMPED)
        return;
    migration = move_of_shepherd(shepherd, pid);
    if (migration != NULL)
        migration_end(migration);
}
