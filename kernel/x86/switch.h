// SPDX-License-Identifier: BSD-2-Clause
// What must be loaded before a thread runs in user mode: its address space, the
// place where its registers go at the next trap, its segment bases.
#pragma once

#include "cpu.h"
#include "task.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"

static inline void write_fs_base(uint64_t base)
{
    __asm__ volatile("wrfsbase %0" : : "r"(base));
}

static inline void write_gs_base(uint64_t base)
{
    __asm__ volatile("wrgsbase %0" : : "r"(base));
}

static inline void switch_space(struct task *task)
{
    uint64_t cr3 = task->space.cr3;

    if (cr3 != cpu.cr3) {
        cpu.cr3 = cr3;
        write_cr3(cr3);
    }
}

// Only where the hazard CPU_HAZARD_NO_FSGSBASE is known not to be set.
static inline void switch_to_thread(struct thread *thread)
{
    cpu_tss.rsp[0] = (uint64_t)(&thread->frame + 1);
    switch_space(thread->task);
    write_fs_base(thread->fs_base);
    write_gs_base(thread->gs_base);
}
