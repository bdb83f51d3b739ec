// SPDX-License-Identifier: GPL-2.0-only
// Linux's clock is the clock page; its clock event device a timer of the microkernel.
#include "vcpu_page.h"

#include "lib/clock.h"

#include <corvus/init_stubs.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <kern_util.h>
#include <os.h>

static port_name_t timer;
static uint64_t period; // nanoseconds, 0: one shot

int os_timer_create(void)
{
    uint64_t port;
    corvus_error_t error = task_allocate_port(NAME_TASK_SELF, 0, &port);

    if (error == ERR_OK)
        error = vcpu_bind(NAME_THREAD_MAIN, port, EVENT_TIMER);
    if (error == ERR_OK)
        error = task_create_timer(NAME_TASK_SELF, 1, make_send((port_name_t)port), &timer);
    return error == ERR_OK ? 0 : -ENOMEM;
}

int os_timer_set_interval(unsigned long long nsecs)
{
    period = nsecs;
    return timer_set(timer, clock_now_ns() + nsecs, nsecs) == ERR_OK ? 0 : -EINVAL;
}

int os_timer_one_shot(unsigned long long nsecs)
{
    period = 0;
    return timer_set(timer, clock_now_ns() + nsecs, 0) == ERR_OK ? 0 : -EINVAL;
}

void os_timer_disable(void)
{
    if (timer != PORT_NULL)
        (void)timer_set(timer, 0, 0);
}

long long os_nsecs(void)
{
    return (long long)clock_now_ns();
}

void server_clock(unsigned long *base, unsigned int *multiplier, unsigned int *shift)
{
    const struct clock_page *clock = (const struct clock_page *)CLOCK_PAGE_ADDRESS;

    *base = clock->tsc_base;
    *multiplier = clock->multiplier;
    *shift = clock->shift;
}

long long os_persistent_clock_emulation(void)
{
    uint64_t epoch = 0;

    // A node without a calendar begins in 1970, as Linux does on such machines.
    (void)bootstrap_real_time(NAME_BOOTSTRAP, &epoch);
    return (long long)(epoch + clock_now_ns());
}

// Called with events off; returns as soon as one is pending, and Linux then lets them in.
void os_idle_sleep(void)
{
    (void)vcpu_run(PORT_NULL);
}
