// SPDX-License-Identifier: BSD-2-Clause
// Formatted output on the serial line.
//
// Knows %s %c %d %u %x %p %%, l and ll for integers, a width, - and 0. No
// floating point, no precision, no %n.
#pragma once

#include <stdarg.h>

void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void kvprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
