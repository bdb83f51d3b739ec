// SPDX-License-Identifier: BSD-2-Clause
// Random bytes from the processor.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// False when the processor has no RDRAND or it does not deliver; `buffer` is
// then undefined.
bool entropy_from_processor(void *buffer, size_t bytes);
