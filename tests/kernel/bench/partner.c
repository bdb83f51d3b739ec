// SPDX-License-Identifier: BSD-2-Clause
// Makes and ends the threads that the measurements work against.
#include "partner.h"

#define TWIN_QUOTA (1u << 20)

port_name_t partner_twin;

// Threads come and go one at a time, but the one before may not quite be gone.
static struct twin_stack stacks[4];
static unsigned next_number;

corvus_error_t partner_initialize(void)
{
    corvus_error_t error = twin_make_task(TWIN_QUOTA, &partner_twin);
    return error == ERR_OK ? twin_insert_rights(partner_twin, NAME_BOOTSTRAP, NAME_THREAD_MAIN)
                           : error;
}

static corvus_error_t make_port(struct partner *partner)
{
    uint64_t receive;
    corvus_error_t error = task_allocate_port(partner->task, 0, &receive);

    if (error != ERR_OK)
        return error;
    partner->receive = (port_name_t)receive;
    return task_extract_right(partner->task, partner->receive, MAKE_SEND, &partner->send);
}

corvus_error_t partner_start(struct partner *partner, port_name_t task,
                             void (*function)(uint64_t receive), uint64_t priority)
{
    unsigned number = next_number++ % (sizeof stacks / sizeof stacks[0]);

    *partner = (struct partner){.task = task};
    corvus_error_t error = make_port(partner);
    if (error == ERR_OK)
        error = twin_make_thread(task, number, priority, &partner->thread);
    // A defect of the partner is then told on the console.
    if (error == ERR_OK)
        error = thread_set_exception_port(partner->thread, copy_send(NAME_BOOTSTRAP));
    if (error == ERR_OK)
        error = twin_start(partner->thread, &stacks[number], function, partner->receive);
    return error;
}

void partner_stop(struct partner *partner)
{
    if (partner->thread != PORT_NULL) {
        (void)thread_terminate(partner->thread);
        (void)task_deallocate_right(NAME_TASK_SELF, partner->thread);
    }
    if (partner->send != PORT_NULL)
        (void)task_deallocate_right(NAME_TASK_SELF, partner->send);
    if (partner->receive != PORT_NULL)
        (void)task_deallocate_right(partner->task, partner->receive);
}
