// SPDX-License-Identifier: BSD-2-Clause
// What to do with a trap, and which thread runs after any kernel entry.
#include "trap.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "interrupt.h"
#include "message.h"
#include "reaper.h"
#include "service.h"
#include "vcpu.h"
#include "vector.h"
#include "x86/apic.h"
#include "x86/clock.h"
#include "x86/panic.h"
#include "x86/switch.h"

#define VECTOR_NMI            2
#define VECTOR_NO_VECTOR_UNIT 7
#define VECTOR_DOUBLE_FAULT   8
#define VECTOR_PAGE_FAULT     14
#define VECTOR_EXTERNAL       32

// Page-fault error code, Intel SDM volume 3, section 4.7.
#define FAULT_WRITE 2u
#define FAULT_FETCH 16u

static _Noreturn void panic_at(const struct frame *frame, const char *what)
{
    panic_frame = frame;
    panic("%s: vector %lu, error %lx", what, frame->vector, frame->error_code);
}

static uint32_t fault_access(uint64_t error_code)
{
    if (error_code & FAULT_FETCH)
        return ACCESS_EXECUTE;
    return error_code & FAULT_WRITE ? ACCESS_WRITE : ACCESS_READ;
}

void trap_interrupt(unsigned vector)
{
    if (vector == VECTOR_TIMER) {
        apic_eoi();
        schedule_timer_interrupt();
    } else if (vector == VECTOR_SPURIOUS) {
        apic_spurious_count++;
        counter_add(COUNTER_INTERRUPTS_SPURIOUS, 1);
    } else if (vector == VECTOR_APIC_ERROR) {
        apic_error();
        apic_eoi();
    } else if (vector >= VECTOR_DEVICE_FIRST && vector <= VECTOR_DEVICE_LAST) {
        interrupt_arrived(vector);
    } else {
        counter_add(COUNTER_INTERRUPTS_SPURIOUS, 1);
    }
}

static void page_fault(struct thread *thread, const struct frame *frame)
{
    uint64_t address = read_cr2();
    uint32_t access = fault_access(frame->error_code);
    struct fault fault;

    fault_fast(thread, address, access, frame->error_code);
    fault = (struct fault){
        .address = address,
        .access = access,
        .vector = VECTOR_PAGE_FAULT,
        .error_code = frame->error_code,
    };
    fault_raise(thread, &fault);
}

static void exception(struct thread *thread, const struct frame *frame)
{
    struct fault fault = {
        .is_exception = true,
        .vector = frame->vector,
        .error_code = frame->error_code,
    };

    fault_raise(thread, &fault);
}

void trap_from_user(struct frame *frame)
{
    struct thread *current = cpu.current;

    irqs_off_begin();
    if (cpu.in_guest) {
        vcpu_guest_trap(frame);
        return;
    }
    current->hazard |= HAZARD_FULL_FRAME;
    if (frame->vector == VECTOR_PAGE_FAULT)
        page_fault(current, frame);
    else if (frame->vector >= VECTOR_EXTERNAL)
        trap_interrupt((unsigned)frame->vector);
    else if (frame->vector == VECTOR_NO_VECTOR_UNIT)
        vector_trap();
    else
        exception(current, frame);
}

void trap_uninterruptible(struct frame *frame)
{
    if (frame->vector != VECTOR_NMI)
        panic_at(frame, frame->vector == VECTOR_DOUBLE_FAULT ? "double fault" : "machine check");
    // Nobody asks for any; a defective board may send them.
    counter_add(COUNTER_INTERRUPTS_SPURIOUS, 1);
}

// Only interrupts, and only where the kernel lets them in.
void trap_from_kernel(struct frame *frame)
{
    if (frame->vector < VECTOR_EXTERNAL)
        panic_at(frame, "trap in the kernel");
    cpu.in_kernel_interrupt = true;
    irqs_off_begin();
    trap_interrupt((unsigned)frame->vector);
    irqs_off_end();
    cpu.in_kernel_interrupt = false;
}

// --- The way back -----------------------------------------------------------

#define HAZARDS_WORK                                                                               \
    (HAZARD_DEADLINE | HAZARD_TRANSFER | HAZARD_OPERATION | HAZARD_RESTART | HAZARD_VCPU)

// Does what is to be done before the thread can run. It may not be current
// afterwards.
static void resolve(struct thread *thread)
{
    if (thread->hazard & HAZARD_DEADLINE) {
        deadline_cancel(&thread->deadline);
        thread->hazard &= ~HAZARD_DEADLINE;
    }
    if (thread->hazard & HAZARD_OPERATION) {
        operation_continue(thread);
    } else if (thread->hazard & HAZARD_RESTART) {
        thread->hazard &= ~HAZARD_RESTART;
        message_system_call((port_name_t)thread->frame.rdi, (port_name_t)thread->frame.rsi,
                            (uint32_t)thread->frame.rdx, thread->frame.rax);
    } else if (thread->hazard & HAZARD_VCPU) {
        vcpu_before_run(thread);
    } else {
        thread->hazard &= ~HAZARD_TRANSFER;
    }
}

static void load_bases(struct thread *thread)
{
    if (!(cpu.hazard & CPU_HAZARD_NO_FSGSBASE)) {
        write_fs_base(thread->fs_base);
        write_gs_base(thread->gs_base);
        return;
    }
    // Always: loading a segment register changes them behind the kernel's back.
    wrmsr(MSR_FS_BASE, thread->fs_base);
    wrmsr(MSR_GS_BASE, thread->gs_base);
}

struct thread *kernel_exit(void)
{
    bool reaped = false;

    for (;;) {
        struct thread *thread = cpu.current;

        if (__builtin_expect(reaped == false && cpu.hazard & CPU_HAZARD_REAP, 0)) {
            // Doomed threads at once; of tasks a bounded step for each kernel entry,
            // and all of it when idle.
            reaped = !reaper_step() && cpu.current;
            schedule_preemption_point();
        } else if (__builtin_expect(cpu.hazard & CPU_HAZARD_RESCHEDULE, 0)) {
            schedule_preempt();
        } else if (!thread) {
            schedule_next();
            reaped = false;
            if (!cpu.current && !(cpu.hazard & CPU_HAZARD_REAP))
                schedule_idle();
        } else if (thread->state != THREAD_READY || thread->suspended) {
            schedule_next();
        } else if (thread->hazard & HAZARDS_WORK) {
            resolve(thread);
            // A crowd of threads whose calls are issued again must not keep
            // interrupts out.
            schedule_preemption_point();
        } else {
            cpu_tss.rsp[0] = (uint64_t)(&thread->frame + 1);
            switch_space(thread->task);
            load_bases(thread);
            vector_before_run(thread);
            irqs_off_end();
            return thread;
        }
    }
}
