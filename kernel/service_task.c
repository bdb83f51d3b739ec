// SPDX-License-Identifier: BSD-2-Clause
// Services of task ports: children, threads, names, ports. The memory services
// are in service_memory.c.
#include "service.h"

#include <corvus/services.h>

#include "cpu.h"
#include "mapping.h"
#include "memory.h"
#include "message.h"
#include "timer.h"

static struct task *target_task(const struct service_call *call)
{
    return container_of(call->target, struct task, port);
}

// --- The task itself --------------------------------------------------------

static corvus_error_t service_task_create(struct service_call *call)
{
    const struct task_create_in *in = (const void *)call->in;
    struct task *task;

    if (in->flags & ~(TASK_GUEST | TASK_PRIORITY_MAX(PRIORITY_COUNT - 1)))
        return ERR_INVALID_ARGUMENT;
    if (!(in->flags & TASK_PRIORITY_LIMIT) && in->flags >> TASK_PRIORITY_SHIFT != 0)
        return ERR_INVALID_ARGUMENT;
    if (target_task(call)->depth == TASK_DEPTH_MAX)
        return ERR_TOO_LARGE;
    task = task_allocate(target_task(call), in->quota, (uint32_t)in->flags);
    if (!task)
        return ERR_NO_MEMORY;
    port_add_send(&task->port);
    call->out_right = (struct carried_right){.kind = RIGHT_SEND, .port = &task->port};
    call->out[0] = task->id;
    return ERR_OK;
}

static bool terminate_step(struct thread *caller)
{
    struct task *task = caller->operation.task;

    if (!task_terminate_step(task))
        return caller->state == THREAD_TERMINATED;
    if (caller->state != THREAD_TERMINATED)
        service_finish(caller, ERR_OK, NULL, 0);
    return true;
}

static corvus_error_t service_task_terminate(struct service_call *call)
{
    if (target_task(call) == root_task)
        return ERR_INVALID_ARGUMENT;
    service_start_operation(call, terminate_step, target_task(call));
    return ERR_OK;
}

static corvus_error_t service_task_info(struct service_call *call)
{
    const struct task *task = target_task(call);
    struct task_info_out *out = (void *)call->out;

    *out = (struct task_info_out){
        .task_id = task->id,
        .quota = task->quota.limit,
        .used = task->quota.used,
        .threads = task->thread_count,
        .rights = right_used(&task->rights),
        .mapped = task->space.mapped,
    };
    return ERR_OK;
}

static corvus_error_t service_task_move_quota(struct service_call *call)
{
    const struct task_move_quota_in *in = (const void *)call->in;
    struct task *from = target_task(call);
    struct port *port = call->rights[0].port;
    struct task *to;

    if (call->rights[0].kind != RIGHT_SEND || port->kind != PORT_TASK)
        return ERR_INVALID_RIGHT;
    to = container_of(port, struct task, port);
    if (to->terminated)
        return ERR_TERMINATED;
    // What was donated stays where it can be reclaimed.
    if (in->bytes > from->quota.limit - from->quota.used ||
        in->bytes > from->quota.limit - from->quota.donated)
        return ERR_NO_MEMORY;
    from->quota.limit -= in->bytes;
    to->quota.limit += in->bytes;
    return ERR_OK;
}

static void inherit_handlers(struct thread *thread, const struct thread *maker)
{
    if (maker->pager) {
        thread->pager = maker->pager;
        port_add_send(thread->pager);
    }
    if (maker->exception_port) {
        thread->exception_port = maker->exception_port;
        port_add_send(thread->exception_port);
    }
}

static corvus_error_t service_task_create_thread(struct service_call *call)
{
    const struct task_create_thread_in *in = (const void *)call->in;
    struct thread *thread;
    corvus_error_t error;

    if (in->priority > call->caller->priority || in->priority > target_task(call)->priority_max)
        return ERR_INVALID_ARGUMENT;
    if (target_task(call)->flags & TASK_GUEST)
        return ERR_INVALID_RIGHT;
    error = thread_create(target_task(call), in->utcb, (uint8_t)in->priority, &thread);
    if (error)
        return error;
    if (thread->task == call->caller->task)
        inherit_handlers(thread, call->caller);
    port_add_send(&thread->port);
    call->out_right = (struct carried_right){.kind = RIGHT_SEND, .port = &thread->port};
    call->out[0] = thread->id;
    return ERR_OK;
}

// --- Names ------------------------------------------------------------------

static corvus_error_t service_task_allocate_port(struct service_call *call)
{
    const struct task_allocate_port_in *in = (const void *)call->in;
    struct task *task = target_task(call);
    corvus_error_t error = right_reserve(task, 1);
    struct carried_right carried = {.kind = RIGHT_RECEIVE};

    if (error)
        return error;
    carried.port = port_allocate(task, in->label);
    if (!carried.port)
        return ERR_NO_MEMORY;
    call->out[0] = right_insert(task, &carried);
    return ERR_OK;
}

