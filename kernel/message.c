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

#define TAG_KNOWN                                                                                  \
    (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_SEND | TAG_RECEIVE | TAG_RPC |        \
     TAG_REPLY | TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE | TAG_REPLY_RIGHT | TAG_NOTIFY |         \
     TAG_FOREIGN)

// How long a deadline waits for a COPY that is under way.
#define TRANSFER_GRACE_NS 50000u

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
    if (tag & TAG_FOREIGN && !(tag & TAG_RPC))
        return false;
    if (tag & TAG_NOTIFY &&
        (tag & (TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_RPC | TAG_REPLY | TAG_REPLY_RIGHT) ||
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
void message_finish(struct thread *thread, uint64_t tag)
{
    thread->frame.rax = tag;
    thread->state = THREAD_READY;
    thread->retries = 0;
    cancel_deadline(thread);
}

void message_complete(struct thread *thread, uint64_t tag)
{
    message_finish(thread, tag);
    schedule_ready(thread);
}

void message_fail(struct thread *thread, corvus_error_t error, bool in_receive)
{
    thread->frame.rdi = 0;
    thread->frame.rdx = 0;
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        thread->frame.words[i] = 0;
    message_complete(thread,
                     (uint64_t)error << TAG_ERROR_SHIFT | (in_receive ? TAG_ERROR_RECEIVE : 0));
}

// --- Deadlines --------------------------------------------------------------

static void deadline_expired(struct deadline *deadline)
{
    struct thread *thread = container_of(deadline, struct thread, deadline);

    // A message from or to it is being delivered, which counts.
    if (thread == cpu.transfer_sender || thread == cpu.transfer_receiver) {
        deadline_arm(deadline, deadline->time + TRANSFER_GRACE_NS);
        return;
    }
    thread->hazard &= ~HAZARD_DEADLINE;
    thread_end_wait(thread, ERR_TIMED_OUT);
}

// False when the phase must not wait at all, or no longer: the call has failed.
bool message_arm_deadline(struct thread *thread, bool in_receive)
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

// --- Queues -----------------------------------------------------------------

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
void message_consume_send_once(struct thread *sender)
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
    right_remove(&sender->task->rights, name);
    port_drop_send_once(port);
}

// The message of `sender` was taken. Goes on with its receive phase; a thread
// that is not the current one does so when it runs next.
void message_sender_goes_on(struct thread *sender)
{
    uint64_t tag = sender->frame.rax;

    if (tag & TAG_RPC) {
        sender->state = THREAD_CALLING;
        if (tag & (TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE) && !message_arm_deadline(sender, true))
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

// Takes the receiver off its sink: it has, or will soon have, its message.
struct thread *message_take_receiver(struct sink *sink)
{
    struct thread *receiver = container_of(sink->receivers, struct thread, waiting);

    chain_remove(&receiver->waiting);
    return receiver;
}

void message_preempted(struct thread *thread)
{
    thread->hazard |= HAZARD_RESTART;
    thread->state = THREAD_READY;
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
        if (message_send_phase(current, &woken) != SENT)
            return;
        if (tag & TAG_RPC) {
            message_sender_goes_on(current);
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
