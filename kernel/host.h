// SPDX-License-Identifier: BSD-2-Clause
// The ports that stand for the node.
#pragma once

#include "port.h"

extern struct port host_port, host_privileged_port;
extern uint64_t host_memory_bytes; // usable, as the firmware says

void host_init(uint64_t memory_bytes);
