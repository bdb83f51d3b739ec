// SPDX-License-Identifier: BSD-2-Clause
// What all kernel objects behind ports have in common: ids, and what happens
// when the rights to them go.
#pragma once

#include "port.h"

// Ids are never reused: 64 bits outlast the machine.
uint64_t object_new_id(void);

// The last reference to a kernel object's port has gone: frees the object.
void object_unreferenced(struct port *port);

// The last send right to a kernel object has gone: interrupts, timers and tasks
// without threads end.
void object_no_senders(struct port *port);
