// SPDX-License-Identifier: BSD-2-Clause
// Services of the host port (information, counters, trace) and of the
// privileged host port (devices).
#include "service.h"

#include <corvus/services.h>
#include <corvus/trace.h>

#include "counters.h"
#include "cpu.h"
#include "host.h"
#include "interrupt.h"
#include "mapping.h"
#include "memory.h"
#include "x86/apic.h"
#include "x86/clock.h"
#include "x86/uart.h"

#define ARRAY_WORDS_MAX (MESSAGE_WORDS - MESSAGE_REGISTER_WORDS)
#define RECORD_WORDS    (sizeof(struct trace_record) / sizeof(uint64_t))

struct port host_port, host_privileged_port;
uint64_t host_memory_bytes;

void host_init(uint64_t memory_bytes)
{
    port_init(&host_port, PORT_HOST);
    port_init(&host_privileged_port, PORT_HOST_PRIVILEGED);
    host_port.references = 1;
    host_privileged_port.references = 1;
    host_memory_bytes = memory_bytes;
}

static uint64_t *reply_array(const struct service_call *call)
{
    return &call->caller->utcb->words[MESSAGE_REGISTER_WORDS];
}

static corvus_error_t service_host_info(struct service_call *call)
{
    *(struct host_info_out *)call->out = (struct host_info_out){
        .version = CORVUS_ABI_VERSION,
        .memory = host_memory_bytes,
        .kernel_total = memory_total_bytes(),
        .kernel_free = memory_free_bytes(),
        .uptime = clock_now(),
    };
    return ERR_OK;
}

static corvus_error_t service_host_counters(struct service_call *call)
{
    const struct host_counters_in *in = (const void *)call->in;
    unsigned count = 0;

    for (uint64_t i = in->first; i < COUNTER_COUNT && count < ARRAY_WORDS_MAX; i++)
        reply_array(call)[count++] = counters[i];
    call->reply_words = MESSAGE_REGISTER_WORDS + count;
    return ERR_OK;
}

static corvus_error_t service_host_trace_control(struct service_call *call)
{
    const struct host_trace_control_in *in = (const void *)call->in;

    if (in->mask >> TRACE_KIND_COUNT || in->flags & ~(uint64_t)HOST_MEASURE_IRQS_OFF)
        return ERR_INVALID_ARGUMENT;
    trace_control((uint32_t)in->mask, in->flags & HOST_MEASURE_IRQS_OFF);
    return ERR_OK;
}

static corvus_error_t service_host_trace_read(struct service_call *call)
{
    const struct host_trace_read_in *in = (const void *)call->in;
    struct host_trace_read_out *out = (void *)call->out;

    out->first = in->sequence;
    out->count = trace_read(&out->first, (struct trace_record *)reply_array(call),
                            ARRAY_WORDS_MAX / RECORD_WORDS);
    call->reply_words = MESSAGE_REGISTER_WORDS + (unsigned)(out->count * RECORD_WORDS);
    return ERR_OK;
}

static corvus_error_t service_host_trace_mark(struct service_call *call)
{
    const struct host_trace_mark_in *in = (const void *)call->in;

    trace(TRACE_MARK, in->a, in->b);
    return ERR_OK;
}

static const struct service host_services[] = {HOST_SERVICES(SERVICE_ENTRY)};
const struct service_table host_service_table =
    SERVICE_TABLE(host_services, SERVICE_host_info >> 8);

// --- Devices ----------------------------------------------------------------

static corvus_error_t attach(struct service_call *call, uint32_t line, bool level, bool low,
                             uint64_t bits, struct interrupt **interrupt)
{
    struct port *target = call->rights[0].port;
    corvus_error_t error;

    if (call->rights[0].kind != RIGHT_SEND || target->kind != PORT_PLAIN)
        return ERR_INVALID_RIGHT;
    if (!bits)
        return ERR_INVALID_ARGUMENT;
    error = interrupt_create(call->caller->task, line, level, low, target, bits, interrupt);
    if (error)
        return error;
    call->rights[0].kind = RIGHT_NONE;
    call->out_right = (struct carried_right){.kind = RIGHT_SEND, .port = &(*interrupt)->port};
    return ERR_OK;
}

static corvus_error_t service_host_attach_interrupt(struct service_call *call)
{
    const struct host_attach_interrupt_in *in = (const void *)call->in;
    bool level = in->flags & HOST_IRQ_LEVEL;
    bool low = in->flags & HOST_IRQ_LOW;
    uint64_t line = in->line;
    struct interrupt *interrupt;

    if (in->flags & ~(uint64_t)(HOST_IRQ_LEVEL | HOST_IRQ_LOW | HOST_IRQ_ISA))
        return ERR_INVALID_ARGUMENT;
    if (in->flags & HOST_IRQ_ISA) {
        if (line > 15)
            return ERR_INVALID_ARGUMENT;
        line = gsi_of_isa_irq((uint8_t)line, &level, &low);
    }
    if (line >= INTERRUPT_NO_LINE)
        return ERR_NOT_FOUND;
    return attach(call, (uint32_t)line, level, low, in->bits, &interrupt);
}

static corvus_error_t service_host_allocate_msi(struct service_call *call)
{
    const struct host_allocate_msi_in *in = (const void *)call->in;
    struct host_allocate_msi_out *out = (void *)call->out;
    struct interrupt *interrupt;
    uint32_t data;
    corvus_error_t error = attach(call, INTERRUPT_NO_LINE, false, false, in->bits, &interrupt);

    if (error)
        return error;
    msi_compose(interrupt->vector, &out->address, &data);
    out->data = data;
    return ERR_OK;
}

static corvus_error_t service_host_console_write(struct service_call *call)
{
    const struct host_console_write_in *in = (const void *)call->in;
    const char *bytes = (const char *)&in->b0;

    if (in->count == 0 || in->count > 40)
        return ERR_INVALID_ARGUMENT;
    for (uint64_t i = 0; i < in->count; i++)
        uart_put(bytes[i]);
    return ERR_OK;
}

static const struct service privileged_services[] = {HOST_PRIVILEGED_SERVICES(SERVICE_ENTRY)};
const struct service_table host_privileged_service_table =
    SERVICE_TABLE(privileged_services, SERVICE_host_map_device >> 8);
