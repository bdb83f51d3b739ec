// SPDX-License-Identifier: BSD-2-Clause
// The reaper: doomed threads, and tasks whose terminator has died.
#include "reaper.h"

#include "cpu.h"
#include "task.h"
#include "thread.h"

static struct link dying_tasks = {&dying_tasks, &dying_tasks};
static struct link doomed_threads = {&doomed_threads, &doomed_threads};

void reaper_add(struct task *task)
{
    if (!list_empty(&task->teardown_link) || task->torn_down)
        return;
    task_reference(task);
    list_append(&dying_tasks, &task->teardown_link);
    cpu.hazard |= CPU_HAZARD_REAP;
}

void thread_doom(struct thread *thread)
{
    if (!list_empty(&thread->doomed_link) || thread->state == THREAD_TERMINATED)
        return;
    thread->state = THREAD_READY;
    thread->suspended++;
    schedule_unready(thread);
    list_append(&doomed_threads, &thread->doomed_link);
    cpu.hazard |= CPU_HAZARD_REAP;
}

bool reaper_step(void)
{
    bool doomed = !list_empty(&doomed_threads);

    if (doomed) {
        thread_terminate(container_of(doomed_threads.next, struct thread, doomed_link));
    } else if (!list_empty(&dying_tasks)) {
        struct task *task = container_of(dying_tasks.next, struct task, teardown_link);

        if (task_terminate_step(task)) {
            list_remove(&task->teardown_link);
            task_release(task);
        }
    }
    if (list_empty(&doomed_threads) && list_empty(&dying_tasks))
        cpu.hazard &= ~CPU_HAZARD_REAP;
    return doomed;
}
