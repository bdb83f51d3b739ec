// SPDX-License-Identifier: BSD-2-Clause
// Debug registers: a guest's, while it runs, and off at all other times. The
// kernel touches no user address, so that between the trap and the switching off
// none of them can strike but at its first instruction (entry.S: trap_debug).
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Checks the values of DR0 to DR3 and DR7 and turns them on. False: they are not
// for user level to have, and all is off.
bool debug_registers_load(const uint64_t address[4], uint64_t control);

void debug_registers_off(void);

// At a debug exception: what of `control` it was, as in vcpu_state.debug_status.
uint64_t debug_registers_status(uint64_t control);
