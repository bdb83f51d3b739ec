// SPDX-License-Identifier: BSD-2-Clause
// Memory that cards can reach: what is sent from it is not copied. Buffers of the
// protocols above, TCP/IP's own headers, and Linux's shared memory (which the
// Linux port registers) are such.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Contiguous for the card, zeroed, page aligned; up to 1 MiB, or more in units
// of 2 MiB. NULL when there is none. Never given back.
void *network_memory_allocate(size_t bytes);

// Memory that somebody else got from init, contiguous from that bus address on.
// False: too many ranges (NETWORK_MEMORY_RANGES).
#define NETWORK_MEMORY_RANGES 32u
bool network_memory_add(void *start, uint64_t bus, size_t bytes);

// The bus address of [data, data + bytes), which lies in one range. False: it
// does not, and is to be copied.
bool network_memory_bus(const void *data, size_t bytes, uint64_t *bus);
