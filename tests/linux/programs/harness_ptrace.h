// SPDX-License-Identifier: BSD-2-Clause
// Tracing another process: starting one, waiting for its stops, its memory and registers.
#pragma once

#include "harness.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

// Not in the C library's header of that name.
#define PTRACE_ARCH_PRCTL_ 30

// A child that is traced by us and stopped just before it runs the function.
pid_t traced_child(void (*run)(void *), void *argument);

// Lets it go on, and waits for its next stop, which must be this signal's.
void continue_with(pid_t process, int request, int signal);
#define STOPS_BY(process, signal) require_stop(process, signal, __FILE__, __LINE__)
void require_stop(pid_t process, int signal, const char *file, int line);
// The same for a stop that PTRACE_O_… announces: PTRACE_EVENT_….
#define STOPS_AT(process, event) require_stop(process, SIGTRAP | (event) << 8, __FILE__, __LINE__)

struct user_regs_struct registers_of(pid_t process);
void set_registers(pid_t process, const struct user_regs_struct *registers);
uint64_t peek(pid_t process, const volatile void *address);
void poke(pid_t process, const volatile void *address, uint64_t word);
