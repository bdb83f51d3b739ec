// SPDX-License-Identifier: BSD-2-Clause
// Life and death of tasks, and the accounts of kernel memory.
#include "task.h"

#include "cpu.h"
#include "mapping.h"
#include "memory.h"
#include "message.h"
#include "thread.h"
#include "x86/clock_page.h"
#include "x86/instructions.h"
#include "x86/panic.h"
#include "x86/paging.h"

struct task *root_task;

// --- Quota ------------------------------------------------------------------

bool task_charge(struct task *task, uint64_t bytes)
{
    struct quota *quota = &task->quota;

    if (bytes > quota->limit - quota->used)
        return false;
    quota->used += bytes;
    return true;
}

// The nearest ancestor that lives takes over what a dead task gives up.
static struct task *heir(struct task *task)
{
    do {
        task = task->parent;
    } while (task && task->terminated);
    return task;
}

// Unused quota of a terminated task goes back at once, the rest as it is freed.
static void return_quota(struct task *task)
{
    struct quota *quota = &task->quota;
    struct task *to = heir(task);
    uint64_t unused = quota->limit - quota->used;

    if (!to || !unused)
        return;
    to->quota.limit += unused;
    quota->limit -= unused;
    if (quota->donated > quota->limit) {
        to->quota.donated += quota->donated - quota->limit;
        quota->donated = quota->limit;
    }
}

void task_uncharge(struct task *task, uint64_t bytes)
{
    KASSERT(task->quota.used >= bytes);
    task->quota.used -= bytes;
    if (__builtin_expect(task->terminated, 0))
        return_quota(task);
}

// --- Life -------------------------------------------------------------------

static uint8_t priority_limit(const struct task *parent, uint32_t flags)
{
    uint8_t most = parent ? parent->priority_max : PRIORITY_COUNT - 1;
    uint8_t own = (uint8_t)(flags >> TASK_PRIORITY_SHIFT);

    return flags & TASK_PRIORITY_LIMIT && own < most ? own : most;
}

// The structure itself is charged to the parent: a task cannot hold the memory
// that says how much it holds.
struct task *task_allocate(struct task *parent, uint64_t quota, uint32_t flags)
{
    struct task *task = memory_object_allocate(parent, sizeof(*task));

    if (!task)
        return NULL;
    if (parent && !task_charge(parent, quota)) {
        memory_object_free(parent, task, sizeof(*task));
        return NULL;
    }
    if (parent) {
        parent->quota.used -= quota;
        parent->quota.limit -= quota;
        task_reference(parent);
    }
    task->quota.limit = quota;
    task->parent = parent;
    task->depth = parent ? parent->depth + 1 : 0;
    task->flags = flags;
    task->priority_max = priority_limit(parent, flags);
    port_init(&task->port, PORT_TASK);
    task->port.references = 1;
    task->references = 1;
    task->id = task->port.id;
    list_init(&task->children);
    list_init(&task->sibling_link);
    if (parent)
        list_append(&parent->children, &task->sibling_link);
    list_init(&task->threads);
    list_init(&task->notices);
    list_init(&task->teardown_link);
    if (!right_table_init(task) || !space_create(task) ||
        (!(flags & TASK_GUEST) && space_pin_kernel(task, CLOCK_PAGE_ADDRESS,
                                                   kernel_to_physical(&clock_page), ACCESS_READ))) {
        task->terminated = true;
        while (!task_terminate_step(task))
            ;
        return NULL;
    }
    return task;
}

void task_release(struct task *task)
{
    // A whole line of dead ancestors may have waited for this one.
    while (task && --task->references == 0) {
        struct task *parent = task->parent;

        KASSERT(task->terminated && task->quota.used == 0);
        return_quota(task);
        memory_object_free(parent, task, sizeof(*task));
        task = parent;
    }
}

// From here on it gets no thread, right, child or mapping; its unused quota goes
// back at once.
static void mark_terminated(struct task *task)
{
    if (!task->terminated) {
        task->terminated = true;
        return_quota(task);
    }
}

static void torn_down(struct task *task)
{
    task->torn_down = true;
    list_remove(&task->sibling_link);
    task->references++;
    port_kill(&task->port);
    port_release(&task->port);
    task_release(task);
}

// A step for a task without children.
static void terminate_leaf_step(struct task *task)
{
    if (!list_empty(&task->threads)) {
        thread_terminate(container_of(task->threads.next, struct thread, task_link));
        return;
    }
    if (!list_empty(&task->notices)) {
        notice_destroy(container_of(task->notices.next, struct notice, owner_link));
        return;
    }
    if (task->rights.pages && !right_table_destroy_step(task))
        return;
    if (task->space.cr3 && cpu.cr3 == task->space.cr3) {
        cpu.cr3 = kernel_pml4_physical;
        write_cr3(cpu.cr3);
    }
    if (task->space.cr3 && !space_destroy_step(task))
        return;
    // Destroying a right may have let interrupts in, and another caller have
    // been at it too: only one ends it.
    if (!task->torn_down)
        torn_down(task);
}

bool task_terminate_step(struct task *task)
{
    struct task *leaf = task;

    if (task->torn_down)
        return true;
    mark_terminated(task);
    while (!list_empty(&leaf->children)) {
        leaf = container_of(leaf->children.next, struct task, sibling_link);
        mark_terminated(leaf);
    }
    task_reference(task);
    terminate_leaf_step(leaf);
    if (!task->torn_down) {
        task_release(task);
        return false;
    }
    task_release(task);
    return true;
}
