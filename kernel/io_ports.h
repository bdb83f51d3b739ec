// SPDX-License-Identifier: BSD-2-Clause
// I/O ports in a space, as space.c needs them. The services' side of it is in
// mapping.h.
#pragma once

#include "task.h"

// Removes all I/O rights of a dying space and what is derived from them.
bool io_ports_destroy(struct task *task, int *budget);
