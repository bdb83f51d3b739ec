// SPDX-License-Identifier: BSD-2-Clause
// The C library's clocks over the clock page. Return 0 or -errno.
#pragma once

#include <stdint.h>
#include <time.h>

long time_get(long clock, struct timespec *time);
long time_resolution(long clock, struct timespec *resolution);
long time_sleep(long clock, int flags, const struct timespec *request);

// False when the fields are out of range. Times beyond 584 years saturate.
int time_nanoseconds(const struct timespec *time, uint64_t *nanoseconds);
