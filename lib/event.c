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
        if (port_allocate_with_send(0, &receive, &send) != ERR_OK)
            return false;
        self->event_receive = receive;
        self->event_send = send;
    }
    *token = self->event_send;
    return true;
}

bool event_wait(uint64_t deadline)
{
    struct message message = {.tag = TAG_RECEIVE, .receive_from = runtime_self()->event_receive};

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

void thread_pause(void)
{
    // Without an event (memory is short, or the thread is ending) spinning goes
    // on until the time slice is over.
    if (runtime_self()->event_receive != PORT_NULL)
        (void)event_wait(deadline_after(PAUSE_NANOSECONDS));
}

bool thread_sleep_until(uint64_t deadline)
{
    uint32_t token;

    if (!event_prepare(&token))
        return false;
    while (clock_now_ns() < deadline)
        (void)event_wait(deadline);
    return true;
}
