// SPDX-License-Identifier: BSD-2-Clause
// The calendar: the PC's real-time clock, read once at start.
#pragma once

#include <corvus/error.h>

#include <stdint.h>

// Nanoseconds since 1970-01-01 00:00 UTC at which the clock page read zero.
// NOT_SUPPORTED when the clock shows no date.
corvus_error_t rtc_epoch(uint64_t *epoch);
