// SPDX-License-Identifier: BSD-2-Clause
// The scheduler: 256 fixed priorities, round robin inside one. The current
// thread is in no queue (so that a direct switch in message passing touches
// none), and a thread that is switched to directly inherits what is left of the
// time slice.
#include "cpu.h"

#include "counters.h"
#include "deadline.h"
#include "x86/apic.h"
#include "x86/clock.h"
#include "x86/instructions.h"
#include "x86/panic.h"

#define TIME_SLICE_NS   10000000u
#define EXPIRE_PAUSE_NS 50000u

struct cpu cpu;

void schedule_init(void)
{
    for (unsigned i = 0; i < PRIORITY_COUNT; i++)
        list_init(&cpu.ready[i]);
}

// Keeps `highest_ready` true: the fast path compares with it. -1 when nothing
// is ready cannot be had in an unsigned comparison, so 0 stands for both, which
// is right: nobody has to yield to priority 0.
static void update_highest(void)
{
    for (int i = PRIORITY_COUNT / 64 - 1; i >= 0; i--) {
        if (cpu.ready_bitmap[i]) {
            cpu.highest_ready =
                (uint32_t)i * 64 + 63 - (uint32_t)__builtin_clzll(cpu.ready_bitmap[i]);
            return;
        }
    }
    cpu.highest_ready = 0;
}

static void enqueue(struct thread *thread, bool first)
{
    struct link *queue = &cpu.ready[thread->priority];

    if (first)
        list_prepend(queue, &thread->ready_link);
    else
        list_append(queue, &thread->ready_link);
    cpu.ready_bitmap[thread->priority / 64] |= 1ull << thread->priority % 64;
    if (thread->priority > cpu.highest_ready)
        cpu.highest_ready = thread->priority;
}

void schedule_unready(struct thread *thread)
{
    if (list_empty(&thread->ready_link))
        return;
    list_remove(&thread->ready_link);
    if (list_empty(&cpu.ready[thread->priority])) {
        cpu.ready_bitmap[thread->priority / 64] &= ~(1ull << thread->priority % 64);
        update_highest();
    }
}

// A slice is needed only while somebody of the same priority waits.
static void arm_slice(void)
{
    if (cpu.slice_armed)
        return;
    cpu.slice_armed = true;
    cpu.slice_end =
        clock_now() + (cpu.current->slice_left ? cpu.current->slice_left : TIME_SLICE_NS);
    cpu.current->slice_left = 0;
    if (cpu.slice_end < deadline_next())
        clock_arm(cpu.slice_end);
}

static void arm_slice_if_shared(const struct thread *thread)
{
    if (cpu.ready_bitmap[thread->priority / 64] & 1ull << thread->priority % 64)
        arm_slice();
}

void schedule_ready(struct thread *thread)
{
    thread->state = THREAD_READY;
    if (thread == cpu.current || thread->suspended || !list_empty(&thread->ready_link))
        return;
    enqueue(thread, false);
    if (!cpu.current || thread->priority > cpu.current->priority)
        cpu.hazard |= CPU_HAZARD_RESCHEDULE;
    else if (thread->priority == cpu.current->priority)
        arm_slice();
}

void schedule_next(void)
{
    struct thread *next;

    cpu.hazard &= ~CPU_HAZARD_RESCHEDULE;
    cpu.slice_armed = false;
    if (!cpu.ready_bitmap[cpu.highest_ready / 64]) {
        cpu.current = NULL;
        return;
    }
    next = container_of(cpu.ready[cpu.highest_ready].next, struct thread, ready_link);
    schedule_unready(next);
    counter_add(COUNTER_SWITCHES, 1);
    trace(TRACE_SWITCH, cpu.current ? cpu.current->id : 0, next->id);
    cpu.current = next;
    arm_slice_if_shared(next);
}

void schedule_switch_to(struct thread *thread)
{
    thread->state = THREAD_READY;
    if (thread->suspended)
        return;
    if (cpu.current && cpu.current->state == THREAD_READY && !cpu.current->suspended) {
        schedule_ready(thread);
        return;
    }
    if (thread->priority < cpu.highest_ready) {
        schedule_ready(thread);
        schedule_next();
        return;
    }
    schedule_unready(thread);
    cpu.current = thread;
    arm_slice_if_shared(thread);
}

// At least one nanosecond of the current slice; 0 when none is running.
static uint64_t slice_left(void)
{
    uint64_t now = clock_now();

    if (!cpu.slice_armed)
        return 0;
    return cpu.slice_end > now ? cpu.slice_end - now : 1;
}

void schedule_preempt(void)
{
    struct thread *current = cpu.current;

    cpu.hazard &= ~CPU_HAZARD_RESCHEDULE;
    if (cpu.slice_over) {
        cpu.slice_over = false;
        schedule_yield();
    } else if (!current) {
        schedule_next();
    } else if (current->state != THREAD_READY || current->suspended) {
        schedule_next();
    } else if (current->priority < cpu.highest_ready) {
        // It keeps its place at the head, for what is left of its slice: else those
        // who wait behind it could be kept waiting by one that preempts it often.
        current->slice_left = slice_left();
        enqueue(current, true);
        counter_add(COUNTER_PREEMPTIONS, 1);
        schedule_next();
    }
}

void schedule_yield(void)
{
    struct thread *current = cpu.current;

    if (current && current->state == THREAD_READY && !current->suspended &&
        current->priority <= cpu.highest_ready) {
        enqueue(current, false);
        schedule_next();
    }
}

bool schedule_preemption_point(void)
{
    irqs_off_end();
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    irqs_off_begin();
    return cpu.current && (cpu.slice_over || cpu.current->priority < cpu.highest_ready);
}

void schedule_timer_interrupt(void)
{
    uint64_t now = clock_now();
    uint64_t next;

    counter_add(COUNTER_TIMER_INTERRUPTS, 1);
    clock_fired();
    deadline_run(now);
    if (cpu.slice_armed && cpu.slice_end <= now) {
        cpu.slice_armed = false;
        if (cpu.in_kernel_interrupt) {
            cpu.slice_over = true; // a long operation is to be left
            cpu.hazard |= CPU_HAZARD_RESCHEDULE;
        } else {
            schedule_yield(); // arms the next one's
        }
    }
    next = deadline_next();
    if (cpu.slice_armed && cpu.slice_end < next)
        next = cpu.slice_end;
    // What was too much for this time, or has become due meanwhile, waits a
    // little, so that programs get on.
    now = clock_now();
    if (next <= now)
        next = now + EXPIRE_PAUSE_NS;
    if (next != UINT64_MAX)
        clock_arm(next);
}

void schedule_idle(void)
{
    irqs_off_end();
    // sti takes effect after the next instruction: no interrupt is lost
    // between the two.
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
    irqs_off_begin();
}
