// SPDX-License-Identifier: BSD-2-Clause
// Services of thread ports: registers, suspension, who answers its faults, vCPU.
#include "service.h"

#include <corvus/services.h>

#include "cpu.h"
#include "message.h"
#include "vcpu.h"
#include "vector.h"
#include "x86/descriptor.h"
#include "x86/registers.h"

static struct thread *target_thread(const struct service_call *call)
{
    return container_of(call->target, struct thread, port);
}

#define DECODE_LIVE_THREAD(thread, call)                                                           \
    struct thread *thread = target_thread(call);                                                   \
    if ((thread)->state == THREAD_TERMINATED || !list_empty(&(thread)->doomed_link))               \
    return ERR_TERMINATED

static bool user_address(uint64_t address)
{
    return address < USER_END;
}

// Registers can be read and written while the thread cannot run: suspended, or
// stopped by a fault that is not part of a message.
static bool registers_settled(const struct thread *thread)
{
    return thread->suspended || (thread->state == THREAD_FAULTING && !thread->fault_in_send &&
                                 !thread->fault_in_receive);
}

static void resume(struct thread *thread)
{
    if (--thread->suspended)
        return;
    thread->hazard &= ~HAZARD_SUSPENDED;
    if (thread->state == THREAD_READY)
        schedule_ready(thread);
}

static corvus_error_t service_thread_start(struct service_call *call)
{
    const struct thread_start_in *in = (const void *)call->in;
    DECODE_LIVE_THREAD(thread, call);

    if (!thread->suspended || thread->state != THREAD_READY || thread->operation.step ||
        thread->hazard & HAZARD_RESTART)
        return ERR_STATE;
    if (!user_address(in->ip) || !user_address(in->sp) || !user_address(in->fs_base))
        return ERR_INVALID_RANGE;
    thread->frame.rip = in->ip;
    thread->frame.rsp = in->sp;
    thread->frame.rdi = in->argument;
    thread->fs_base = in->fs_base;
    thread->hazard |= HAZARD_FULL_FRAME;
    resume(thread);
    return ERR_OK;
}

static corvus_error_t service_thread_suspend(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    thread->suspended++;
    thread->hazard |= HAZARD_SUSPENDED;
    schedule_unready(thread);
    message_pass_on(thread);
    return ERR_OK;
}

static corvus_error_t service_thread_resume(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    if (!thread->suspended)
        return ERR_STATE;
    resume(thread);
    return ERR_OK;
}

static corvus_error_t service_thread_terminate(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    thread_terminate(thread);
    return ERR_OK;
}

static corvus_error_t service_thread_abort(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    // A plain fault is not a wait of the program's: its pager owes the answer.
    if (thread->state == THREAD_READY)
        return ERR_STATE;
    if (thread->state == THREAD_FAULTING && !thread->fault_in_send && !thread->fault_in_receive)
        return ERR_STATE;
    thread_end_wait(thread, ERR_ABORTED);
    return ERR_OK;
}

static corvus_error_t service_thread_info(struct service_call *call)
{
    const struct thread *thread = target_thread(call);

    *(struct thread_info_out *)call->out = (struct thread_info_out){
        .thread_id = thread->id,
        .state = thread->state,
        .priority = thread->priority,
        .suspended = thread->suspended,
        .task_id = thread->task->id,
        .utcb = thread->utcb_address,
    };
    return ERR_OK;
}

static corvus_error_t service_thread_get_state(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    if (!registers_settled(thread))
        return ERR_STATE;
    registers_from_frame((void *)&call->caller->utcb->words[MESSAGE_REGISTER_WORDS], &thread->frame,
                         thread->fs_base, thread->gs_base);
    call->reply_words = MESSAGE_REGISTER_WORDS + sizeof(struct vcpu_registers) / 8;
    return ERR_OK;
}

static corvus_error_t service_thread_set_state(struct service_call *call)
{
    const struct vcpu_registers *registers =
        (const void *)&call->caller->utcb->words[MESSAGE_REGISTER_WORDS];
    DECODE_LIVE_THREAD(thread, call);

    if (call->in_count < MESSAGE_REGISTER_WORDS + sizeof(*registers) / 8)
        return ERR_INVALID_ARGUMENT;
    if (!registers_settled(thread) || registers_above_user(registers))
        return ERR_STATE;
    if (thread->state != THREAD_FAULTING)
        thread_end_wait(thread, ERR_ABORTED);
    message_pass_on(thread);
    operation_abandon(thread);
    if (thread->vcpu)
        thread->vcpu->resume_guest = false;
    registers_to_frame(&thread->frame, registers);
    thread->fs_base = registers->fs_base;
    thread->gs_base = registers->gs_base;
    thread->hazard |= HAZARD_FULL_FRAME;
    thread->hazard &= ~HAZARD_RESTART;
    return ERR_OK;
}

