// SPDX-License-Identifier: BSD-2-Clause
// The loop: what is due, a batch of what came, the steps behind it, and a wait for
// the next message or time. A message finds its source by the label of its port.
#include "netipc/server.h"

#include "netipc/loop.h"

#include "lib/port.h"

#include <pthread.h>

static struct {
    port_name_t set;
    struct event_timer *timers; // the next one first
    struct event_step *steps;   // in order of registration
} loop;

corvus_error_t server_open(void)
{
    return port_set_allocate(&loop.set);
}

// --- Messages -------------------------------------------------------------------------

corvus_error_t server_adopt_source(struct event_source *source, port_name_t receive)
{
    corvus_error_t error = port_enable(receive, loop.set);

    if (error == ERR_OK)
        source->receive = receive;
    return error;
}

corvus_error_t server_add_source(struct event_source *source)
{
    port_name_t receive;
    corvus_error_t error = port_allocate((uint64_t)(uintptr_t)source, &receive);

    if (error != ERR_OK)
        return error;
    error = server_adopt_source(source, receive);
    if (error != ERR_OK)
        (void)port_deallocate(receive);
    return error;
}

void server_remove_source(struct event_source *source)
{
    (void)port_deallocate(source->receive);
    source->receive = PORT_NULL;
}

void server_set_copy_buffer(unsigned index, void *buffer, size_t bytes)
{
    utcb_self()->copy_buffers[index] =
        (struct message_buffer){.address = (uint64_t)(uintptr_t)buffer, .length = bytes};
}

// --- Times ----------------------------------------------------------------------------

void server_disarm_timer(struct event_timer *timer)
{
    if (!timer->armed)
        return;
    timer->armed = false;
    if (timer->previous != NULL)
        timer->previous->next = timer->next;
    else
        loop.timers = timer->next;
    if (timer->next != NULL)
        timer->next->previous = timer->previous;
}

void server_arm_timer(struct event_timer *timer, uint64_t deadline)
{
    struct event_timer *before = NULL, *after = NULL;

    server_disarm_timer(timer);
    for (after = loop.timers; after != NULL && after->deadline <= deadline; after = after->next)
        before = after;
    timer->deadline = deadline;
    timer->armed = true;
    timer->previous = before;
    timer->next = after;
    if (before != NULL)
        before->next = timer;
    else
        loop.timers = timer;
    if (after != NULL)
        after->previous = timer;
}

// A timer that is armed again for a time that has passed waits for the next round.
static void expire_timers(void)
{
    uint64_t now = clock_now_ns();

    while (loop.timers != NULL && loop.timers->deadline <= now) {
        struct event_timer *timer = loop.timers;
        server_disarm_timer(timer);
        timer->expired(timer);
    }
}

// --- Steps ----------------------------------------------------------------------------

void server_add_step(struct event_step *step)
{
    struct event_step **place = &loop.steps;

    while (*place != NULL)
        place = &(*place)->next;
    step->next = NULL;
    *place = step;
}

// Does all steps; returns when something is to be done next, without a message.
static uint64_t do_steps(void)
{
    uint64_t deadline = UINT64_MAX;

    for (struct event_step *step = loop.steps; step != NULL; step = step->next) {
        step->deadline = step->step(step);
        if (step->deadline < deadline)
            deadline = step->deadline;
    }
    if (loop.timers != NULL && loop.timers->deadline < deadline)
        deadline = loop.timers->deadline;
    return deadline;
}

// --- The loop -------------------------------------------------------------------------

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void server_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void server_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

corvus_error_t server_run(void)
{
    server_lock();
    for (;;) {
        expire_timers();
        uint64_t deadline = do_steps();
        struct message message = {.receive_from = loop.set};
        server_unlock();
        corvus_error_t error = message_exchange(&message, TAG_RECEIVE, deadline);
        server_lock();
        if (error == ERR_OK) {
            struct event_source *source = (struct event_source *)(uintptr_t)message.label;
            source->message(source, &message);
        } else if (error != ERR_TIMED_OUT && error != ERR_WOULD_BLOCK && error != ERR_ABORTED) {
            return error;
        }
    }
}
