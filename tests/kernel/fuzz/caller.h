// SPDX-License-Identifier: BSD-2-Clause
// The threads of the fuzzed task, which make the random calls.
#pragma once

#include <stdint.h>

// What a caller runs; `index` < FUZZ_CALLERS. Does not return.
void caller_main(uint64_t index);
