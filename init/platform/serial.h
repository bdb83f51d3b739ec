// SPDX-License-Identifier: BSD-2-Clause
// The first serial port, driven by interrupts in both directions. Output never
// waits for long: what the ring cannot take is sent at the line's own pace.
#pragma once

#include <corvus/error.h>
#include <corvus/types.h>

#include <stdbool.h>
#include <stddef.h>

// Attaches the interrupt to a port (a receive right) as event `bits`. Until
// then, and when it fails, output is polled.
corvus_error_t serial_attach(port_name_t port, uint64_t bits);

// Finds the UART. False: there is none, and what is written vanishes.
bool serial_initialize(void);

// All bytes, newline as carriage return and newline.
void serial_write(const char *text, size_t bytes);

// To be called when the event has come. True when there is new input.
bool serial_interrupt(void);

// Takes input, up to `bytes` of it; 0 when there is none.
size_t serial_read(char *text, size_t bytes);

// Sends all that is still in the ring, before the machine goes down.
void serial_flush(void);
