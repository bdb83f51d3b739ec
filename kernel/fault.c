// SPDX-License-Identifier: BSD-2-Clause
// The life of a fault: raised, queued or delivered, answered or refused.
#include "fault.h"

#include "counters.h"
#include "cpu.h"
#include "message.h"
#include "task.h"
#include "vcpu.h"
#include "x86/panic.h"

#define FAULT_WORDS     4
#define EXCEPTION_WORDS 6
_Static_assert(sizeof(struct page_fault_message) == FAULT_WORDS * 8, "in registers");
_Static_assert(sizeof(struct exception_message) == EXCEPTION_WORDS * 8, "in registers");
#define VECTOR_PAGE_FAULT 14

// Restarts of one system call for missing pages: enough for every page of the
// largest message on both sides, four times over.
#define MESSAGE_RETRIES_MAX (8 * MESSAGE_COPY_MAX / PAGE_BYTES)

void fault_deliver(struct thread *faulter, struct thread *receiver, uint64_t label)
{
    const struct fault *fault = &faulter->fault;
    struct frame *frame = &receiver->frame;

    if (fault->is_exception) {
        frame->words[0] = fault->vector;
        frame->words[1] = fault->error_code;
        frame->words[2] = faulter->frame.rip;
        frame->words[3] = fault->address;
        frame->words[4] = faulter->id;
        frame->words[5] = fault->reason;
        frame->rdx = MESSAGE_ID_EXCEPTION;
        frame->rax = EXCEPTION_WORDS | TAG_REPLY;
    } else {
        frame->words[0] = fault->address;
        frame->words[1] = fault->access;
        frame->words[2] = faulter->frame.rip;
        frame->words[3] = faulter->id;
        frame->rdx = MESSAGE_ID_PAGE_FAULT;
        frame->rax = FAULT_WORDS | TAG_REPLY;
    }
    frame->rdi = label;
    receiver->reply.caller = faulter;
    faulter->replier = receiver;
}

// Sends the fault in thread->fault to a port: straight to a receiver if one
// waits, else the thread is the queue entry.
static void send_fault(struct thread *thread, struct port *port)
{
    struct sink *sink = port->sink;
    struct thread *receiver;

    thread->state = THREAD_FAULTING;
    if (!sink->receivers || sink->ready_count) {
        message_queue_thread(port, thread);
        message_wake_receiver(sink);
        return;
    }
    receiver = container_of(sink->receivers, struct thread, waiting);
    chain_remove(&receiver->waiting);
    fault_deliver(thread, receiver, port->label);
    receiver->retries = 0;
    schedule_switch_to(receiver);
}

static bool can_answer(const struct port *port)
{
    return port && !port->dead && port->kind == PORT_PLAIN;
}

static void raise_exception(struct thread *thread)
{
    counter_add(COUNTER_EXCEPTIONS, 1);
    trace(TRACE_EXCEPTION, thread->fault.vector, thread->frame.rip);
    if (can_answer(thread->exception_port))
        send_fault(thread, thread->exception_port);
    else
        thread_doom(thread);
}

void fault_raise(struct thread *thread, const struct fault *fault)
{
    thread->fault = *fault;
    if (thread->vcpu && thread == cpu.current && vcpu_server_fault(thread, fault))
        return;
    if (fault->is_exception) {
        raise_exception(thread);
        return;
    }
    counter_add(COUNTER_PAGE_FAULTS, 1);
    trace(TRACE_FAULT, fault->address, thread->frame.rip);
    if (can_answer(thread->pager))
        send_fault(thread, thread->pager);
    else
        fault_refuse(thread, ERR_PEER_DIED);
}

bool fault_raise_for_message(struct thread *thread, uint64_t address, uint32_t access, bool in_send)
{
    struct fault fault = {.address = address, .access = access};

    counter_add(COUNTER_COPY_RETRIES, 1);
    if (++thread->retries > MESSAGE_RETRIES_MAX || !can_answer(thread->pager))
        return false;
    // The phase's deadline bounds this too. Who waited already has it armed.
    if (thread == cpu.current && !message_arm_deadline(thread, !in_send))
        return true;
    if (thread->sending_to)
        message_unqueue_thread(thread);
    thread->fault_in_send = in_send;
    thread->fault_in_receive = !in_send;
    fault.vector = VECTOR_PAGE_FAULT;
    thread->fault = fault;
    counter_add(COUNTER_PAGE_FAULTS, 1);
    send_fault(thread, thread->pager);
    return true;
}

// The page is there: a thread that faulted in user mode goes on, one that
// needed it for a message issues its system call again.
static void resume(struct thread *thread)
{
    thread->state = THREAD_READY;
    if (thread->fault_in_receive)
        thread->frame.rax =
            TAG_RECEIVE | (thread->hazard & HAZARD_DEADLINE ? TAG_RECEIVE_DEADLINE : 0);
    if (thread->fault_in_send || thread->fault_in_receive)
        thread->hazard |= HAZARD_RESTART;
    thread->fault_in_send = false;
    thread->fault_in_receive = false;
}

void fault_refuse(struct thread *thread, corvus_error_t error)
{
    bool in_receive = thread->fault_in_receive;

    if (thread->fault_in_send || in_receive) {
        thread->fault_in_send = false;
        thread->fault_in_receive = false;
        message_fail(thread, error == ERR_TIMED_OUT || error == ERR_ABORTED ? error : ERR_FAULT,
                     in_receive);
        return;
    }
    if (thread->fault.is_exception) {
        thread_doom(thread);
        return;
    }
    thread->fault.is_exception = true;
    thread->fault.vector = VECTOR_PAGE_FAULT;
    thread->fault.reason = error;
    raise_exception(thread);
}

corvus_error_t fault_answer(struct thread *faulter, struct thread *pager)
{
    uint64_t tag = pager->frame.rax;
    bool has_word = (tag & TAG_WORDS_MASK) > 0;
    corvus_error_t error;

    if (tag & TAG_RIGHTS_MASK)
        return ERR_INVALID_ARGUMENT;
    if (faulter->fault.is_exception) {
        thread_forget_reply(faulter);
        if (has_word && pager->frame.words[0] == EXCEPTION_RESUME)
            faulter->state = THREAD_READY;
        else
            thread_doom(faulter);
        return ERR_OK;
    }
    if (has_word && pager->frame.words[0] != ERR_OK) {
        thread_forget_reply(faulter);
        fault_refuse(faulter, (corvus_error_t)(pager->frame.words[0] & 0xff));
        return ERR_OK;
    }
    error = deliver_fault_items(pager, faulter, tag);
    if (error)
        return error;
    thread_forget_reply(faulter);
    resume(faulter);
    return ERR_OK;
}
