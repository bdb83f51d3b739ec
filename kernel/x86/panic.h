// SPDX-License-Identifier: BSD-2-Clause
// The end of the kernel: says what happened, shows registers, a symbolised
// backtrace and the last trace records, and stops. For broken invariants of the
// kernel itself only; nothing a user program does may lead here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "x86/frame.h"

// Set by a trap handler that is about to panic; null: the backtrace starts at panic()'s caller.
extern const struct frame *panic_frame;

// Prints the last trace records; null until the trace module sets it.
extern void (*panic_trace_hook)(void);

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Stops the machine without a word; with "panic=exit" ends QEMU through its isa-debug-exit device.
_Noreturn void panic_stop(void);

// Looks for "panic=exit" in the kernel's command line.
void panic_configure(const char *command);

#define KASSERT(condition)                                                                         \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            panic("assertion failed: %s, %s line %d", #condition, __FILE__, __LINE__);             \
    } while (0)

// The kernel's functions by address, generated from nm's output at build time (see README.md).
struct kernel_symbol {
    uint64_t address;
    const char *name;
};
extern const struct kernel_symbol kernel_symbols[];
extern const uint32_t kernel_symbol_count;

// The function that holds address, and the distance from its start; null if there is none.
const char *symbol_find(uint64_t address, uint64_t *offset);
