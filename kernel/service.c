// SPDX-License-Identifier: BSD-2-Clause
// Dispatch of kernel services: finds the handler, takes the rights of the
// request, and puts the answer where it belongs: into the caller's frame, or
// into a message to the reply right it gave.
#include "service.h"

#include "counters.h"
#include "cpu.h"
#include "message.h"
#include "reaper.h"
#include "x86/panic.h"

static const struct service_table *const tables[PORT_KIND_COUNT] = {
    [PORT_TASK] = &task_service_table,
    [PORT_THREAD] = &thread_service_table,
    [PORT_HOST] = &host_service_table,
    [PORT_HOST_PRIVILEGED] = &host_privileged_service_table,
    [PORT_INTERRUPT] = &interrupt_service_table,
    [PORT_TIMER] = &timer_service_table,
};

static const struct service *find(const struct port *target, uint32_t id)
{
    const struct service_table *table = tables[target->kind];

    if (id >> 8 != table->group || (id & 0xff) >= table->count)
        return NULL;
    return table->services[id & 0xff].handler ? &table->services[id & 0xff] : NULL;
}

// --- The answer -------------------------------------------------------------

// The caller waits for it: in place.
static void answer_in_place(struct thread *caller, const uint64_t *out, unsigned words,
                            struct carried_right *right)
{
    uint64_t tag = words;

    for (unsigned i = 1; i < words && i < MESSAGE_REGISTER_WORDS; i++)
        caller->frame.words[i] = out[i - 1];
    // An array from word 6 on is there already.
    if (words == MESSAGE_REGISTER_WORDS + 1)
        caller->utcb->words[MESSAGE_REGISTER_WORDS] = out[MESSAGE_REGISTER_WORDS - 1];
    if (right->kind != RIGHT_NONE) {
        caller->utcb->rights[0].disposition = carried_kind(right);
        caller->utcb->rights[0].name = right_insert(caller->task, right);
        tag |= TAG_RIGHTS(1);
    }
    caller->frame.rdi = 0;
    message_complete(caller, tag);
}

// The answer as a message of its own; NULL when there is no memory for it.
static struct message_copy *make_answer(struct thread *caller, uint64_t error, const uint64_t *out,
                                        unsigned words, struct carried_right *right)
{
    struct message_copy *message = message_copy_allocate(caller->task, words);
    bool array = words > MESSAGE_REGISTER_WORDS + 1;

    if (!message)
        return NULL;
    message->tag = words;
    message->id = (uint32_t)caller->frame.rdx;
    message->words[0] = error;
    for (unsigned i = 1; i < words; i++)
        message->words[i] =
            array && i >= MESSAGE_REGISTER_WORDS ? caller->utcb->words[i] : out[i - 1];
    if (right->kind != RIGHT_NONE) {
        message->rights[message->right_count++] = *right;
        message->tag |= TAG_RIGHTS(1);
        right->kind = RIGHT_NONE;
    }
    return message;
}

// Answers the thread behind a reply right that was handed on with the request.
static void answer_for_other(struct carried_right *to, struct message_copy *message)
{
    struct thread *waiting = to->caller;
    corvus_error_t error;

    if (waiting->rpc_sequence == to->sequence && waiting->state == THREAD_CALLING &&
        deliver_copy(message, waiting, 0, &error) == DELIVERED) {
        thread_forget_reply(waiting);
        message_complete(waiting, waiting->frame.rax & ~TAG_REPLY);
    }
    message_copy_destroy(message);
}

// The caller named a reply right (or none).
static void answer_by_message(struct thread *caller, uint64_t error, const uint64_t *out,
                              unsigned words, struct carried_right *right)
{
    struct carried_right *to = &caller->operation.reply;
    struct message_copy *message = NULL;

    if (to->kind == RIGHT_SEND_ONCE && caller->state != THREAD_TERMINATED)
        message = make_answer(caller, error, out, words, right);
    if (message && to->is_reply)
        answer_for_other(to, message);
    else if (message)
        message_post(to->port, message);
    else if (to->kind != RIGHT_NONE)
        counter_add(COUNTER_NOTICES_LOST, 1);
    if (right->kind != RIGHT_NONE)
        carried_destroy(right);
    if (to->kind != RIGHT_NONE)
        carried_destroy(to);
    if (caller->state == THREAD_TERMINATED)
        return;
    if (caller->operation.tag & TAG_RECEIVE) {
        caller->frame.rax = TAG_RECEIVE | (caller->operation.tag & TAG_RECEIVE_DEADLINE);
        caller->hazard |= HAZARD_RESTART;
        schedule_ready(caller);
    } else {
        message_complete(caller, 0);
    }
}

