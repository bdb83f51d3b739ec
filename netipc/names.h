// SPDX-License-Identifier: BSD-2-Clause
// The name service (include/corvus/netname.def).
#pragma once

#include "netipc/server.h"

// The number under which each node's name server is known to all others.
#define NAMES_EXPORT 0u

// A subject of the server (main.c).
bool names_start(const struct server_context *context);

// Names of this node, and look-ups that wait.
void names_count(uint64_t *names, uint64_t *waited_for);