static corvus_error_t service_task_allocate_port_set(struct service_call *call)
{
    struct task *task = target_task(call);
    corvus_error_t error = right_reserve(task, 1);
    struct carried_right carried = {.kind = RIGHT_PORT_SET};
    struct port_set *set;

    if (error)
        return error;
    set = port_set_allocate(task);
    if (!set)
        return ERR_NO_MEMORY;
    carried.port = (struct port *)set;
    call->out[0] = right_insert(task, &carried);
    return ERR_OK;
}

static corvus_error_t service_task_deallocate_right(struct service_call *call)
{
    const struct task_deallocate_right_in *in = (const void *)call->in;

    if (in->name > UINT32_MAX)
        return ERR_INVALID_NAME;
    return right_deallocate_because(target_task(call), (port_name_t)in->name, ERR_NO_REPLY);
}

static corvus_error_t service_task_right_info(struct service_call *call)
{
    const struct task_right_info_in *in = (const void *)call->in;
    struct task_right_info_out *out = (void *)call->out;
    const struct right *right =
        in->name > UINT32_MAX ? NULL : right_lookup(target_task(call), (port_name_t)in->name);

    if (!right)
        return ERR_INVALID_NAME;
    out->kind = right_kind(right);
    switch (right_kind(right)) {
    case RIGHT_SEND:
    case RIGHT_SEND_ONCE:
        if (right->port->dead)
            out->kind = RIGHT_DEAD;
        else
            out->port_id = right->port->id;
        break;
    case RIGHT_RECEIVE:
        out->port_id = right->port->id;
        out->label = right->port->label;
        break;
    case RIGHT_PORT_SET:
        out->port_id = right->set->id;
        break;
    case RIGHT_KIND_REPLY:
        out->kind = right->caller->rpc_sequence == right->sequence ? RIGHT_SEND_ONCE : RIGHT_DEAD;
        break;
    default:
        break;
    }
    return ERR_OK;
}

static corvus_error_t service_task_insert_right(struct service_call *call)
{
    struct task *task = target_task(call);
    corvus_error_t error = right_reserve(task, 1);

    if (error)
        return error;
    call->out[0] = right_insert(task, &call->rights[0]);
    call->rights[0] = (struct carried_right){.kind = RIGHT_NONE};
    return ERR_OK;
}

static corvus_error_t service_task_extract_right(struct service_call *call)
{
    const struct task_extract_right_in *in = (const void *)call->in;
    struct message_right wanted = {(port_name_t)in->name, (uint32_t)in->disposition};
    corvus_error_t error;

    if (in->name > UINT32_MAX || in->disposition > MOVE_RECEIVE)
        return ERR_INVALID_ARGUMENT;
    error = right_check(target_task(call), wanted, NULL);
    if (!error)
        call->out_right = right_take(target_task(call), wanted);
    return error;
}

// --- Ports ------------------------------------------------------------------

static struct port *receive_right(const struct service_call *call, uint64_t name,
                                  corvus_error_t *error)
{
    if (name > UINT32_MAX) {
        *error = ERR_INVALID_NAME;
        return NULL;
    }
    return right_port(target_task(call), (port_name_t)name, RIGHT_RECEIVE, error);
}

static corvus_error_t service_task_enable_port(struct service_call *call)
{
    const struct task_enable_port_in *in = (const void *)call->in;
    corvus_error_t error;
    struct port *port = receive_right(call, in->port, &error);
    struct right *set =
        in->set > UINT32_MAX ? NULL : right_lookup(target_task(call), (port_name_t)in->set);

    if (!port)
        return error;
    if (!set)
        return ERR_INVALID_NAME;
    if (right_kind(set) != RIGHT_PORT_SET)
        return ERR_INVALID_RIGHT;
    port_enable(port, set->set);
    return ERR_OK;
}

static corvus_error_t service_task_disable_port(struct service_call *call)
{
    const struct task_disable_port_in *in = (const void *)call->in;
    corvus_error_t error;
    struct port *port = receive_right(call, in->port, &error);

    if (port)
        port_disable(port);
    return error;
}

static corvus_error_t service_task_set_port(struct service_call *call)
{
    const struct task_set_port_in *in = (const void *)call->in;
    corvus_error_t error;
    struct port *port;

    if (in->backlog > PORT_BACKLOG_MAX)
        return ERR_INVALID_ARGUMENT;
    port = receive_right(call, in->port, &error);
    if (!port)
        return error;
    port->label = in->label;
    port->backlog = (uint32_t)in->backlog;
    if (port->queued < port->backlog)
        port_tell_send_possible(port);
    return ERR_OK;
}