static void answer(struct thread *caller, corvus_error_t error, const uint64_t *out, unsigned words,
                   struct carried_right *right)
{
    trace(TRACE_SERVICE, caller->frame.rdx, error);
    if (error) {
        trace(TRACE_SERVICE_ERROR, caller->frame.rdx, error);
        counter_add(COUNTER_SERVICE_ERRORS, 1);
        words = 1;
    }
    if (caller->operation.tag & TAG_RPC && caller->state != THREAD_TERMINATED) {
        caller->frame.words[0] = error;
        answer_in_place(caller, out, words, right);
    } else {
        answer_by_message(caller, error, out, words, right);
    }
}

// --- Dispatch ---------------------------------------------------------------

static corvus_error_t check(struct thread *caller, const struct port *target,
                            const struct service *service, uint64_t tag)
{
    if (!service)
        return ERR_UNKNOWN_SERVICE;
    if ((tag & TAG_WORDS_MASK) < service->in_words ||
        (tag & TAG_RIGHTS_MASK) != TAG_RIGHTS(service->in_rights) || tag & TAG_ITEMS_MASK)
        return ERR_INVALID_ARGUMENT;
    if (target->kind == PORT_TASK && container_of(target, struct task, port)->terminated)
        return ERR_TERMINATED;
    return service->out_right ? right_reserve(caller->task, 1) : ERR_OK;
}

void service_dispatch(struct thread *caller, struct port *target, uint32_t id, uint64_t tag)
{
    const struct service *service = find(target, id);
    struct service_call call = {.caller = caller, .target = target, .in = caller->frame.words};
    corvus_error_t error = message_check_rights(caller, tag, target);

    counter_add(COUNTER_SERVICES, 1);
    if (error) {
        message_fail(caller, error, false);
        return;
    }
    caller->operation.tag = tag;
    caller->operation.reply = (struct carried_right){.kind = RIGHT_NONE};
    if (tag & TAG_REPLY_RIGHT)
        caller->operation.reply = right_take(caller->task, caller->utcb->reply);
    error = check(caller, target, service, tag);
    if (error) {
        answer(caller, error, call.out, 1, &call.out_right);
        return;
    }
    // What the service does may end the caller, or the object.
    caller->references++;
    port_reference(target);
    call.in_count = tag & TAG_WORDS_MASK;
    call.reply_words = 1u + service->out_words;
    call.local = (tag & (TAG_RPC | TAG_FOREIGN)) == TAG_RPC;
    if (service->in_rights)
        call.rights[0] = right_take(caller->task, caller->utcb->rights[0]);
    error = service->handler(&call);
    if (call.rights[0].kind != RIGHT_NONE)
        carried_destroy(&call.rights[0]);
    if (call.long_running)
        operation_continue(caller);
    else
        answer(caller, error, call.out, call.reply_words, &call.out_right);
    port_release(target);
    thread_release(caller);
}

// --- Long-running services --------------------------------------------------

void service_start_operation(struct service_call *call, bool (*step)(struct thread *),
                             struct task *task)
{
    call->caller->operation.step = step;
    call->caller->operation.task = task;
    task_reference(task);
    call->long_running = true;
}

void service_finish(struct thread *caller, corvus_error_t error, const uint64_t *out,
                    unsigned out_words)
{
    struct carried_right none = {.kind = RIGHT_NONE};
    struct task *task = caller->operation.task;

    caller->hazard &= ~HAZARD_OPERATION;
    caller->operation.step = NULL;
    caller->operation.task = NULL;
    answer(caller, error, out, 1 + out_words, &none);
    task_release(task);
}

void operation_continue(struct thread *thread)
{
    thread->references++;
    thread->hazard |= HAZARD_OPERATION;
    while (thread->operation.step && !thread->operation.step(thread)) {
        if (schedule_preemption_point())
            break;
    }
    thread_release(thread);
}

void operation_abandon(struct thread *thread)
{
    struct operation *operation = &thread->operation;

    if (!operation->step)
        return;
    operation->step = NULL;
    thread->hazard &= ~HAZARD_OPERATION;
    // A task half torn down cannot stay so.
    if (operation->task->terminated)
        reaper_add(operation->task);
    task_release(operation->task);
    if (operation->reply.kind != RIGHT_NONE)
        carried_destroy(&operation->reply);
}
