// SPDX-License-Identifier: BSD-2-Clause
// vCPUs. A guest runs on the server's thread and time: entering it is a system
// call that does not return until the guest traps or an event comes.
#include "vcpu.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "mapping.h"
#include "memory.h"
#include "message.h"
#include "task.h"
#include "trap.h"
#include "vector.h"
#include "x86/debug_registers.h"
#include "x86/descriptor.h"
#include "x86/paging.h"
#include "x86/registers.h"
#include "x86/switch.h"
#include "x86/vector_unit.h"

#define VECTOR_DEBUG          1
#define VECTOR_NO_VECTOR_UNIT 7
#define VECTOR_PAGE_FAULT     14
#define VECTOR_EXTERNAL       32
#define RED_ZONE              128

// --- Life -------------------------------------------------------------------

corvus_error_t vcpu_create(struct thread *thread, uint64_t address)
{
    struct task *task = thread->task;
    struct vcpu *vcpu;
    corvus_error_t error;

    if (thread->vcpu)
        return ERR_IN_USE;
    if (address >= USER_MAP_END)
        return ERR_INVALID_RANGE;
    vcpu = memory_object_allocate(task, sizeof(*vcpu));
    if (!vcpu)
        return ERR_NO_MEMORY;
    vcpu->state = memory_page_allocate(task);
    error = vcpu->state ? space_pin(task, address, virtual_to_physical(vcpu->state),
                                    ACCESS_READ | ACCESS_WRITE)
                        : ERR_NO_MEMORY;
    if (error) {
        if (vcpu->state)
            memory_page_free(task, vcpu->state);
        memory_object_free(task, vcpu, sizeof(*vcpu));
        return error;
    }
    vcpu->state_address = address;
    vcpu->thread = thread;
    thread->vcpu = vcpu;
    return ERR_OK;
}

static void set_guest(struct vcpu *vcpu, struct task *guest)
{
    if (guest)
        task_reference(guest);
    if (vcpu->guest)
        task_release(vcpu->guest);
    vcpu->guest = guest;
}

void vcpu_destroy(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;
    struct task *task = thread->task;

    if (cpu.in_guest == vcpu)
        cpu.in_guest = NULL;
    set_guest(vcpu, NULL);
    space_unpin(task, vcpu->state_address);
    memory_page_free(task, vcpu->state);
    memory_object_free(task, vcpu, sizeof(*vcpu));
    thread->vcpu = NULL;
}

void vcpu_bind_port(struct thread *thread, struct port *port, uint8_t bit)
{
    port_unbind_vcpu(port);
    if (bit == 64)
        return;
    port->vcpu = thread;
    port->vcpu_bit = bit;
    port_reference(port);
    thread->references++;
    port_update_ready(port);
}

// --- Into the guest ---------------------------------------------------------

// Whether the guest about to run has another save area than the one that is held.
static inline bool vector_context_changes(const struct vcpu *vcpu)
{
    return vcpu->vector_address != vcpu->state->fpu_area && vcpu->vector_address;
}

static void change_vector_context(struct thread *thread)
{
    if (vcpu_flush_vector(thread))
        counter_add(COUNTER_STATE_REFUSED, 1);
}

static bool event_due(const struct vcpu_state *state)
{
    return state->events_enabled && state->pending;
}

// The same for a guest, which a server may let be interrupted while it masks events for itself.
static bool guest_event_due(const struct vcpu_state *state)
{
    return state->pending && (state->events_enabled | state->guest_events);
}

// The system call returns with `reason` in rax.
static void return_to_server(struct thread *thread, uint64_t reason)
{
    thread->vcpu->state->reason = (uint32_t)reason;
    thread->vcpu->resume_guest = false;
    thread->frame.rax = reason;
    thread->state = THREAD_READY;
}

static bool can_sysret(const struct vcpu_registers *guest, uint64_t ip, uint64_t flags)
{
    return guest->rcx == ip && guest->r11 == flags && !(flags & (RFLAGS_TRAP | RFLAGS_RESUME));
}

// What is rare about entering: something is traced or measured, there is no
// FSGSBASE, debug registers are loaded.
static __attribute__((noinline)) void enter_with_hazard(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;
    struct vcpu_registers *guest = &vcpu->state->guest;

    trace(TRACE_VCPU_RUN, vcpu->guest->id, guest->rip);
    vector_before_run(thread);
    if (cpu.hazard & CPU_HAZARD_NO_FSGSBASE) {
        wrmsr(MSR_FS_BASE, guest->fs_base);
        wrmsr(MSR_GS_BASE, guest->gs_base);
    } else {
        write_fs_base(guest->fs_base);
        write_gs_base(guest->gs_base);
    }
    irqs_off_end();
    vcpu_guest_iret(guest, flags_sanitise(guest->rflags), guest->rip);
}

// From here on traps are the guest's.
static inline void hand_over(struct vcpu *vcpu, struct task *guest)
{
    cpu.in_guest = vcpu;
    cpu_tss.rsp[0] = (uint64_t)(&vcpu->frame + 1);
    switch_space(guest);
}

