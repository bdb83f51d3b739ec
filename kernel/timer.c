// SPDX-License-Identifier: BSD-2-Clause
// Timer objects and their service.
#include "timer.h"

#include <corvus/services.h>

#include "memory.h"
#include "service.h"
#include "x86/clock.h"

#define PERIOD_MIN_NS 10000u

static void expired(struct deadline *deadline)
{
    struct timer *timer = container_of(deadline, struct timer, deadline);

    if (timer->period) {
        // No overflow: the time is past, and a period below 2^63.
        uint64_t next = deadline->time + timer->period;
        uint64_t now = clock_now();

        // Periods that were missed are not made up for: their bits would be one.
        if (next <= now)
            next += (now - next) / timer->period * timer->period + timer->period;
        deadline_arm(deadline, next);
    }
    port_notify(timer->target, timer->bits);
}

struct timer *timer_create(struct task *charged, struct port *target, uint64_t bits)
{
    struct timer *timer = memory_object_allocate(charged, sizeof(*timer));

    if (!timer)
        return NULL;
    port_init(&timer->port, PORT_TIMER);
    port_add_send(&timer->port);
    timer->deadline.expire = expired;
    timer->bits = bits;
    timer->target = target;
    timer->charged = charged;
    task_reference(charged);
    return timer;
}

void timer_destroy(struct timer *timer)
{
    deadline_cancel(&timer->deadline);
    port_kill(&timer->port);
}

void timer_free(struct timer *timer)
{
    struct task *charged = timer->charged;

    port_drop_send(timer->target);
    memory_object_free(charged, timer, sizeof(*timer));
    task_release(charged);
}

static corvus_error_t service_timer_set(struct service_call *call)
{
    const struct timer_set_in *in = (const void *)call->in;
    struct timer *timer = container_of(call->target, struct timer, port);

    if (in->period && (in->period < PERIOD_MIN_NS || in->period > INT64_MAX))
        return ERR_INVALID_ARGUMENT;
    deadline_cancel(&timer->deadline);
    timer->period = in->period;
    if (in->deadline)
        deadline_arm(&timer->deadline, in->deadline);
    return ERR_OK;
}

static const struct service services[] = {TIMER_SERVICES(SERVICE_ENTRY)};
const struct service_table timer_service_table = SERVICE_TABLE(services, SERVICE_timer_set >> 8);
