// SPDX-License-Identifier: BSD-2-Clause
// Two tasks that must not notice anything: a client that checks every answer,
// its memory and its registers, and the server that answers it.
#pragma once

#include <corvus/error.h>

// Starts both, for good. Results: fuzz_shared->witness.
corvus_error_t witness_start(void);
