// SPDX-License-Identifier: BSD-2-Clause
// Files 0, 1 and 2 of the C library, all of them the task's console. Return
// bytes, or -errno.
#pragma once

#include <stddef.h>
#include <sys/uio.h>

long console_read_file(int file, void *text, size_t bytes);
long console_read_vector(int file, const struct iovec *parts, int count);
long console_write_file(int file, const void *text, size_t bytes);
long console_write_vector(int file, const struct iovec *parts, int count);

// ioctl: the one question answered is whether it is a terminal.
long console_control(int file, long request, void *argument);
