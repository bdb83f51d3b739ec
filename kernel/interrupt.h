// SPDX-License-Identifier: BSD-2-Clause
// Interrupt objects: a vector of the processor, fed by a line of an I/O APIC or
// by a device's messages, that ORs bits into a port's events.
#pragma once

#include "port.h"

#define INTERRUPT_NO_LINE UINT32_MAX

struct interrupt {
    struct port port;
    uint32_t line; // global system interrupt, or INTERRUPT_NO_LINE (MSI)
    uint8_t vector;
    bool level;
    uint64_t bits;
    struct port *target; // holds a send right
    struct task *charged;
};

// Takes over the send right to `target`. ERR_NO_MEMORY when out of quota or of
// vectors, ERR_IN_USE when the line is attached, ERR_NOT_FOUND when there is
// no such line.
corvus_error_t interrupt_create(struct task *charged, uint32_t line, bool level, bool low,
                                struct port *target, uint64_t bits, struct interrupt **result);
void interrupt_destroy(struct interrupt *interrupt);
void interrupt_free(struct interrupt *interrupt);

// Called for device vectors, interrupts off.
void interrupt_arrived(unsigned vector);
