// SPDX-License-Identifier: BSD-2-Clause
// The private port of a thread, and sleeping, which is waiting on that port
// until a deadline.
#include "lib/event.h"
#include "lib/lock.h"
#include "lib/port.h"
#include "lib/thread.h"

#define EVENT_BIT         1u
#define PAUSE_NANOSECONDS 20000u

bool event_prepare(uint32_t *token)
{
    struct runtime_thread *self = runtime_self();

    if (self->event_receive == PORT_NULL) {
        port_name_t receive, send;
        // The send right comes by the message page, where the first right of a message may be that
        // the thread has received and not looked at yet: before that it had to wait for a lock.
        struct message_right unread = utcb_self()->rights[0];
        corvus_error_t error = port_allocate_with_send(0, &receive, &send);
        utcb_self()->rights[0] = unread;
        if (error != ERR_OK)
            return false;
        self->event_receive = receive;
        self->event_send = send;
    }
    *token = self->event_send;
    return true;
}

// The receive in event_wait would destroy the right to answer a request that
// the thread is at work on.
static void keep_reply(struct runtime_thread *self)
{
    port_name_t reply;

    if (self->saved_reply == PORT_NULL && message_save_reply(&reply) == ERR_OK)
        self->saved_reply = reply;
}

bool event_wait(uint64_t deadline)
{
    struct runtime_thread *self = runtime_self();
    struct message message = {.tag = TAG_RECEIVE, .receive_from = self->event_receive};

    keep_reply(self);
    if (deadline != DEADLINE_NONE) {
        utcb_self()->receive_deadline = deadline;
        message.tag |= TAG_RECEIVE_DEADLINE;
    }
    message_trap(&message);
    return TAG_ERROR(message.tag) == ERR_TIMED_OUT;
}

void event_signal(uint32_t token)
{
    (void)msg_notify(token, EVENT_BIT);
}

void event_destroy(void)
{
    struct runtime_thread *self = runtime_self();

    if (self->event_receive == PORT_NULL)
        return;
    (void)port_deallocate(self->event_send);
    (void)port_deallocate(self->event_receive);
    self->event_receive = PORT_NULL;
}

// Waits until the deadline by calling the thread's own port, at which nobody
// receives meanwhile. Not by receiving: that would give up the reply right of a
// request that the thread is at work on.
static void sleep_until(uint64_t deadline)
{
    struct message message = {.tag = TAG_CALL | TAG_SEND_DEADLINE,
                              .destination = runtime_self()->event_send};

    utcb_self()->send_deadline = deadline;
    message_trap(&message);
}

void thread_pause(void)
{
    // Without an event (memory is short, or the thread is ending) spinning goes
    // on until the time slice is over.
    if (runtime_self()->event_receive != PORT_NULL)
        sleep_until(deadline_after(PAUSE_NANOSECONDS));
}

bool thread_sleep_until(uint64_t deadline)
{
    uint32_t token;

    if (!event_prepare(&token))
        return false;
    while (clock_now_ns() < deadline)
        sleep_until(deadline);
    return true;
}
