// SPDX-License-Identifier: BSD-2-Clause
// init's control port: events of the serial line and of the timer, and the
// kernel's notices about rights that have died.
#pragma once

#include "lib/call.h"

// Event bits.
#define EVENT_SERIAL    1u
#define EVENT_TIMER     2u
#define EVENT_ALLOCATOR 4u // allocator_settle

// Makes the timer that ORs EVENT_TIMER into the control port.
corvus_error_t events_initialize(port_name_t control);

// Absolute nanoseconds of the clock page; UINT64_MAX: never.
void events_set_timer(uint64_t deadline);

// Serves a message of the control port.
void events_serve(const struct message *request);

// Asks for a notice when the port behind a right of init's dies.
void events_watch(port_name_t right);
// Asks for a notice, of a kind NOTIFY_*. NO_MEMORY, PEER_DIED.
corvus_error_t events_request(port_name_t name, uint64_t kind);
// ORs event bits into the control port: to be served when what is being served now has
// been answered.
corvus_error_t events_remind(uint64_t bits);
