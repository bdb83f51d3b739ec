// SPDX-License-Identifier: BSD-2-Clause
// The send phase outside the fast path: to a waiting receiver, into a queue, or
// as the answer to an RPC or a fault.
#include "message.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "memory.h"
#include "service.h"

// A plain message without receive rights or memory can wait by itself; any
// other waits with its sender.
static bool can_be_buffered(const struct thread *sender, uint64_t tag)
{
    unsigned rights = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;

    if (tag & (TAG_RPC | TAG_ITEMS_MASK))
        return false;
    for (unsigned i = 0; i < rights; i++)
        if (sender->utcb->rights[i].disposition == MOVE_RECEIVE)
            return false;
    return true;
}

// Makes a buffered message of the sender's. Its rights leave the sender.
static corvus_error_t buffer_message(struct thread *sender, struct port *port, uint32_t id,
                                     uint64_t tag)
{
    unsigned words = tag & TAG_WORDS_MASK;
    unsigned rights = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    struct message_copy *message;
    corvus_error_t error = message_check_rights(sender, tag, port);

    if (error)
        return error;
    message = message_copy_allocate(sender->task, words);
    if (!message)
        return ERR_NO_MEMORY;
    message->id = id;
    message->tag = tag & (TAG_WORDS_MASK | TAG_RIGHTS_MASK);
    for (unsigned i = 0; i < words; i++)
        message->words[i] =
            i < MESSAGE_REGISTER_WORDS ? sender->frame.words[i] : sender->utcb->words[i];
    for (unsigned i = 0; i < rights; i++)
        message->rights[message->right_count++] = right_take(sender->task, sender->utcb->rights[i]);
    if (tag & TAG_REPLY_RIGHT)
        message->reply = right_take(sender->task, sender->utcb->reply);
    message_post(port, message);
    return ERR_OK;
}

// No receiver waits.
static enum send_result send_queued(struct thread *sender, struct port *port, bool send_once)
{
    uint64_t tag = sender->frame.rax;
    bool buffered = can_be_buffered(sender, tag);
    corvus_error_t error;

    if (buffered && (port->queued < port->backlog || send_once)) {
        error = buffer_message(sender, port, (uint32_t)sender->frame.rdx, tag);
        if (!error)
            return SENT;
        message_fail(sender, error, false);
        return WAITING;
    }
    // Wrong rights are told now, not when somebody receives.
    error = message_check_rights(sender, tag, port);
    if (error) {
        message_fail(sender, error, false);
        return WAITING;
    }
    if (!message_arm_deadline(sender, false))
        return WAITING;
    sender->state = THREAD_SENDING;
    message_queue_thread(port, sender);
    // One that was woken for another message may not be the only one waiting.
    message_wake_receiver(port->sink);
    return WAITING;
}

// Delivers straight to a waiting receiver. *woken: who is to run.
static enum send_result send_direct(struct thread *sender, struct port *port, struct thread **woken)
{
    struct sink *sink = port->sink;
    struct thread *receiver = message_take_receiver(sink);
    corvus_error_t error = ERR_OK;
    enum delivery result = deliver_from_thread(sender, receiver, port, port->label, &error);

    switch (result) {
    case DELIVERED:
        message_finish(receiver, receiver->frame.rax);
        *woken = receiver;
        return SENT;
    case DELIVERY_RECEIVER_FAILED:
        // Its own buffers are at fault; the message waits for a better attempt.
        message_fail(receiver, error, true);
        return send_queued(sender, port, false);
    case DELIVERY_RECEIVER_FAULTS:
        return send_queued(sender, port, false);
    default:
        chain_push(&sink->receivers, &receiver->waiting);
        if (result == DELIVERY_SENDER_FAILED)
            message_fail(sender, error, false);
        else if (result == DELIVERY_PREEMPTED)
            message_preempted(sender);
        // Something may have come for it meanwhile: the sender's own fault, if the
        // receiver is also its pager, or an event.
        message_wake_receiver(sink);
        return WAITING;
    }
}

// --- Replies ----------------------------------------------------------------

// Answers `caller`, whose reply right the sender holds. A reply never waits.
static enum send_result answer(struct thread *sender, struct thread *caller, struct thread **woken)
{
    corvus_error_t error = ERR_OK;
    enum delivery result;

