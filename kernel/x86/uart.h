// SPDX-License-Identifier: BSD-2-Clause
// The first serial port, polled, output only: what the kernel has to say before
// there is a console server, and when it dies.
#pragma once

// 115200 baud, 8N1. Without a 16550 at COM1 all output is dropped silently.
void uart_init(void);

// Newline is sent as carriage return and newline. Waits for room, but not for ever.
void uart_put(char character);
