// SPDX-License-Identifier: BSD-2-Clause
// Between the files of the benchmark of virtual memory.
#pragma once

#include <corvus/error.h>

#define ROUNDS 201u // of a row; the first WARM of them are not counted
#define WARM   20u

// Rows of faults that the VM server serves (served.c).
corvus_error_t rows_of_served_faults(void);
