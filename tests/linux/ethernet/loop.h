// SPDX-License-Identifier: BSD-2-Clause
// The least of the network server's loop (netipc/server.h) that its Linux port needs.
#pragma once

#include "netipc/server.h"

// Memory for DMA, 2 MiB and at a multiple of that. NULL: none.
void *loop_allocate(size_t bytes);
