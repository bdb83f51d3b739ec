// SPDX-License-Identifier: BSD-2-Clause
// The task's anonymous memory: which parts of [RUNTIME_MEMORY_START,
// RUNTIME_MEMORY_END) are in use, and with what access. Memory without access
// is only reserved, and costs nothing until it gets some.
#pragma once

#include <corvus/error.h>

#include <stddef.h>
#include <stdint.h>

// Addresses and lengths are multiples of the page. `access` is ACCESS_*.
corvus_error_t memory_map_anywhere(uint64_t length, uint64_t access, uint64_t *address);

// Likewise, for parts of what was mapped, holes included.
corvus_error_t memory_unmap_range(uint64_t address, uint64_t length);

// NOT_MAPPED when part of the range is not in use.
corvus_error_t memory_protect_range(uint64_t address, uint64_t length, uint64_t access);