static uint64_t queue_length(const struct port *port)
{
    uint64_t length = port->queued;

    // Waiting senders are few; a hostile crowd of them must not cost time here.
    for (const struct link *link = port->queue.next; link != &port->queue && length < 256;
         link = link->next)
        if (!container_of(link, struct queued, link)->message)
            length++;
    return length;
}

static corvus_error_t service_task_port_status(struct service_call *call)
{
    const struct task_port_status_in *in = (const void *)call->in;
    struct task_port_status_out *out = (void *)call->out;
    struct right *right =
        in->name > UINT32_MAX ? NULL : right_lookup(target_task(call), (port_name_t)in->name);
    const struct port *port;

    if (!right)
        return ERR_INVALID_NAME;
    if (right_kind(right) == RIGHT_PORT_SET) {
        out->queued = right->set->sink.ready_count;
        return ERR_OK;
    }
    if (right_kind(right) != RIGHT_RECEIVE)
        return ERR_INVALID_RIGHT;
    port = right->port;
    *out = (struct task_port_status_out){
        .queued = queue_length(port),
        .backlog = port->backlog,
        .send_rights = port->send_rights,
        .send_once_rights = port->send_once_rights,
        .events = port->events,
        .set = port->set != NULL,
    };
    return ERR_OK;
}

static corvus_error_t service_task_request_notification(struct service_call *call)
{
    const struct task_request_notification_in *in = (const void *)call->in;
    struct task *task = target_task(call);
    struct right *right = in->name > UINT32_MAX ? NULL : right_lookup(task, (port_name_t)in->name);
    bool no_senders = in->kind == NOTIFY_NO_SENDERS;
    uint32_t kind;
    corvus_error_t error;

    if (in->kind < NOTIFY_DEAD_NAME || in->kind > NOTIFY_SEND_POSSIBLE)
        return ERR_INVALID_ARGUMENT;
    if (!right)
        return ERR_INVALID_NAME;
    kind = right_kind(right);
    if (no_senders ? kind != RIGHT_RECEIVE : kind != RIGHT_SEND && kind != RIGHT_SEND_ONCE)
        return kind == RIGHT_DEAD ? ERR_PEER_DIED : ERR_INVALID_RIGHT;
    if (right->port->dead)
        return ERR_PEER_DIED;
    if (call->rights[0].kind != RIGHT_SEND_ONCE || call->rights[0].is_reply)
        return ERR_INVALID_RIGHT;
    if (no_senders && right->port->no_senders_notice)
        return ERR_IN_USE;
    error = notice_request(call->caller->task, right->port, (uint32_t)in->kind,
                           no_senders ? right->port->label : in->name, call->rights[0].port);
    if (error)
        return error;
    call->rights[0].kind = RIGHT_NONE;
    // What is true already is told at once.
    if (no_senders && !right->port->send_rights && !right->port->send_once_rights)
        port_tell_no_senders(right->port);
    if (in->kind == NOTIFY_SEND_POSSIBLE && right->port->queued < right->port->backlog)
        port_tell_send_possible(right->port);
    return ERR_OK;
}

static corvus_error_t service_task_fail_reply(struct service_call *call)
{
    const struct task_fail_reply_in *in = (const void *)call->in;
    struct task *task = target_task(call);
    struct right *right = in->name > UINT32_MAX ? NULL : right_lookup(task, (port_name_t)in->name);

    if (in->reason == ERR_OK || in->reason >= ERR_COUNT)
        return ERR_INVALID_ARGUMENT;
    if (!right)
        return ERR_INVALID_NAME;
    if (right_kind(right) != RIGHT_KIND_REPLY && right_kind(right) != RIGHT_SEND_ONCE)
        return ERR_INVALID_RIGHT;
    return right_deallocate_because(task, (port_name_t)in->name, (corvus_error_t)in->reason);
}

static corvus_error_t service_task_create_timer(struct service_call *call)
{
    const struct task_create_timer_in *in = (const void *)call->in;
    struct port *target = call->rights[0].port;
    struct timer *timer;

    if (call->rights[0].kind != RIGHT_SEND || target->kind != PORT_PLAIN)
        return ERR_INVALID_RIGHT;
    if (!in->bits)
        return ERR_INVALID_ARGUMENT;
    timer = timer_create(target_task(call), target, in->bits);
    if (!timer)
        return ERR_NO_MEMORY;
    call->rights[0].kind = RIGHT_NONE;
    call->out_right = (struct carried_right){.kind = RIGHT_SEND, .port = &timer->port};
    return ERR_OK;
}

static const struct service services[] = {TASK_SERVICES(SERVICE_ENTRY)};
const struct service_table task_service_table = SERVICE_TABLE(services, SERVICE_task_create >> 8);
