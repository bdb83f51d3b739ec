// SPDX-License-Identifier: BSD-2-Clause
// The event loop's own beginning, for main.c.
#pragma once

#include <corvus/error.h>

corvus_error_t server_open(void);
