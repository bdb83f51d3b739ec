// SPDX-License-Identifier: BSD-2-Clause
// The other side of the measurements: one further address space (a twin), and
// one server thread at a time, there or in this task.
#pragma once

#include "twin.h"

struct partner {
    port_name_t task;    // where its thread runs: the twin or this task
    port_name_t thread;  // PORT_NULL when there is none
    port_name_t receive; // in that task: the port that the thread serves
    port_name_t send;    // in this task: a send right to it
};

extern port_name_t partner_twin; // task port of the other address space

// Makes the other address space.
corvus_error_t partner_initialize(void);

// Starts function(receive) in the task with the caller's priority or another.
corvus_error_t partner_start(struct partner *partner, port_name_t task,
                             void (*function)(uint64_t receive), uint64_t priority);

// Ends the thread and its port.
void partner_stop(struct partner *partner);
