// SPDX-License-Identifier: BSD-2-Clause
// What becomes of a kernel object when the rights to it are gone.
#include "object.h"

#include "interrupt.h"
#include "reaper.h"
#include "task.h"
#include "thread.h"
#include "timer.h"

void object_unreferenced(struct port *port)
{
    switch (port->kind) {
    case PORT_TASK:
        task_release(container_of(port, struct task, port));
        break;
    case PORT_THREAD:
        thread_release(container_of(port, struct thread, port));
        break;
    case PORT_INTERRUPT:
        interrupt_free(container_of(port, struct interrupt, port));
        break;
    case PORT_TIMER:
        timer_free(container_of(port, struct timer, port));
        break;
    default: // the host ports live as long as the kernel
        break;
    }
}

// Nobody can give a thread to a task that nobody can name.
static void end_if_orphan(struct task *task)
{
    if (task->thread_count == 0 && !task->terminated)
        reaper_add(task);
}

void object_no_senders(struct port *port)
{
    if (port->kind == PORT_INTERRUPT)
        interrupt_destroy(container_of(port, struct interrupt, port));
    else if (port->kind == PORT_TIMER)
        timer_destroy(container_of(port, struct timer, port));
    else if (port->kind == PORT_TASK)
        end_if_orphan(container_of(port, struct task, port));
}
