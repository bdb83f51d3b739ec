// SPDX-License-Identifier: BSD-2-Clause
// The `msg` system call in all its cases: send phase, queues, receive phase,
// deadlines. A system call that has to wait leaves its parameters in the
// thread's frame (rax tag, rdi destination, rsi receive from, rdx id), from
// which it can be issued again at any time.
#include "message.h"

#include "counters.h"
#include "cpu.h"
#include "fault.h"
#include "memory.h"
#include "service.h"
#include "vcpu.h"
#include "x86/clock.h"
#include "x86/panic.h"

#define TAG_KNOWN                                                                                 \
    (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_SEND | TAG_RECEIVE | TAG_RPC |       \
     TAG_REPLY | TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE | TAG_REPLY_RIGHT | TAG_NOTIFY)
#define TAG_SEND_PHASE                                                                            \
    (TAG_SEND | TAG_RPC | TAG_REPLY | TAG_SEND_DEADLINE | TAG_REPLY_RIGHT | TAG_NOTIFY |          \
     TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK)

// Queued senders looked at in one receive before interrupts are let in.
#define RECEIVE_ATTEMPTS 16

static bool tag_valid(uint64_t tag)
{
    if (tag & ~TAG_KNOWN || !(tag & (TAG_SEND | TAG_RECEIVE)))
        return false;
    if ((tag & TAG_WORDS_MASK) > MESSAGE_WORDS ||
        (tag & TAG_RIGHTS_MASK) > TAG_RIGHTS(MESSAGE_RIGHTS) ||
        (tag & TAG_ITEMS_MASK) > TAG_ITEMS(MESSAGE_ITEMS))
        return false;
    if (tag & TAG_RPC && ((tag & TAG_CALL) != TAG_CALL || tag & (TAG_REPLY | TAG_REPLY_RIGHT)))
        return false;
    if (tag & TAG_REPLY && (!(tag & TAG_SEND) || tag & TAG_REPLY_RIGHT))
        return false;
    if (tag & TAG_NOTIFY && (tag & (TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_RPC | TAG_REPLY |
                                    TAG_REPLY_RIGHT) ||
                             !(tag & TAG_SEND)))
        return false;
    return true;
}

// --- Ends ------------------------------------------------------------------

static void cancel_deadline(struct thread *thread)
{
    if (thread->hazard & HAZARD_DEADLINE) {
        deadline_cancel(&thread->deadline);
        thread->hazard &= ~HAZARD_DEADLINE;
    }
}

// The system call is over; the thread is able to run, but in no queue.
static void finish(struct thread *thread, uint64_t tag)
{
    thread->frame.rax = tag;
    thread->state = THREAD_READY;
    thread->retries = 0;
    cancel_deadline(thread);
}

void message_complete(struct thread *thread, uint64_t tag)
{
    finish(thread, tag);
    schedule_ready(thread);
}

void message_fail(struct thread *thread, corvus_error_t error, bool in_receive)
{
    thread->frame.rdi = 0;
    thread->frame.rdx = 0;
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        thread->frame.words[i] = 0;
    message_complete(thread, (uint64_t)error << TAG_ERROR_SHIFT |
                                 (in_receive ? TAG_ERROR_RECEIVE : 0));
}

// --- Deadlines --------------------------------------------------------------

static void deadline_expired(struct deadline *deadline)
{
    struct thread *thread = container_of(deadline, struct thread, deadline);

    thread->hazard &= ~HAZARD_DEADLINE;
    thread_end_wait(thread, ERR_TIMED_OUT);
}

// False when the phase must not wait at all, or no longer: the call has failed.
static bool arm_phase_deadline(struct thread *thread, bool in_receive)
{
    uint64_t flag = in_receive ? TAG_RECEIVE_DEADLINE : TAG_SEND_DEADLINE;
    uint64_t time;

    cancel_deadline(thread);
    if (!(thread->frame.rax & flag))
        return true;
    time = in_receive ? thread->utcb->receive_deadline : thread->utcb->send_deadline;
    if (time == 0 || time <= clock_now()) {
        message_fail(thread, time ? ERR_TIMED_OUT : ERR_WOULD_BLOCK, in_receive);
        return false;
    }
    thread->deadline.expire = deadline_expired;
    thread->hazard |= HAZARD_DEADLINE;
    deadline_arm(&thread->deadline, time);
    return true;
}

// --- Sending ----------------------------------------------------------------

void message_queue_thread(struct port *port, struct thread *thread)
{
    thread->sending.sender = thread;
    thread->sending_to = port;
    port_reference(port);
    list_append(&port->queue, &thread->sending.link);
    port_update_ready(port);
}

void message_unqueue_thread(struct thread *thread)
{
    struct port *port = thread->sending_to;

    list_remove(&thread->sending.link);
    thread->sending_to = NULL;
    port_update_ready(port);
    port_release(port);
}

// A message through a send-once right was taken: the right is used up.
static void consume_send_once(struct thread *sender)
{
    port_name_t name = (port_name_t)sender->frame.rdi;
    struct right *right;
    struct port *port;

    if (sender->frame.rax & TAG_REPLY)
        return;
    right = right_lookup(sender->task, name);
    if (!right || right_kind(right) != RIGHT_SEND_ONCE)
        return;
    port = right->port;
    right_remove(sender->task, name);
    port_drop_send_once(port);
}