    if (caller->state == THREAD_FAULTING) {
        error = fault_answer(caller, sender);
        if (error) {
            message_fail(sender, error, false);
            return WAITING;
        }
        if (caller->state == THREAD_READY)
            *woken = caller;
        return SENT;
    }
    result = deliver_from_thread(sender, caller, NULL, 0, &error);
    switch (result) {
    case DELIVERED:
        thread_forget_reply(caller);
        message_finish(caller, caller->frame.rax);
        *woken = caller;
        return SENT;
    case DELIVERY_PREEMPTED:
        message_preempted(sender);
        return WAITING;
    case DELIVERY_SENDER_FAULTS:
        return WAITING;
    case DELIVERY_RECEIVER_FAILED:
        // The caller's own buffers are at fault: its call ends, not the server.
        thread_end_wait(caller, error);
        return SENT;
    default:
        message_fail(sender, error, false);
        return WAITING;
    }
}

static enum send_result send_to_port(struct thread *sender, struct port *port, bool send_once,
                                     struct thread **woken);

static enum send_result send_reply(struct thread *sender, struct thread **woken)
{
    struct thread *caller = sender->reply.caller;
    struct port *port = sender->reply.port;
    enum send_result result;

    if (caller)
        return answer(sender, caller, woken);
    if (!port) {
        message_fail(sender, ERR_PEER_DIED, false);
        return WAITING;
    }
    if (port->dead) {
        reply_slot_drop(sender, ERR_NO_REPLY);
        message_fail(sender, ERR_PEER_DIED, false);
        return WAITING;
    }
    if (!can_be_buffered(sender, sender->frame.rax)) {
        message_fail(sender, ERR_INVALID_ARGUMENT, false);
        return WAITING;
    }
    result = send_to_port(sender, port, true, woken);
    if (result == SENT)
        reply_slot_drop(sender, ERR_NO_REPLY);
    return result;
}

static enum send_result send_named_reply(struct thread *sender, port_name_t name,
                                         struct right *right, struct thread **woken)
{
    struct thread *caller = right->caller;
    enum send_result result;

    if (caller->rpc_sequence != right->sequence) {
        right_remove(&sender->task->rights, name);
        thread_release(caller);
        message_fail(sender, ERR_PEER_DIED, false);
        return WAITING;
    }
    result = answer(sender, caller, woken);
    if (result == SENT) {
        right_remove(&sender->task->rights, name);
        thread_release(caller);
    }
    return result;
}

// --- The send phase ---------------------------------------------------------

static enum send_result send_to_port(struct thread *sender, struct port *port, bool send_once,
                                     struct thread **woken)
{
    if (port->sink->receivers && !port->sink->ready_count)
        return send_direct(sender, port, woken);
    return send_queued(sender, port, send_once);
}

enum send_result message_send_phase(struct thread *sender, struct thread **woken)
{
    port_name_t name = (port_name_t)sender->frame.rdi;
    uint64_t tag = sender->frame.rax;
    struct right *right;
    struct port *port;
    uint32_t kind;
    enum send_result result;

    if (tag & TAG_REPLY)
        return send_reply(sender, woken);
    right = right_lookup(sender->task, name);
    kind = right ? right_kind(right) : RIGHT_NONE;
    if (kind == RIGHT_KIND_REPLY && !(tag & (TAG_RPC | TAG_NOTIFY | TAG_REPLY_RIGHT)))
        return send_named_reply(sender, name, right, woken);
    if (kind != RIGHT_SEND && kind != RIGHT_SEND_ONCE) {
        message_fail(sender,
                     kind == RIGHT_DEAD ? ERR_PEER_DIED
                     : right            ? ERR_INVALID_RIGHT
                                        : ERR_INVALID_NAME,
                     false);
        return WAITING;
    }
    port = right->port;
    if (port->dead) {
        message_fail(sender, ERR_PEER_DIED, false);
        return WAITING;
    }
    if (tag & TAG_NOTIFY) {
        if (port->kind != PORT_PLAIN || kind != RIGHT_SEND) {
            message_fail(sender, ERR_INVALID_RIGHT, false);
            return WAITING;
        }
        port_notify(port, sender->frame.words[0]);
        return SENT;
    }
    if (port->kind != PORT_PLAIN) {
        service_dispatch(sender, port, (uint32_t)sender->frame.rdx, tag);
        return WAITING;
    }
    result = send_to_port(sender, port, kind == RIGHT_SEND_ONCE, woken);
    if (kind == RIGHT_SEND_ONCE && result == SENT)
        message_consume_send_once(sender);
    return result;
}