static corvus_error_t service_thread_set_priority(struct service_call *call)
{
    const struct thread_set_priority_in *in = (const void *)call->in;
    bool queued;
    DECODE_LIVE_THREAD(thread, call);

    if (in->priority > call->caller->priority || in->priority > thread->task->priority_max)
        return ERR_INVALID_ARGUMENT;
    queued = !list_empty(&thread->ready_link);
    schedule_unready(thread);
    thread->priority = (uint8_t)in->priority;
    if (queued)
        schedule_ready(thread);
    if (thread == cpu.current)
        cpu.hazard |= CPU_HAZARD_RESCHEDULE;
    return ERR_OK;
}

// Keeps the right of the request in place of an older one.
static corvus_error_t set_port(struct service_call *call, struct port **port)
{
    struct port *old = *port;

    if (call->rights[0].kind != RIGHT_SEND || call->rights[0].port->kind != PORT_PLAIN)
        return ERR_INVALID_RIGHT;
    *port = call->rights[0].port;
    call->rights[0].kind = RIGHT_NONE;
    if (old)
        port_drop_send(old);
    return ERR_OK;
}

static corvus_error_t service_thread_set_pager(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    return set_port(call, &thread->pager);
}

static corvus_error_t service_thread_set_exception_port(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    return set_port(call, &thread->exception_port);
}

static corvus_error_t service_thread_set_tls(struct service_call *call)
{
    const struct thread_set_tls_in *in = (const void *)call->in;
    DECODE_LIVE_THREAD(thread, call);

    if (!user_address(in->fs_base))
        return ERR_INVALID_RANGE;
    thread->fs_base = in->fs_base;
    return ERR_OK;
}

static corvus_error_t service_thread_save_reply(struct service_call *call)
{
    struct carried_right carried = {.kind = RIGHT_SEND_ONCE};
    corvus_error_t error;
    DECODE_LIVE_THREAD(thread, call);

    if (!thread->reply.caller && !thread->reply.port)
        return ERR_STATE;
    error = right_reserve(thread->task, 1);
    if (error)
        return error;
    if (thread->reply.caller) {
        carried.is_reply = true;
        carried.caller = thread->reply.caller;
        carried.sequence = carried.caller->rpc_sequence;
        carried.caller->references++;
        carried.caller->replier = NULL;
    } else {
        carried.port = thread->reply.port;
    }
    thread->reply = (struct reply_slot){0};
    call->out[0] = right_insert(thread->task, &carried);
    return ERR_OK;
}

static corvus_error_t service_thread_reply_room(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    if (!thread->reply.caller && !thread->reply.port)
        return ERR_STATE;
    for (unsigned i = 0; i < MESSAGE_ITEMS && thread->reply.caller; i++)
        call->out[i] = thread->reply.caller->utcb->copy_buffers[i].length;
    return ERR_OK;
}

// --- vCPU -------------------------------------------------------------------

static corvus_error_t service_vcpu_attach(struct service_call *call)
{
    const struct vcpu_attach_in *in = (const void *)call->in;
    DECODE_LIVE_THREAD(thread, call);

    return vcpu_create(thread, in->address);
}

static corvus_error_t service_vcpu_bind(struct service_call *call)
{
    const struct vcpu_bind_in *in = (const void *)call->in;
    corvus_error_t error;
    struct port *port;
    DECODE_LIVE_THREAD(thread, call);

    if (in->port > UINT32_MAX || in->bit > 64)
        return ERR_INVALID_ARGUMENT;
    if (!thread->vcpu)
        return ERR_STATE;
    port = right_port(thread->task, (port_name_t)in->port, RIGHT_RECEIVE, &error);
    if (!port)
        return error;
    if (in->bit < 64 && (port->set || (port->vcpu && port->vcpu != thread)))
        return ERR_IN_USE;
    vcpu_bind_port(thread, port, (uint8_t)in->bit);
    return ERR_OK;
}

static corvus_error_t service_vcpu_fpu_flush(struct service_call *call)
{
    DECODE_LIVE_THREAD(thread, call);

    return thread->vcpu ? vcpu_flush_vector(thread) : ERR_STATE;
}

static const struct service services[] = {THREAD_SERVICES(SERVICE_ENTRY)};
const struct service_table thread_service_table =
    SERVICE_TABLE(services, SERVICE_thread_start >> 8);
