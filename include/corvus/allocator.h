// SPDX-License-Identifier: BSD-2-Clause
// Limits of the allocator (allocator.def).
#pragma once

#define ALLOCATOR_TASKS_MAX 64u        // at a time
#define ALLOCATOR_COPY_MAX  (64 << 10) // bytes that one task_memory_write or _read carries
