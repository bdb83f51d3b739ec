// SPDX-License-Identifier: BSD-2-Clause
// The allocator of the simulator: it refuses what the core asks for as often as the
// world says. Linked with --wrap, so nothing else notices.
#include "tests/sim/sim.h"

#include <stddef.h>

struct world *failing_world;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

static bool refused(void)
{
    return failing_world != NULL && world_fails(failing_world);
}

void *__wrap_malloc(size_t bytes)
{
    return refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return refused() ? NULL : __real_realloc(memory, bytes);
}