// The message of `sender` was taken. Goes on with its receive phase; a thread
// that is not the current one does so when it runs next.
static void sender_goes_on(struct thread *sender)
{
    uint64_t tag = sender->frame.rax;

    if (tag & TAG_RPC) {
        sender->state = THREAD_CALLING;
        if (tag & (TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE) && !arm_phase_deadline(sender, true))
            thread_forget_reply(sender);
    } else if (tag & TAG_RECEIVE) {
        cancel_deadline(sender);
        sender->frame.rax = tag & ~TAG_SEND_PHASE;
        sender->hazard |= HAZARD_RESTART;
        schedule_ready(sender);
    } else {
        message_complete(sender, 0);
    }
}

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
        message->words[i] = i < MESSAGE_REGISTER_WORDS ? sender->frame.words[i]
                                                       : sender->utcb->words[i];
    for (unsigned i = 0; i < rights; i++)
        message->rights[message->right_count++] = right_take(sender->task, sender->utcb->rights[i]);
    if (tag & TAG_REPLY_RIGHT)
        message->reply = right_take(sender->task, sender->utcb->reply);
    message_post(port, message);
    return ERR_OK;
}

enum send_result {
    SENT,    // go on with the receive phase
    WAITING, // or failed: nothing more to do for now
};

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
    if (!arm_phase_deadline(sender, false))
        return WAITING;
    sender->state = THREAD_SENDING;
    message_queue_thread(port, sender);
    return WAITING;
}

// Takes the receiver off its sink: it has, or will soon have, its message.
static struct thread *take_receiver(struct sink *sink)
{
    struct thread *receiver = container_of(sink->receivers, struct thread, waiting);

    chain_remove(&receiver->waiting);
    return receiver;
}

static void preempted(struct thread *thread)
{
    thread->hazard |= HAZARD_RESTART;
    thread->state = THREAD_READY;
}

// Delivers straight to a waiting receiver. *woken: who is to run.
static enum send_result send_direct(struct thread *sender, struct port *port,
                                    struct thread **woken)
{
    struct sink *sink = port->sink;
    struct thread *receiver = take_receiver(sink);
    corvus_error_t error = ERR_OK;
    enum delivery result =
        deliver_from_thread(sender, receiver, port, port->label, &error);

    switch (result) {
    case DELIVERED:
        finish(receiver, receiver->frame.rax);
        *woken = receiver;
        return SENT;
    case DELIVERY_RECEIVER_FAULTS:
        return send_queued(sender, port, false);
    default:
        chain_push(&sink->receivers, &receiver->waiting);
        if (result == DELIVERY_SENDER_FAILED)
            message_fail(sender, error, false);
        else if (result == DELIVERY_PREEMPTED)
            preempted(sender);
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
        finish(caller, caller->frame.rax);
        *woken = caller;
        return SENT;
    case DELIVERY_PREEMPTED:
        preempted(sender);
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
        right_remove(sender->task, name);
        thread_release(caller);
        message_fail(sender, ERR_PEER_DIED, false);
        return WAITING;
    }
    result = answer(sender, caller, woken);
    if (result == SENT) {
        right_remove(sender->task, name);
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

static enum send_result send_phase(struct thread *sender, struct thread **woken)
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
        consume_send_once(sender);
    return result;
}

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
        consume_send_once(sender);
        sender_goes_on(sender);
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
        preempted(thread);
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
            preempted(thread);
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
    if (!arm_phase_deadline(thread, true))
        return;
    thread->state = THREAD_RECEIVING;
    chain_push(&sink->receivers, &thread->waiting);
}

void message_wake_receiver(struct sink *sink)
{
    while (sink->ready_count && sink->receivers) {
        struct thread *receiver = take_receiver(sink);
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

void message_receive_again(struct thread *receiver)
{
    // Its parameters: the fast path leaves only rsi in the frame.
    receiver->frame.rax =
        TAG_RECEIVE | (receiver->hazard & HAZARD_DEADLINE ? TAG_RECEIVE_DEADLINE : 0);
    receiver->hazard |= HAZARD_RESTART;
    schedule_ready(receiver);
}

// --- The system call --------------------------------------------------------

void message_system_call(port_name_t destination, port_name_t receive_from, uint32_t id,
                         uint64_t tag)
{
    struct thread *current = cpu.current;
    struct thread *woken = NULL;

    current->frame.rdi = destination;
    current->frame.rsi = receive_from;
    current->frame.rdx = id;
    current->frame.rax = tag;
    if (tag & TAG_VCPU_RUN) {
        vcpu_run(current, destination);
        return;
    }
    counter_add(COUNTER_MESSAGES_SLOW, 1);
    trace(TRACE_SEND, tag | (uint64_t)id << 32, destination);
    if (!tag_valid(tag)) {
        message_fail(current, ERR_INVALID_ARGUMENT, !(tag & TAG_SEND));
        return;
    }
    if (tag & TAG_SEND) {
        if (send_phase(current, &woken) != SENT)
            return;
        if (tag & TAG_RPC) {
            sender_goes_on(current);
        } else if (tag & TAG_RECEIVE) {
            current->frame.rax = tag & ~TAG_SEND_PHASE;
            message_receive(current);
        } else {
            message_complete(current, 0);
        }
        if (woken)
            schedule_switch_to(woken);
        return;
    }
    message_receive(current);
}

// --- Ends of many waits -----------------------------------------------------
// There can be any number, so interrupts are let in after each. What they do
// (deadlines end waits, events arrive) leaves a list that is merely shorter.

void message_end_receivers(struct sink *sink, corvus_error_t error)
{
    while (sink->receivers) {
        thread_end_wait(container_of(sink->receivers, struct thread, waiting), error);
        schedule_preemption_point();
    }
}

void message_end_senders(struct port *port, corvus_error_t error)
{
    while (!list_empty(&port->queue)) {
        struct queued *entry = container_of(port->queue.next, struct queued, link);

        if (entry->message) {
            list_remove(&entry->link);
            port->queued--;
            message_copy_destroy(entry->message);
        } else {
            thread_end_wait(entry->sender, error);
        }
        schedule_preemption_point();
    }
}
