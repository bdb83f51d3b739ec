// SPDX-License-Identifier: BSD-2-Clause
// A 16550 at COM1 (National Semiconductor PC16550D data sheet, table II), left
// by the kernel at 115200 baud, 8N1, with its FIFOs on.
#include "serial.h"

#include "port_io.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#define COM1                  0x3f8
#define COM1_IRQ              4
#define UART_DATA             (COM1 + 0)
#define UART_INTERRUPT_ENABLE (COM1 + 1)
#define UART_INTERRUPT_ID     (COM1 + 2) // read
#define UART_FIFO_CONTROL     (COM1 + 2) // write
#define UART_MODEM_CONTROL    (COM1 + 4)
#define UART_LINE_STATUS      (COM1 + 5)
#define UART_SCRATCH          (COM1 + 7)

#define ENABLE_RECEIVE           0x01
#define ENABLE_TRANSMIT          0x02
#define FIFO_ENABLE              0x01
#define MODEM_DTR_RTS_OUT2       0x0b // OUT2 lets the interrupt out
#define STATUS_DATA_READY        0x01
#define STATUS_TRANSMITTER_EMPTY 0x20
#define SCRATCH_PROBE            0x5a

#define FIFO_BYTES   16
#define OUTPUT_BYTES 65536u // a power of two
#define INPUT_BYTES  4096u  // likewise
// Some 100 ms at 1 us a read; 16 characters at 115200 baud take 1.4 ms.
#define WAIT_READS 100000

static bool present;
static port_name_t interrupt; // PORT_NULL: polled
static char output[OUTPUT_BYTES], input[INPUT_BYTES];
static uint32_t output_head, output_tail; // positions count on and are masked
static uint32_t input_head, input_tail;

bool serial_initialize(void)
{
    out8(UART_SCRATCH, SCRATCH_PROBE);
    present = in8(UART_SCRATCH) == SCRATCH_PROBE;
    if (present)
        out8(UART_FIFO_CONTROL, FIFO_ENABLE);
    return present;
}

// Fills the transmit FIFO if it is empty. False when it is not, or never will be.
static bool send_burst(void)
{
    if (!(in8(UART_LINE_STATUS) & STATUS_TRANSMITTER_EMPTY))
        return false;
    for (int i = 0; i < FIFO_BYTES && output_tail != output_head; i++)
        out8(UART_DATA, (uint8_t)output[output_tail++ % OUTPUT_BYTES]);
    return true;
}

// Sends one burst, waiting for the transmitter; a line that is stuck loses it.
static void send_waiting(void)
{
    for (int reads = 0; reads < WAIT_READS; reads++) {
        if (send_burst())
            return;
    }
    output_tail = output_head;
}

void serial_flush(void)
{
    while (present && output_tail != output_head)
        send_waiting();
}

static void put(char character)
{
    if (output_head - output_tail == OUTPUT_BYTES)
        send_waiting();
    output[output_head++ % OUTPUT_BYTES] = character;
}

void serial_write(const char *text, size_t bytes)
{
    if (!present)
        return;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
    if (interrupt == PORT_NULL)
        serial_flush();
    else
        (void)send_burst(); // an interrupt comes when it is out
}

static bool receive(void)
{
    bool any = false;
    // Bounded: a device that always says ready must not hold us.
    for (uint32_t i = 0; i < INPUT_BYTES && (in8(UART_LINE_STATUS) & STATUS_DATA_READY); i++) {
        char character = (char)in8(UART_DATA);
        if (input_head - input_tail < INPUT_BYTES) {
            input[input_head++ % INPUT_BYTES] = character;
            any = true;
        }
    }
    return any;
}

bool serial_interrupt(void)
{
    // Edge triggered: acknowledge first, so that what comes now interrupts again.
    (void)interrupt_acknowledge(interrupt);
    (void)in8(UART_INTERRUPT_ID);
    bool any = receive();
    (void)send_burst();
    return any;
}

size_t serial_read(char *text, size_t bytes)
{
    size_t count = 0;
    while (count < bytes && input_tail != input_head)
        text[count++] = input[input_tail++ % INPUT_BYTES];
    return count;
}

corvus_error_t serial_attach(port_name_t port, uint64_t bits)
{
    if (!present)
        return ERR_NOT_FOUND;
    corvus_error_t error = host_attach_interrupt(NAME_HOST_PRIVILEGED, COM1_IRQ, HOST_IRQ_ISA, bits,
                                                 make_send(port), &interrupt);
    if (error != ERR_OK)
        return error;
    out8(UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
    out8(UART_INTERRUPT_ENABLE, ENABLE_RECEIVE | ENABLE_TRANSMIT);
    (void)interrupt_acknowledge(interrupt);
    return ERR_OK;
}
