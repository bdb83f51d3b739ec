// SPDX-License-Identifier: GPL-2.0-only
// The vCPU of the server's only thread, for the files that speak to the microkernel.
#pragma once

#include "server.h"

#include <corvus/error.h>
#include <corvus/vcpu.h>

#define vcpu ((volatile struct vcpu_state *)SERVER_VCPU_PAGE)

// Linux's own mask of interrupts, read inline all over it, is the vCPU's: 1 lets events in.
extern int signals_enabled;

// Each call of another task is made with events off: their handlers use the same message page.
#define QUIETLY(call)                                                                              \
    ({                                                                                             \
        int enabled_ = um_set_signals(0);                                                          \
        corvus_error_t error_ = (call);                                                            \
        um_set_signals(enabled_);                                                                  \
        error_;                                                                                    \
    })

// --- machine.c -----------------------------------------------------------------------------------

// Linux's number for an error of the microkernel, negative; 0 for none.
int machine_errno(corvus_error_t error);

// A port whose messages and events are an interrupt of Linux: returns its number, for request_irq.
// -ENOSPC: there are no more.
int machine_make_interrupt_port(port_name_t *receive);
