// SPDX-License-Identifier: BSD-2-Clause
// What the control port brings, handed on to those whom it concerns.
#include "events.h"

#include "allocator.h"
#include "names.h"
#include "requests.h"
#include "supervise.h"

#include "platform/entropy.h"
#include "platform/serial.h"

#include "lib/port.h"

static port_name_t control_port, control_send, timer;

corvus_error_t events_initialize(port_name_t control)
{
    control_port = control;
    corvus_error_t error = port_make_send(control, &control_send);
    if (error != ERR_OK)
        return error;
    return task_create_timer(NAME_TASK_SELF, EVENT_TIMER, make_send(control), &timer);
}

void events_set_timer(uint64_t deadline)
{
    (void)timer_set(timer, deadline == UINT64_MAX ? 0 : deadline, 0);
}

// Without memory for the notice the death is seen when the right is next used.
void events_watch(port_name_t right)
{
    (void)events_request(right, NOTIFY_DEAD_NAME);
}

corvus_error_t events_request(port_name_t name, uint64_t kind)
{
    return port_request_notification(name, kind, control_port);
}

corvus_error_t events_remind(uint64_t bits)
{
    return msg_notify(control_send, bits);
}

static void serve_events(uint64_t bits)
{
    uint64_t time = processor_time();
    entropy_add(&time, sizeof time);
    if ((bits & EVENT_SERIAL) && serial_interrupt())
        requests_input_arrived();
    if (bits & EVENT_TIMER)
        supervise_advance();
    if (bits & EVENT_ALLOCATOR)
        allocator_settle();
}

static void serve_death(port_name_t name)
{
    if (!names_died(name) && !allocator_died(name))
        supervise_died(name);
}

void events_serve(const struct message *request)
{
    if (request->id == MESSAGE_ID_EVENT)
        serve_events(request->words[0]);
    else if (request->id == MESSAGE_ID_DEAD_NAME)
        serve_death((port_name_t)request->words[0]);
    else if (request->id == MESSAGE_ID_NO_SENDERS)
        allocator_abandoned(request->words[0]);
}
