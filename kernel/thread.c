// SPDX-License-Identifier: BSD-2-Clause
// Life and death of threads, and the ends of their waits.
#include "thread.h"

#include "cpu.h"
#include "fault.h"
#include "mapping.h"
#include "memory.h"
#include "message.h"
#include "object.h"
#include "task.h"
#include "vcpu.h"
#include "vector.h"
#include "x86/descriptor.h"
#include "x86/instructions.h"
#include "x86/panic.h"
#include "x86/paging.h"

#define USER_FLAGS (RFLAGS_INTERRUPT | 2u)

// A fresh page for a task, seen by it at `address`.
static void *pinned_page(struct task *task, uint64_t address, corvus_error_t *error)
{
    void *page = memory_page_allocate(task);

    if (!page) {
        *error = ERR_NO_MEMORY;
        return NULL;
    }
    *error = space_pin(task, address, virtual_to_physical(page), ACCESS_READ | ACCESS_WRITE);
    if (*error) {
        memory_page_free(task, page);
        return NULL;
    }
    return page;
}

corvus_error_t thread_create(struct task *task, uint64_t utcb, uint8_t priority,
                             struct thread **result)
{
    struct thread *thread;
    corvus_error_t error;

    if (task->terminated)
        return ERR_TERMINATED;
    if (utcb >= USER_MAP_END)
        return ERR_INVALID_RANGE;
    thread = memory_object_allocate(task, sizeof(*thread));
    if (!thread)
        return ERR_NO_MEMORY;
    thread->utcb = pinned_page(task, utcb, &error);
    if (!thread->utcb) {
        memory_object_free(task, thread, sizeof(*thread));
        return error;
    }
    thread->utcb->self = (struct utcb *)utcb;
    thread->more_words = thread->utcb->words + MESSAGE_REGISTER_WORDS;
    port_init(&thread->port, PORT_THREAD);
    thread->port.references = 1;
    thread->references = 1;
    thread->task = task;
    thread->utcb_address = utcb;
    thread->gs_base = utcb;
    thread->priority = priority;
    thread->suspended = 1;
    thread->hazard = HAZARD_FULL_FRAME;
    thread->frame.cs = SELECTOR_USER_CODE;
    thread->frame.ss = SELECTOR_USER_DATA;
    thread->frame.rflags = USER_FLAGS;
    thread->id = thread->port.id;
    list_init(&thread->ready_link);
    list_init(&thread->doomed_link);
    list_init(&thread->sending.link);
    list_append(&task->threads, &thread->task_link);
    task->thread_count++;
    task_reference(task);
    *result = thread;
    return ERR_OK;
}

// --- Reply rights -----------------------------------------------------------

void thread_forget_reply(struct thread *caller)
{
    if (caller->replier) {
        caller->replier->reply.caller = NULL;
        caller->replier = NULL;
    }
    caller->rpc_sequence++;
}

void reply_slot_drop(struct thread *holder, corvus_error_t error)
{
    struct thread *caller = holder->reply.caller;
    struct port *port = holder->reply.port;

    if (caller) {
        holder->reply.caller = NULL;
        caller->replier = NULL;
        thread_end_wait(caller, error);
    } else if (port) {
        holder->reply.port = NULL;
        port_drop_send_once(port);
    }
}

// --- Waits ------------------------------------------------------------------

void thread_end_wait(struct thread *thread, corvus_error_t error)
{
    switch (thread->state) {
    case THREAD_SENDING:
        message_unqueue_thread(thread);
        message_fail(thread, error, false);
        break;
    case THREAD_RECEIVING:
        chain_remove(&thread->waiting);
        message_fail(thread, error, true);
        break;
    case THREAD_CALLING:
        thread_forget_reply(thread);
        message_fail(thread, error, true);
        break;
    case THREAD_FAULTING:
        if (thread->sending_to)
            message_unqueue_thread(thread);
        thread_forget_reply(thread);
        fault_refuse(thread, error);
        break;
    case THREAD_IDLING:
        vcpu_end_idle(thread);
        break;
    default:
        break;
    }
}

// Out of every queue, without a word to the thread itself.
static void leave_wait(struct thread *thread)
{
    if (thread->hazard & HAZARD_DEADLINE)
        deadline_cancel(&thread->deadline);
    if (thread->waiting.link)
        chain_remove(&thread->waiting);
    if (thread->sending_to)
        message_unqueue_thread(thread);
    thread_forget_reply(thread);
    schedule_unready(thread);
}

static void drop_port(struct port **port)
{
    if (*port)
        port_drop_send(*port);
    *port = NULL;
}

// --- Death ------------------------------------------------------------------

void thread_terminate(struct thread *thread)
{
    struct task *task = thread->task;

    if (thread->state == THREAD_TERMINATED)
        return;
    leave_wait(thread);
    message_pass_on(thread);
    thread->state = THREAD_TERMINATED;
    thread->hazard = 0;
    reply_slot_drop(thread, ERR_PEER_DIED);
    operation_abandon(thread);
    if (thread->vcpu)
        vcpu_destroy(thread);
    vector_release(thread);
    drop_port(&thread->pager);
    drop_port(&thread->exception_port);
    space_unpin(task, thread->utcb_address);
    memory_page_free(task, thread->utcb);
    thread->utcb = NULL;
    list_remove(&thread->task_link);
    list_remove(&thread->doomed_link);
    task->thread_count--;
    port_kill(&thread->port);
    port_release(&thread->port);
}

void thread_release(struct thread *thread)
{
    struct task *task = thread->task;

    if (--thread->references > 0)
        return;
    KASSERT(thread->state == THREAD_TERMINATED);
    // Its own kernel entry may still be under way.
    if (cpu.current == thread)
        cpu.current = NULL;
    memory_object_free(task, thread, sizeof(*thread));
    task_release(task);
}
