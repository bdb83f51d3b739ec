// SPDX-License-Identifier: BSD-2-Clause
// Interrupt objects and their services. A level-triggered line stays masked
// from its arrival until its owner's acknowledgement.
#include "interrupt.h"

#include <corvus/services.h>

#include "counters.h"
#include "memory.h"
#include "service.h"
#include "x86/apic.h"

static struct interrupt *attached[VECTOR_DEVICE_LAST + 1];

static unsigned free_vector(void)
{
    for (unsigned vector = VECTOR_DEVICE_FIRST; vector <= VECTOR_DEVICE_LAST; vector++)
        if (!attached[vector])
            return vector;
    return 0;
}

static bool line_in_use(uint32_t line)
{
    for (unsigned vector = VECTOR_DEVICE_FIRST; vector <= VECTOR_DEVICE_LAST; vector++)
        if (attached[vector] && attached[vector]->line == line)
            return true;
    return false;
}

corvus_error_t interrupt_create(struct task *charged, uint32_t line, bool level, bool low,
                                struct port *target, uint64_t bits, struct interrupt **result)
{
    unsigned vector = free_vector();
    struct interrupt *interrupt;

    if (!vector)
        return ERR_NO_MEMORY;
    if (line != INTERRUPT_NO_LINE && line_in_use(line))
        return ERR_IN_USE;
    if (line != INTERRUPT_NO_LINE && line >= ioapic_gsi_limit())
        return ERR_NOT_FOUND;
    interrupt = memory_object_allocate(charged, sizeof(*interrupt));
    if (!interrupt)
        return ERR_NO_MEMORY;
    if (line != INTERRUPT_NO_LINE && !ioapic_route(line, (uint8_t)vector, level, low)) {
        memory_object_free(charged, interrupt, sizeof(*interrupt));
        return ERR_NOT_FOUND;
    }
    port_init(&interrupt->port, PORT_INTERRUPT);
    port_add_send(&interrupt->port);
    interrupt->line = line;
    interrupt->vector = (uint8_t)vector;
    interrupt->level = level;
    interrupt->bits = bits;
    interrupt->target = target;
    interrupt->charged = charged;
    task_reference(charged);
    attached[vector] = interrupt;
    if (line != INTERRUPT_NO_LINE)
        ioapic_unmask(line);
    *result = interrupt;
    return ERR_OK;
}

void interrupt_destroy(struct interrupt *interrupt)
{
    if (interrupt->line != INTERRUPT_NO_LINE)
        ioapic_mask(interrupt->line);
    attached[interrupt->vector] = NULL;
    port_kill(&interrupt->port);
}

void interrupt_free(struct interrupt *interrupt)
{
    struct task *charged = interrupt->charged;

    port_drop_send(interrupt->target);
    memory_object_free(charged, interrupt, sizeof(*interrupt));
    task_release(charged);
}

void interrupt_arrived(unsigned vector)
{
    struct interrupt *interrupt = attached[vector];

    if (!interrupt) {
        counter_add(COUNTER_INTERRUPTS_SPURIOUS, 1);
        apic_eoi();
        return;
    }
    counter_add(COUNTER_INTERRUPTS, 1);
    trace(TRACE_INTERRUPT, vector, interrupt->bits);
    if (interrupt->level)
        ioapic_mask(interrupt->line);
    apic_eoi();
    port_notify(interrupt->target, interrupt->bits);
}

static corvus_error_t service_interrupt_acknowledge(struct service_call *call)
{
    const struct interrupt *interrupt = container_of(call->target, struct interrupt, port);

    if (interrupt->level)
        ioapic_unmask(interrupt->line);
    return ERR_OK;
}

static corvus_error_t service_interrupt_trigger(struct service_call *call)
{
    const struct interrupt *interrupt = container_of(call->target, struct interrupt, port);

    port_notify(interrupt->target, interrupt->bits);
    return ERR_OK;
}

static const struct service services[] = {INTERRUPT_SERVICES(SERVICE_ENTRY)};
const struct service_table interrupt_service_table =
    SERVICE_TABLE(services, SERVICE_interrupt_acknowledge >> 8);
