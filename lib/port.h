// SPDX-License-Identifier: BSD-2-Clause
// Ports under Mach's names: rights in the caller's own table. The services
// behind them, which work on any task, are in corvus/stubs.h.
#pragma once

#include "lib/message.h"

#include <corvus/stubs.h>

// Mach's port_status in a structure.
struct port_status {
    uint64_t queued;
    uint64_t backlog;
    uint64_t send_rights;
    uint64_t send_once_rights;
    uint64_t events;
    uint64_t in_set;
};

// A new port with its receive right. `label` comes with each message.
corvus_error_t port_allocate(uint64_t label, port_name_t *receive);

// Likewise, and a send right to it.
corvus_error_t port_allocate_with_send(uint64_t label, port_name_t *receive, port_name_t *send);

corvus_error_t port_set_allocate(port_name_t *set);

// A send right made from a receive right.
corvus_error_t port_make_send(port_name_t receive, port_name_t *send);

// Gives up any right. A port without its receive right is dead.
corvus_error_t port_deallocate(port_name_t name);

// Puts a port into a port set, takes it out.
corvus_error_t port_enable(port_name_t port, port_name_t set);
corvus_error_t port_disable(port_name_t port);

// How many messages wait in a port, or ports of a set have any.
corvus_error_t port_messages(port_name_t port, uint64_t *messages);
corvus_error_t port_status(port_name_t port, struct port_status *status);

// 0..PORT_BACKLOG_MAX messages; more and a sender waits.
corvus_error_t port_set_backlog(port_name_t port, uint64_t backlog);

// Asks for NOTIFY_* about `name`, once, as a message to the port `receive`.
corvus_error_t port_request_notification(port_name_t name, uint64_t kind, port_name_t receive);
