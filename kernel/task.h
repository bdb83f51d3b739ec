// SPDX-License-Identifier: BSD-2-Clause
// A task: an address space, a table of rights, a quota of kernel memory.
#pragma once

#include "memory.h"
#include "port.h"
#include "right.h"

struct thread;

// Kernel memory of a task, in bytes, by whole pages. used <= limit always; what
// a task charges is only ever given back to the same task.
struct quota {
    uint64_t limit;
    uint64_t used;
    uint64_t donated; // bytes of `limit` that came as pages of tasks, and can go back
};

// Address space; owned by space.c.
struct space {
    uint64_t cr3;       // physical address of the top table | PCID | no-flush bit
    uint64_t mapped;    // 4 KiB pages mapped, a 2 MiB page counting 512
    uint64_t io_bitmap; // physical address of its TSS window's page table, 0: no I/O rights
    uint64_t pcid_slot;
};

struct task {
    struct port port;
    struct space space;
    struct right_table rights;
    struct quota quota;
    struct chain *slabs[MEMORY_CLASSES]; // with room for objects charged to it
    struct task *parent;                 // the living creator quota goes back to; referenced
    struct link children; // struct task by sibling_link: made out of this one's quota
    struct link sibling_link;
    struct link threads; // struct thread by task_link
    struct link notices; // struct notice by owner_link: asked for by this task
    uint32_t thread_count;
    uint32_t references;  // its port, threads, charged objects, children, operations
    uint32_t flags;       // TASK_*, as it was made
    uint8_t priority_max; // of its threads: not above its parent's
    uint32_t depth;       // of ancestors
    bool terminated;      // no new threads, rights, mappings, charges
    bool torn_down;       // nothing is left but what others refer to
    struct link teardown_link;
    uint64_t id;
};

extern struct task *root_task; // the first task: owns all quota to begin with

// NULL when the parent's quota does not suffice for `quota` more bytes.
struct task *task_allocate(struct task *parent, uint64_t quota, uint32_t flags);

static inline void task_reference(struct task *task)
{
    task->references++;
}
void task_release(struct task *task);

// Ends the task and all tasks made from it, in bounded steps: threads, then
// rights and address space; leaves first. True when all is over. Callable again
// until then.
bool task_terminate_step(struct task *task);

// Quota: charge fails, without effect, when the limit would be passed or the
// task is terminated.
bool task_charge(struct task *task, uint64_t bytes);
void task_uncharge(struct task *task, uint64_t bytes);
