// SPDX-License-Identifier: BSD-2-Clause
// musl's clone, as pthread_create uses it: always a thread of the same task.
#include <stdarg.h>
#include <stdint.h>

#include "pthread_impl.h"

// lib/thread.h
int runtime_clone(int (*function)(void *), void *stack, void *argument, int32_t *id, uint64_t tls,
                  uint32_t *clear_id);

int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
    va_list list;

    (void)flags; // what pthread_create asks for is all that there is
    va_start(list, argument);
    int32_t *id = va_arg(list, int32_t *);
    void *tls = va_arg(list, void *);
    uint32_t *clear_id = va_arg(list, uint32_t *);
    va_end(list);
    return runtime_clone(function, stack, argument, id, (uintptr_t)tls, clear_id);
}
