// SPDX-License-Identifier: BSD-2-Clause
// See loop.h. One timer at a time.
#include "loop.h"

#include "lib/memory.h"
#include "lib/port.h"

#include <corvus/init_stubs.h>

#define LARGE_BYTES (2ull << 20)
#define STEPS_MAX   4

static port_name_t set;
static struct event_step *steps[STEPS_MAX];
static unsigned step_count;
static struct event_timer *timer;

corvus_error_t server_add_source(struct event_source *source)
{
    corvus_error_t error = ERR_OK;

    if (set == PORT_NULL)
        error = port_set_allocate(&set);
    if (error == ERR_OK)
        error = port_allocate((uint64_t)(uintptr_t)source, &source->receive);
    return error == ERR_OK ? port_enable(source->receive, set) : error;
}

void server_remove_source(struct event_source *source)
{
    (void)port_deallocate(source->receive);
    source->receive = PORT_NULL;
}

void server_add_step(struct event_step *step)
{
    if (step_count < STEPS_MAX)
        steps[step_count++] = step;
}

void server_arm_timer(struct event_timer *armed, uint64_t deadline)
{
    timer = armed;
    timer->deadline = deadline;
    timer->armed = true;
}

static uint64_t run_steps(void)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < step_count; i++) {
        uint64_t deadline = steps[i]->step(steps[i]);
        next = deadline < next ? deadline : next;
    }
    if (timer != NULL && timer->armed && timer->deadline <= clock_now_ns()) {
        timer->armed = false;
        timer->expired(timer);
    }
    if (timer != NULL && timer->armed && timer->deadline < next)
        next = timer->deadline;
    return next;
}

corvus_error_t server_run(void)
{
    for (;;) {
        struct message message = {.receive_from = set};
        corvus_error_t error = message_exchange(&message, TAG_RECEIVE, run_steps());
        if (error == ERR_TIMED_OUT || error == ERR_WOULD_BLOCK)
            continue;
        if (error != ERR_OK)
            return error;
        struct event_source *source = (struct event_source *)(uintptr_t)message.label;
        source->message(source, &message);
    }
}

void *loop_allocate(size_t bytes)
{
    uint64_t first = 0, physical = 0;

    if (memory_map_anywhere(2 * LARGE_BYTES, 0, &first) != ERR_OK)
        return NULL;
    uint64_t address = (first + LARGE_BYTES - 1) & ~(LARGE_BYTES - 1);
    if (bytes != LARGE_BYTES ||
        machine_allocate_dma(NAME_BOOTSTRAP, address, bytes, 0, &physical) != ERR_OK)
        return NULL;
    return (void *)(uintptr_t)address;
}