// What is not ordinary in the state page: bases in the kernel's half, debug
// registers, or what is refused.
static __attribute__((noinline)) void enter_unusual(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;

    if (vcpu->guest->terminated || !registers_loadable(&vcpu->state->guest) ||
        !vcpu_debug_begin(vcpu)) {
        counter_add(COUNTER_STATE_REFUSED, 1);
        return_to_server(thread, (uint64_t) - (int64_t)ERR_STATE);
        return;
    }
    hand_over(vcpu, vcpu->guest);
    enter_with_hazard(thread);
}

// Enters vcpu->guest with the registers in the state page. Returns only when
// the server has to be told something instead.
static inline __attribute__((always_inline)) void enter_guest(struct thread *thread,
                                                              struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    struct vcpu_registers *guest = &state->guest;
    struct task *task = vcpu->guest;
    uint64_t flags = flags_sanitise(guest->rflags);
    uint64_t ip = guest->rip;
    uint32_t hazard;

    if (__builtin_expect(guest_event_due(state), 0)) {
        return_to_server(thread, VCPU_EXIT_EVENT);
        return;
    }
    if (__builtin_expect(task->terminated, 0) ||
        __builtin_expect((registers_above_user(guest) | state->debug_control) != 0, 0)) {
        enter_unusual(thread);
        return;
    }
    // ---- the guest runs ----
    hand_over(vcpu, task);
    hazard = thread->hazard | cpu.hazard;
    if (__builtin_expect(hazard, 0) && !switch_vector(hazard)) {
        enter_with_hazard(thread);
        return;
    }
    write_fs_base(guest->fs_base);
    write_gs_base(guest->gs_base);
    if (can_sysret(guest, ip, flags)) {
        __asm__ volatile("jmp vcpu_guest_sysret" : : "D"(guest), "S"(flags) : "memory");
        __builtin_unreachable();
    }
    vcpu_guest_iret(guest, flags, ip);
}

// Every entry but the simplest.
static __attribute__((noinline)) void enter_guest_after_all(struct thread *thread)
{
    if (vector_context_changes(thread->vcpu))
        change_vector_context(thread);
    enter_guest(thread, thread->vcpu);
}

static void wait_for_event(struct thread *thread)
{
    if (thread->vcpu->state->pending)
        return_to_server(thread, VCPU_EXIT_EVENT);
    else
        thread->state = THREAD_IDLING;
}

// A guest that is not the one that ran last; or no guest.
static __attribute__((noinline)) void run_other(struct thread *thread, port_name_t name)
{
    struct vcpu *vcpu = thread->vcpu;
    struct right *right = right_entry(&thread->task->rights, name);
    struct task *guest;

    if (!vcpu) {
        message_fail(thread, ERR_STATE, false);
        return;
    }
    if (name == PORT_NULL) {
        wait_for_event(thread);
        return;
    }
    if (right->tag != (RIGHT_SEND << 16 | (name & RIGHT_GENERATION_MASK)) ||
        right->port->kind != PORT_TASK) {
        return_to_server(thread, (uint64_t) - (int64_t)ERR_INVALID_RIGHT);
        return;
    }
    guest = container_of(right->port, struct task, port);
    if (guest->terminated || !(guest->flags & TASK_GUEST)) {
        return_to_server(thread, (uint64_t) - (int64_t)ERR_INVALID_RIGHT);
        return;
    }
    set_guest(vcpu, guest);
    enter_guest_after_all(thread);
}

_Static_assert(offsetof(struct task, port) == 0, "no guest has the port NULL, as no right has");

void vcpu_run(struct thread *thread, port_name_t name)
{
    struct vcpu *vcpu = thread->vcpu;
    const struct right *right = right_entry(&thread->task->rights, name);

    if (vcpu && right->tag == (RIGHT_SEND << 16 | (name & RIGHT_GENERATION_MASK)) &&
        right->port == &vcpu->guest->port && !vector_context_changes(vcpu))
        enter_guest(thread, vcpu);
    else
        run_other(thread, name);
}

// --- Out of the guest -------------------------------------------------------

// The bases may have been changed by the guest itself.
static inline void read_bases(struct vcpu_registers *guest)
{
    __asm__ volatile("rdfsbase %0" : "=r"(guest->fs_base));
    __asm__ volatile("rdgsbase %0" : "=r"(guest->gs_base));
}

static void save_bases(struct vcpu_registers *guest)
{
    if (!(cpu.hazard & CPU_HAZARD_NO_FSGSBASE))
        read_bases(guest);
}

// The server runs again, through kernel_exit.
static void leave_guest(struct thread *thread, uint32_t reason)
{
    counter_add(COUNTER_VCPU_EXITS, 1);
    trace(TRACE_VCPU_EXIT, reason, thread->vcpu->state->guest.rip);
    return_to_server(thread, reason);
}

// The same when something is to be looked at first.
static __attribute__((noinline)) void guest_syscall_with_hazard(struct vcpu *vcpu)
{
    irqs_off_begin();
    save_bases(&vcpu->state->guest);
    leave_guest(vcpu->thread, VCPU_EXIT_SYSCALL);
}

