// SPDX-License-Identifier: BSD-2-Clause
// The Linux program `ports`, by which the tests of a cluster use ports of other nodes (README.md).
#pragma once

#include "lib/linux/corvus.h"

#include <stdbool.h>
#include <stdint.h>

// Requests to a port of `ports serve`.
#define PORTS_ADD  0x71001u // word 0: a number; answered with one more
#define PORTS_HOLD 0x71002u // never answered, while the server lives
#define PORTS_GIVE 0x71003u // answered with a right to another port, which serves the same

#define MICROSECONDS   1000000ull
#define MILLISECOND_NS 1000000ull

// A sub-command: its arguments without its name, and its exit status.
int command_state(char **words);
int command_end(char **words);
int command_serve(char **words);
int command_call(char **words);
int command_hold(char **words);
int command_wait(char **words);
int command_load(char **words);

// One line on standard output, at once.
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

// Says what went wrong, and ends the program.
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

// Fails with that text unless the error is OK.
void need(corvus_error_t error, const char *what);

// The kernel's number of the port behind a right, by which two can be compared; 0: it is dead.
uint64_t port_number(port_name_t name);
