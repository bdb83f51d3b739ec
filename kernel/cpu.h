// SPDX-License-Identifier: BSD-2-Clause
// Everything that belongs to one processor, and the scheduler. There is one
// processor today; `cpu` is reached by its link address, so that more can come
// by mapping another page there per processor, without swapgs.
#pragma once

#include "thread.h"

#define CPU_HAZARD_VECTOR_LIVE 0x100u  // CR0.TS is clear: somebody's vector state is live
#define CPU_HAZARD_TRACE       0x200u  // tracing or measuring is on
#define CPU_HAZARD_NO_FSGSBASE 0x400u  // bases have to be written by wrmsr
#define CPU_HAZARD_RESCHEDULE  0x800u  // a thread of higher priority became ready
#define CPU_HAZARD_REAP        0x1000u // a task is to be torn down in the background

// Offsets for entry.S.
#define CPU_SCRATCH        0x00
#define CPU_IN_GUEST       0x08
#define CPU_CURRENT        0x10
#define CPU_IRQS_OFF_SINCE 0x18
#define CPU_SCRATCH_2      0x20

#ifndef __ASSEMBLER__
struct cpu {
    uint64_t scratch;        // user stack pointer during entry
    struct vcpu *in_guest;   // a guest runs on this vCPU
    struct thread *current;  // NULL while idle
    uint64_t irqs_off_since; // TSC, while that is measured
    uint64_t scratch_2;      // during a measured entry
    uint64_t cr3;
    uint32_t hazard;
    uint32_t highest_ready; // priority of the most urgent thread in the ready queues, 0 if none
    struct thread *vector_owner; // whose vector state the registers hold
    uint64_t slice_end;          // when the current time slice ends, ns
    uint64_t ready_bitmap[PRIORITY_COUNT / 64];
    struct link ready[PRIORITY_COUNT];
    struct thread *transfer_sender, *transfer_receiver; // of the message being delivered
    bool slice_armed;         // slice_end counts: somebody of the same priority waits
    bool slice_over;          // it ended while the kernel was at a preemption point
    bool in_kernel_interrupt; // an interrupt taken at a preemption point or while idle
};
extern struct cpu cpu;
_Static_assert(offsetof(struct cpu, scratch) == CPU_SCRATCH, "entry.S");
_Static_assert(offsetof(struct cpu, in_guest) == CPU_IN_GUEST, "entry.S");
_Static_assert(offsetof(struct cpu, current) == CPU_CURRENT, "entry.S");
_Static_assert(offsetof(struct cpu, irqs_off_since) == CPU_IRQS_OFF_SINCE, "entry.S");
_Static_assert(offsetof(struct cpu, scratch_2) == CPU_SCRATCH_2, "entry.S");

void schedule_init(void);

// Makes a thread runnable; sets the reschedule hazard when it is more urgent
// than the current one. The current thread is in no ready queue.
void schedule_ready(struct thread *thread);
void schedule_unready(struct thread *thread);

// Makes the most urgent ready thread current; NULL when there is none. The one
// that was current has blocked, or is in a queue again.
void schedule_next(void);

// The thread has just become able to run. If the current one has blocked, the
// thread gets the processor at once unless another is more urgent; else it is
// queued.
void schedule_switch_to(struct thread *thread);

// Lets a more urgent thread run, if there is one.
void schedule_preempt(void);

// Lets the next thread of the same (or a higher) priority run.
void schedule_yield(void);

// A point inside a long operation where interrupts are taken. True: a more
// urgent thread waits, the operation must be left.
bool schedule_preemption_point(void);

// Waits for an interrupt. Returns after one was handled.
void schedule_idle(void);

void schedule_timer_interrupt(void);
#endif