void vcpu_guest_syscall(void)
{
    struct vcpu *vcpu = cpu.in_guest;
    struct vcpu_state *state = vcpu->state;
    struct thread *thread = vcpu->thread;
    uint32_t hazard = cpu.hazard | thread->hazard;

    cpu.in_guest = NULL;
    // The vector unit stays as it is: guest and server are one thread. There are
    // no debug registers: with them a system call comes as a trap.
    if (__builtin_expect(hazard & ~(HAZARD_VECTOR | CPU_HAZARD_VECTOR_LIVE), 0)) {
        guest_syscall_with_hazard(vcpu);
        return;
    }
    counter_add(COUNTER_VCPU_EXITS, 1);
    read_bases(&state->guest);
    state->reason = VCPU_EXIT_SYSCALL;
    switch_to_thread(thread);
    __asm__ volatile("jmp vcpu_server_exit" : : "D"(thread), "a"(VCPU_EXIT_SYSCALL) : "memory");
    __builtin_unreachable();
}

static void save_guest(struct vcpu *vcpu)
{
    struct vcpu_registers *guest = &vcpu->state->guest;

    save_bases(guest);
    registers_from_frame(guest, &vcpu->frame, guest->fs_base, guest->gs_base);
}

void vcpu_guest_trap(struct frame *frame)
{
    struct vcpu *vcpu = cpu.in_guest;
    struct vcpu_state *state = vcpu->state;
    struct thread *thread = vcpu->thread;
    unsigned vector = (unsigned)frame->vector;

    cpu.in_guest = NULL;
    save_guest(vcpu);
    if (thread->hazard & HAZARD_DEBUG && vcpu_debug_end(vcpu, vector)) {
        leave_guest(thread, VCPU_EXIT_SYSCALL);
        return;
    }
    // Whatever happens, the guest is gone on with unless the server is told.
    thread->hazard |= HAZARD_VCPU;
    vcpu->resume_guest = true;
    if (vector >= VECTOR_EXTERNAL) {
        trap_interrupt(vector);
        return;
    }
    if (vector == VECTOR_NO_VECTOR_UNIT && vcpu_load_vector(thread))
        return;
    thread->hazard &= ~HAZARD_VCPU;
    state->vector = vector;
    state->error_code = frame->error_code;
    state->fault_address = vector == VECTOR_PAGE_FAULT ? read_cr2() : 0;
    if (vector == VECTOR_DEBUG)
        state->debug_status = debug_registers_status(state->debug_control);
    leave_guest(thread, vector == VECTOR_PAGE_FAULT ? VCPU_EXIT_PAGE_FAULT : VCPU_EXIT_EXCEPTION);
}

// --- Into the server --------------------------------------------------------

static void upcall(struct thread *thread, uint32_t reason)
{
    struct vcpu_state *state = thread->vcpu->state;

    counter_add(COUNTER_VCPU_UPCALLS, 1);
    registers_from_frame(&state->server, &thread->frame, thread->fs_base, thread->gs_base);
    state->reason = reason;
    state->server_events_enabled = state->events_enabled;
    state->events_enabled = 0;
    state->in_entry = 1;
    thread->frame.rip = state->entry;
    thread->frame.rsp = (thread->frame.rsp - RED_ZONE) & ~15ull;
    thread->frame.rflags = FLAGS_FIXED;
    thread->hazard |= HAZARD_FULL_FRAME;
}

void vcpu_before_run(struct thread *thread)
{
    struct vcpu *vcpu = thread->vcpu;

    thread->hazard &= ~HAZARD_VCPU;
    if (vcpu->resume_guest) {
        vcpu->resume_guest = false;
        enter_guest_after_all(thread);
        return;
    }
    if (event_due(vcpu->state) && vcpu->state->entry && vcpu->state->entry < USER_END)
        upcall(thread, VCPU_EXIT_EVENT);
}

void vcpu_raise(struct thread *thread, unsigned bit)
{
    struct vcpu_state *state;

    if (!thread->vcpu) // has ended
        return;
    state = thread->vcpu->state;
    state->pending |= 1ull << bit;
    if (thread->state == THREAD_IDLING) {
        return_to_server(thread, VCPU_EXIT_EVENT);
        schedule_ready(thread);
    } else if (state->events_enabled | state->guest_events) {
        thread->hazard |= HAZARD_VCPU;
    }
}

void vcpu_end_idle(struct thread *thread)
{
    return_to_server(thread, (uint64_t) - (int64_t)ERR_ABORTED);
    schedule_ready(thread);
}

bool vcpu_server_fault(struct thread *thread, const struct fault *fault)
{
    struct vcpu_state *state = thread->vcpu->state;

    // A fault inside the entry is one too many: pager or exception port.
    if (!state->entry || state->entry >= USER_END || state->in_entry)
        return false;
    state->vector = (uint32_t)fault->vector;
    state->error_code = fault->error_code;
    state->fault_address = fault->address;
    upcall(thread, fault->is_exception ? VCPU_EXIT_EXCEPTION : VCPU_EXIT_PAGE_FAULT);
    return true;
}
