// SPDX-License-Identifier: BSD-2-Clause
// Mach's port calls on the caller's own task.
#include "lib/port.h"

corvus_error_t port_allocate(uint64_t label, port_name_t *receive)
{
    uint64_t name;
    corvus_error_t error = task_allocate_port(NAME_TASK_SELF, label, &name);

    if (error == ERR_OK)
        *receive = (port_name_t)name;
    return error;
}

corvus_error_t port_allocate_with_send(uint64_t label, port_name_t *receive, port_name_t *send)
{
    corvus_error_t error = port_allocate(label, receive);

    if (error != ERR_OK)
        return error;
    error = port_make_send(*receive, send);
    if (error != ERR_OK)
        (void)port_deallocate(*receive);
    return error;
}

corvus_error_t port_set_allocate(port_name_t *set)
{
    uint64_t name;
    corvus_error_t error = task_allocate_port_set(NAME_TASK_SELF, &name);

    if (error == ERR_OK)
        *set = (port_name_t)name;
    return error;
}

corvus_error_t port_make_send(port_name_t receive, port_name_t *send)
{
    return task_extract_right(NAME_TASK_SELF, receive, MAKE_SEND, send);
}

corvus_error_t port_deallocate(port_name_t name)
{
    return task_deallocate_right(NAME_TASK_SELF, name);
}

corvus_error_t port_enable(port_name_t port, port_name_t set)
{
    return task_enable_port(NAME_TASK_SELF, port, set);
}

corvus_error_t port_disable(port_name_t port)
{
    return task_disable_port(NAME_TASK_SELF, port);
}

corvus_error_t port_messages(port_name_t port, uint64_t *messages)
{
    return task_port_status(NAME_TASK_SELF, port, messages, NULL, NULL, NULL, NULL, NULL);
}

corvus_error_t port_status(port_name_t port, struct port_status *status)
{
    return task_port_status(NAME_TASK_SELF, port, &status->queued, &status->backlog,
                            &status->send_rights, &status->send_once_rights, &status->events,
                            &status->in_set);
}

corvus_error_t port_set_backlog(port_name_t port, uint64_t backlog)
{
    uint64_t label;
    corvus_error_t error = task_right_info(NAME_TASK_SELF, port, NULL, NULL, &label);

    // The service sets both, so the label is given again.
    return error != ERR_OK ? error : task_set_port(NAME_TASK_SELF, port, label, backlog);
}

corvus_error_t port_request_notification(port_name_t name, uint64_t kind, port_name_t receive)
{
    return task_request_notification(NAME_TASK_SELF, name, kind, make_send_once(receive));
}
