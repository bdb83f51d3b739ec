// SPDX-License-Identifier: BSD-2-Clause
// What the vCPU tests share: a server thread and its guest task. A server is a
// helper thread whose code uses no vector register.
#pragma once

#include "harness.h"

#include <corvus/vcpu.h>

#define SERVER __attribute__((target("general-regs-only")))
#define VCPU_PAGE 0x690000000000ull
#define GUEST_CODE 0x400000000ull
#define GUEST_DATA 0x500000000ull

extern port_name_t guest_task;
extern char *guest_pages; // [0] code, [1] data and stack, as this task sees them
extern struct helper *server;

static inline volatile struct vcpu_state *vcpu(void)
{
    return (volatile struct vcpu_state *)VCPU_PAGE;
}

// A guest task with one page of code (the bytes from `start` to `end`) and one
// of data, and a server thread that runs `function`.
void guest_make(const char *start, const char *end);
void guest_serve(void (*function)(void *));
void guest_drop(void);

// The guest begins at its code, with its stack at the end of its data.
SERVER void guest_reset(void);

// Code of a guest, between two labels.
#define GUEST(name, code)                                                                          \
    extern const char name[], name##_end[];                                                        \
    __asm__(".pushsection .rodata\n" #name ":\n\t" code "\n" #name "_end:\n\t.popsection")
