// SPDX-License-Identifier: GPL-2.0-only
// The vCPU of the server's only thread, for the files that speak to the microkernel.
#pragma once

#include "server.h"

#include <corvus/vcpu.h>

#define vcpu ((volatile struct vcpu_state *)SERVER_VCPU_PAGE)

// Linux's own mask of interrupts, read inline all over it, is the vCPU's: 1 lets events in.
extern int signals_enabled;
