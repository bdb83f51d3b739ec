// SPDX-License-Identifier: BSD-2-Clause
// What the C library's shim needs from outside the task. lib/bootstrap.c asks
// the bootstrap port for it. A program that has none (init) defines
// `runtime_hooks` itself, and lib/bootstrap.c is then not linked.
#pragma once

#include <corvus/error.h>

#include <stddef.h>
#include <stdint.h>

struct runtime_hooks {
    // Prints all the bytes. Called by any thread.
    corvus_error_t (*console_write)(const void *text, size_t bytes);

    // Waits for input; *bytes is the room, then what came; 0 is the end.
    corvus_error_t (*console_read)(void *text, size_t *bytes);

    // Maps zeroed pages at an unused address that the library has chosen, in
    // [RUNTIME_MEMORY_START, RUNTIME_MEMORY_END). All or nothing.
    corvus_error_t (*memory_allocate)(uint64_t address, uint64_t length, uint64_t access);

    // Page-aligned parts of what was allocated, perhaps by several calls.
    corvus_error_t (*memory_free)(uint64_t address, uint64_t length);
    corvus_error_t (*memory_protect)(uint64_t address, uint64_t length, uint64_t access);

    // Random bytes fit for keys.
    corvus_error_t (*entropy)(void *buffer, size_t bytes);

    // Nanoseconds since 1970 at which the clock page read zero.
    corvus_error_t (*real_time)(uint64_t *epoch);

    // Ends the task.
    void (*exit)(int status);
};

extern const struct runtime_hooks runtime_hooks;

// Address space that the library gives out: anonymous memory, then the message
// pages of its threads. A loader keeps out of it.
#define RUNTIME_MEMORY_START 0x200000000000ull
#define RUNTIME_MEMORY_END   0x600000000000ull
#define RUNTIME_UTCB_START   0x600000000000ull
#define RUNTIME_THREADS_MAX  1024ull

// System calls that were answered with ENOSYS, and the number of the last one.
extern uint64_t runtime_unsupported_calls;
extern uint64_t runtime_unsupported_last;
