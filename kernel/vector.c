// SPDX-License-Identifier: BSD-2-Clause
// Lazy switching of the vector unit. The owner's state is in the registers;
// everybody else's in a save area charged to its task, made at first use.
#include "vector.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "memory.h"
#include "x86/features.h"
#include "x86/instructions.h"
#include "x86/memory.h"
#include "x86/vector_unit.h"

#define VECTOR_DEVICE_NOT_AVAILABLE 7

uint64_t vector_cr0_disabled;

static void disable(void)
{
    vector_unit_disable();
    cpu.hazard &= ~CPU_HAZARD_VECTOR_LIVE;
}

static void enable(void)
{
    vector_unit_enable();
    cpu.hazard |= CPU_HAZARD_VECTOR_LIVE;
}

void vector_init(void)
{
    vector_cr0_disabled = read_cr0() | CR0_TASK_SWITCHED;
    disable();
}

void vector_save(struct thread *thread)
{
    if (cpu.vector_owner != thread)
        return;
    enable();
    vector_unit_save(thread->vector_area);
    disable();
    cpu.vector_owner = NULL;
    thread->hazard &= ~HAZARD_VECTOR;
}

void vector_trap(void)
{
    struct thread *thread = cpu.current;
    struct fault fault = {.is_exception = true, .vector = VECTOR_DEVICE_NOT_AVAILABLE};

    if (!thread->vector_area) {
        thread->vector_area = memory_object_allocate(thread->task, cpu_features.fpu_area_size);
        if (!thread->vector_area) {
            fault.reason = ERR_NO_MEMORY;
            fault_raise(thread, &fault);
            return;
        }
        vector_unit_clear(thread->vector_area);
    }
    counter_add(COUNTER_VECTOR_SWITCHES, 1);
    if (cpu.vector_owner)
        vector_save(cpu.vector_owner);
    enable();
    vector_unit_load(thread->vector_area);
    cpu.vector_owner = thread;
    thread->hazard |= HAZARD_VECTOR;
}

void vector_before_run(struct thread *thread)
{
    bool owner = thread->hazard & HAZARD_VECTOR;
    bool live = cpu.hazard & CPU_HAZARD_VECTOR_LIVE;

    if (owner && !live)
        enable();
    else if (!owner && live)
        disable();
}

void vector_release(struct thread *thread)
{
    if (cpu.vector_owner == thread) {
        cpu.vector_owner = NULL;
        disable();
    }
    thread->hazard &= ~HAZARD_VECTOR;
    if (thread->vector_area)
        memory_object_free(thread->task, thread->vector_area, cpu_features.fpu_area_size);
    thread->vector_area = NULL;
}
