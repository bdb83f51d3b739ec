// SPDX-License-Identifier: BSD-2-Clause
// A 16550 at COM1, polled. A port that does not remember what is written to its
// scratch register is taken for absent.
#include "x86/uart.h"

#include <stdbool.h>
#include <stdint.h>

#include "x86/instructions.h"

// Registers of the 16550 (National Semiconductor PC16550D, table II).
enum {
    COM1 = 0x3f8,
    UART_DATA = COM1 + 0,
    UART_DIVISOR_LOW = COM1 + 0,
    UART_INTERRUPT_ENABLE = COM1 + 1,
    UART_DIVISOR_HIGH = COM1 + 1,
    UART_FIFO_CONTROL = COM1 + 2,
    UART_LINE_CONTROL = COM1 + 3,
    UART_MODEM_CONTROL = COM1 + 4,
    UART_LINE_STATUS = COM1 + 5,
    UART_SCRATCH = COM1 + 7,

    FIFO_ENABLE_AND_CLEAR = 0x07,
    LINE_8N1 = 0x03,
    LINE_DIVISOR_ACCESS = 0x80,
    MODEM_DTR_RTS = 0x03,
    STATUS_TRANSMITTER_EMPTY = 0x20,

    DIVISOR_115200 = 1,
    SCRATCH_PROBE = 0xa5,
    // Some 100 ms at 1 us a read; a character at 115200 baud takes 87 us.
    WAIT_READS = 100000,
};

static bool uart_present;

void uart_init(void)
{
    outb(UART_SCRATCH, SCRATCH_PROBE);
    if (inb(UART_SCRATCH) != SCRATCH_PROBE)
        return;
    outb(UART_INTERRUPT_ENABLE, 0);
    outb(UART_LINE_CONTROL, LINE_DIVISOR_ACCESS);
    outb(UART_DIVISOR_LOW, DIVISOR_115200);
    outb(UART_DIVISOR_HIGH, 0);
    outb(UART_LINE_CONTROL, LINE_8N1);
    outb(UART_FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
    outb(UART_MODEM_CONTROL, MODEM_DTR_RTS);
    uart_present = true;
}

static void uart_send(char character)
{
    for (int reads = 0; reads < WAIT_READS; reads++) {
        if (inb(UART_LINE_STATUS) & STATUS_TRANSMITTER_EMPTY) {
            outb(UART_DATA, (uint8_t)character);
            return;
        }
    }
    // Stuck: do not slow the kernel down once more for each further character.
    uart_present = false;
}

void uart_put(char character)
{
    if (character == '\n' && uart_present)
        uart_send('\r');
    if (uart_present)
        uart_send(character);
}
