// SPDX-License-Identifier: BSD-2-Clause
// Ports and port sets: life, counting of rights, readiness, notices.
// Invariants: a port is in the ready list of port->sink if and only if it has
// events or its queue is not empty; a port in a set has port->sink ==
// &set->sink, and then nobody waits in port->own.
#include "port.h"

#include "counters.h"
#include "cpu.h"
#include "memory.h"
#include "message.h"
#include "object.h"
#include "task.h"
#include "vcpu.h"
#include "x86/panic.h"

#define SEND_POSSIBLE_AT_ONCE 8

static uint64_t next_id = 1;

uint64_t object_new_id(void)
{
    return next_id++;
}

void sink_init(struct sink *sink)
{
    sink->receivers = NULL;
    sink->ready_count = 0;
    list_init(&sink->ready);
}

void port_init(struct port *port, enum port_kind kind)
{
    port->kind = kind;
    port->sink = &port->own;
    port->backlog = PORT_BACKLOG_DEFAULT;
    port->id = object_new_id();
    sink_init(&port->own);
    list_init(&port->queue);
    list_init(&port->ready_link);
    list_init(&port->set_link);
    list_init(&port->death_notices);
    list_init(&port->send_possible_notices);
}

struct port *port_allocate(struct task *charged, uint64_t label)
{
    struct port *port = memory_object_allocate(charged, sizeof(*port));

    if (!port)
        return NULL;
    port_init(port, PORT_PLAIN);
    port->label = label;
    port->charged = charged;
    port->references = 1;
    port->active = true;
    task_reference(charged);
    return port;
}

struct port_set *port_set_allocate(struct task *charged)
{
    struct port_set *set = memory_object_allocate(charged, sizeof(*set));

    if (!set)
        return NULL;
    sink_init(&set->sink);
    list_init(&set->members);
    set->charged = charged;
    set->id = object_new_id();
    task_reference(charged);
    return set;
}

void port_release(struct port *port)
{
    struct task *charged = port->charged;

    KASSERT(port->references > 0);
    if (--port->references > 0)
        return;
    if (port->kind != PORT_PLAIN) {
        object_unreferenced(port);
        return;
    }
    memory_object_free(charged, port, sizeof(*port));
    task_release(charged);
}

// --- Readiness --------------------------------------------------------------

void port_update_ready(struct port *port)
{
    bool ready = port->events || !list_empty(&port->queue);
    bool listed = !list_empty(&port->ready_link);

    if (ready && !listed) {
        list_append(&port->sink->ready, &port->ready_link);
        port->sink->ready_count++;
    } else if (!ready && listed) {
        list_remove(&port->ready_link);
        port->sink->ready_count--;
    }
    if (ready && port->vcpu)
        vcpu_raise(port->vcpu, port->vcpu_bit);
}

static void move_to_sink(struct port *port, struct sink *sink)
{
    if (!list_empty(&port->ready_link)) {
        list_remove(&port->ready_link);
        port->sink->ready_count--;
    }
    port->sink = sink;
    port_update_ready(port);
    if (sink->ready_count)
        message_wake_receiver(sink);
}

void port_enable(struct port *port, struct port_set *set)
{
    if (port->set == set)
        return;
    port_disable(port);
    // Whoever waits on the port itself would never be found again.
    message_end_receivers(&port->own, ERR_INVALID_RIGHT);
    port->set = set;
    list_append(&set->members, &port->set_link);
    move_to_sink(port, &set->sink);
}

void port_disable(struct port *port)
{
    if (!port->set)
        return;
    port->set = NULL;
    list_remove(&port->set_link);
    move_to_sink(port, &port->own);
}

void port_set_destroy(struct port_set *set)
{
    struct task *charged = set->charged;

    while (!list_empty(&set->members)) {
        port_disable(container_of(set->members.next, struct port, set_link));
        schedule_preemption_point();
    }
    message_end_receivers(&set->sink, ERR_PEER_DIED);
    memory_object_free(charged, set, sizeof(*set));
    task_release(charged);
}

void port_notify(struct port *port, uint64_t bits)
{
    counter_add(COUNTER_NOTIFICATIONS, 1);
    if (port->dead)
        return;
    port->events |= bits;
    port_update_ready(port);
    message_wake_receiver(port->sink);
}

// --- Counting ---------------------------------------------------------------

// The last right by which anybody could send here has gone.
static void no_senders(struct port *port)
{
    if (port->send_rights || port->send_once_rights || port->dead)
        return;
    if (port->kind == PORT_PLAIN)
        port_tell_no_senders(port);
    else
        object_no_senders(port);
}

void port_drop_send(struct port *port)
{
    port->send_rights--;
    no_senders(port);
    port_release(port);
}

void port_drop_send_once(struct port *port)
{
    port->send_once_rights--;
    no_senders(port);
    port_release(port);
}

// --- Notices ----------------------------------------------------------------

static struct notice *first_notice(struct link *list)
{
    return container_of(list->next, struct notice, link);
}

void port_tell_send_possible(struct port *port)
{
    // A few for each free place: the others are told as the queue empties on.
    for (unsigned i = 0; i < SEND_POSSIBLE_AT_ONCE && !list_empty(&port->send_possible_notices);
         i++)
        notice_send(first_notice(&port->send_possible_notices));
}

void port_tell_no_senders(struct port *port)
{
    struct notice *notice = port->no_senders_notice;

    port->no_senders_notice = NULL;
    if (notice)
        notice_send(notice);
}

void port_unbind_vcpu(struct port *port)
{
    struct thread *thread = port->vcpu;

    if (thread) {
        port->vcpu = NULL;
        thread_release(thread);
        port_release(port);
    }
}

// --- Death ------------------------------------------------------------------

void port_kill(struct port *port)
{
    if (port->dead)
        return;
    port->references++; // what follows must not free it
    port->dead = true;
    port->events = 0;
    port->receiver = NULL;
    port_disable(port);
    message_end_receivers(&port->own, ERR_PEER_DIED);
    message_end_senders(port, ERR_PEER_DIED);
    port_update_ready(port);
    port_unbind_vcpu(port);
    // As many as others have asked for: interrupts are let in between.
    while (!list_empty(&port->death_notices)) {
        notice_send(first_notice(&port->death_notices));
        schedule_preemption_point();
    }
    while (!list_empty(&port->send_possible_notices)) {
        notice_destroy(first_notice(&port->send_possible_notices));
        schedule_preemption_point();
    }
    if (port->no_senders_notice)
        notice_destroy(port->no_senders_notice);
    port->no_senders_notice = NULL;
    port_release(port);
}
