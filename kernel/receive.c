// SPDX-License-Identifier: BSD-2-Clause
// The receive phase outside the fast path: events first, then what is queued,
// buffered or still with its sender; else the thread waits at the sink.
#include "message.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "memory.h"

// Queued senders looked at in one receive before interrupts are let in.
#define RECEIVE_ATTEMPTS 16

// --- Receiving --------------------------------------------------------------

static struct sink *receive_sink(struct thread *thread, corvus_error_t *error)
{
    struct right *right = right_lookup(thread->task, (port_name_t)thread->frame.rsi);

    *error = ERR_INVALID_NAME;
    if (!right)
        return NULL;
    if (right_kind(right) == RIGHT_PORT_SET)
        return &right->set->sink;
    *error = ERR_INVALID_RIGHT;
    if (right_kind(right) != RIGHT_RECEIVE || right->port->set)
        return NULL;
    return &right->port->own;
}

static struct port *next_ready_port(struct sink *sink)
{
    struct port *port = container_of(sink->ready.next, struct port, ready_link);

    // To the end of the list, so that no port of a set starves another.
    list_remove(&port->ready_link);
    list_append(&sink->ready, &port->ready_link);
    return port;
}

static void receive_copy(struct thread *thread, struct port *port, struct message_copy *message)
{
    corvus_error_t error;

    if (deliver_copy(message, thread, port->label, &error) != DELIVERED) {
        message_fail(thread, error, true);
        return;
    }
    list_remove(&message->entry.link);
    port->queued--;
    port_update_ready(port);
    message_copy_destroy(message);
    port_tell_send_possible(port);
    message_complete(thread, thread->frame.rax);
}

// Takes the message of a waiting sender. True: the receive is over (or waits).
static bool receive_from_sender(struct thread *thread, struct port *port, struct thread *sender)
{
    corvus_error_t error = ERR_OK;

    if (sender->state == THREAD_FAULTING) {
        message_unqueue_thread(sender);
        fault_deliver(sender, thread, port->label);
        message_complete(thread, thread->frame.rax);
        return true;
    }
    switch (deliver_from_thread(sender, thread, port, port->label, &error)) {
    case DELIVERED:
        message_unqueue_thread(sender);
        message_consume_send_once(sender);
        message_sender_goes_on(sender);
        message_complete(thread, thread->frame.rax);
        return true;
    case DELIVERY_SENDER_FAILED:
        message_unqueue_thread(sender);
        message_fail(sender, error, false);
        return false;
    case DELIVERY_SENDER_FAULTS:
        return false;
    case DELIVERY_RECEIVER_FAULTS:
        return true;
    case DELIVERY_RECEIVER_FAILED:
        message_fail(thread, error, true);
        return true;
    default:
        message_preempted(thread);
        return true;
    }
}

void message_receive(struct thread *thread)
{
    corvus_error_t error;
    struct sink *sink = receive_sink(thread, &error);

    reply_slot_drop(thread, ERR_NO_REPLY);
    if (!sink) {
        message_fail(thread, error, true);
        return;
    }
    for (unsigned attempts = 0; sink->ready_count; attempts++) {
        struct port *port = next_ready_port(sink);
        struct queued *entry;

        if (port->events) {
            deliver_event(port, thread);
            message_complete(thread, thread->frame.rax);
            return;
        }
        if (attempts == RECEIVE_ATTEMPTS) {
            message_preempted(thread);
            return;
        }
        entry = container_of(port->queue.next, struct queued, link);
        if (entry->message) {
            receive_copy(thread, port, entry->message);
            return;
        }
        if (receive_from_sender(thread, port, entry->sender))
            return;
    }
    if (!message_arm_deadline(thread, true))
        return;
    thread->state = THREAD_RECEIVING;
    chain_push(&sink->receivers, &thread->waiting);
}

void message_wake_receiver(struct sink *sink)
{
    while (sink->ready_count && sink->receivers) {
        struct thread *receiver = message_take_receiver(sink);
        struct port *port = container_of(sink->ready.next, struct port, ready_link);

        if (port->events) {
            deliver_event(port, receiver);
            message_complete(receiver, receiver->frame.rax);
            continue;
        }
        message_receive_again(receiver);
        return;
    }
}

void message_pass_on(const struct thread *thread)
{
    struct right *right;

    if (!(thread->hazard & HAZARD_RESTART) || thread->frame.rax & TAG_SEND ||
        !(thread->frame.rax & TAG_RECEIVE) || !thread->task->rights.pages)
        return;
    right = right_lookup(thread->task, (port_name_t)thread->frame.rsi);
    if (right && right_kind(right) == RIGHT_PORT_SET)
        message_wake_receiver(&right->set->sink);
    else if (right && right_kind(right) == RIGHT_RECEIVE)
        message_wake_receiver(right->port->sink);
}

void message_receive_again(struct thread *receiver)
{
    // Its parameters: the fast path leaves only rsi in the frame.
    receiver->frame.rax =
        TAG_RECEIVE | (receiver->hazard & HAZARD_DEADLINE ? TAG_RECEIVE_DEADLINE : 0);
    receiver->hazard |= HAZARD_RESTART;
    schedule_ready(receiver);
}
