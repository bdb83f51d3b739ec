// SPDX-License-Identifier: BSD-2-Clause
// The four functions a C compiler may call without being asked, with the
// standard's meaning. memory.c implements them.
#pragma once

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
