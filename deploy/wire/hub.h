// SPDX-License-Identifier: BSD-2-Clause
// The hub: the wire, its ports and its commands, in one thread that waits for all of them.
#pragma once

#include "deploy/wire/spec.h"

// Runs a hub for so many nodes in a folder, until SIGTERM or SIGINT. Returns the status to end
// with: 0, or 1 when it could not begin, and has said why.
int hub_serve(const char *folder, unsigned ports, const struct wire_spec *spec);
