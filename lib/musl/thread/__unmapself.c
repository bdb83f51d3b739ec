// SPDX-License-Identifier: BSD-2-Clause
// The end of a detached thread, which frees the stack it runs on.
#include "pthread_impl.h"

// lib/thread.h
_Noreturn void runtime_thread_exit_unmapping(void *base, size_t bytes);

void __unmapself(void *base, size_t bytes)
{
    runtime_thread_exit_unmapping(base, bytes);
}
