// SPDX-License-Identifier: BSD-2-Clause
// The loop: the steps, then a wait for the next message or time. A message finds its source by the
// label of its port; ports of memory objects are lib/memory_object's.
#include "dsm/server/server.h"

#include "lib/memory_object.h"
#include "lib/serve.h"

#include <corvus/pager.h>

#include <stdlib.h>

static struct source *sources;
static struct step *steps, **last_step = &steps;
static void *buffer;
static size_t buffer_bytes;

port_name_t loop_set(void)
{
    return memory_object_set();
}

static corvus_error_t open_buffer(size_t bytes)
{
    void *memory;

    if (bytes <= buffer_bytes)
        return ERR_OK;
    memory = aligned_alloc(PAGE_BYTES, bytes);
    if (memory == NULL)
        return ERR_NO_MEMORY;
    free(buffer);
    buffer = memory;
    buffer_bytes = bytes;
    return ERR_OK;
}

corvus_error_t loop_open(void)
{
    return loop_set() == PORT_NULL ? ERR_NO_MEMORY : open_buffer(LOOP_BUFFER_SMALL);
}

corvus_error_t loop_open_large_buffer(void)
{
    return open_buffer(PAGER_DATA_MAX + PAGE_BYTES);
}

corvus_error_t source_open(struct source *source)
{
    corvus_error_t error = port_allocate((uintptr_t)source, &source->receive);

    if (error != ERR_OK)
        return error;
    error = port_set_backlog(source->receive, PORT_BACKLOG_MAX);
    if (error == ERR_OK)
        error = port_enable(source->receive, loop_set());
    if (error != ERR_OK) {
        (void)port_deallocate(source->receive);
        return error;
    }
    source->next = sources;
    sources = source;
    return ERR_OK;
}

void source_close(struct source *source)
{
    struct source **place = &sources;

    while (*place != source)
        place = &(*place)->next;
    *place = source->next;
    (void)port_deallocate(source->receive);
    source->receive = PORT_NULL;
}

void loop_add_step(struct step *step)
{
    *last_step = step;
    last_step = &step->next;
}

static uint64_t do_steps(void)
{
    uint64_t deadline = UINT64_MAX, now = clock_now_ns();

    for (struct step *step = steps; step != NULL; step = step->next) {
        uint64_t next = step->step(now);
        if (next < deadline)
            deadline = next;
    }
    return deadline;
}

static void dispatch(struct message *message)
{
    struct source *source = sources;
    struct message reply = {0};

    while (source != NULL && (uintptr_t)source != message->label)
        source = source->next;
    if (source != NULL)
        source->message(source, message);
    else if (!memory_object_dispatch(message, &reply))
        message_drop_rights(message->tag); // for a port that is no more
}

corvus_error_t loop_run(void)
{
    for (;;) {
        uint64_t deadline = do_steps();
        struct message message = {.receive_from = loop_set()};
        // Stubs that were used meanwhile may have closed it.
        utcb_self()->copy_buffers[0] = message_buffer(buffer, buffer_bytes);
        corvus_error_t error = message_exchange(&message, TAG_RECEIVE, deadline);
        if (error == ERR_OK)
            dispatch(&message);
        else if (error != ERR_TIMED_OUT && error != ERR_WOULD_BLOCK && error != ERR_ABORTED)
            return error;
    }
}
