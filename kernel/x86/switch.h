// SPDX-License-Identifier: BSD-2-Clause
// What must be loaded before a thread runs in user mode: its address space, the
// place where its registers go at the next trap, its segment bases.
#pragma once

#include "cpu.h"
#include "task.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"
#include "x86/vector_unit.h"

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

// Of the hazards of a thread that is to run (its own and the processor's), sees
// to the vector unit: live if and only if the thread owns it. False: there is
// another one to be looked at.
static inline bool switch_vector(uint32_t hazard)
{
    if (hazard & ~(HAZARD_VECTOR | CPU_HAZARD_VECTOR_LIVE))
        return false;
    if (hazard == HAZARD_VECTOR) {
        vector_unit_enable();
        cpu.hazard = CPU_HAZARD_VECTOR_LIVE;
    } else if (hazard == CPU_HAZARD_VECTOR_LIVE) {
        vector_unit_disable();
        cpu.hazard = 0;
    }
    return true;
}
