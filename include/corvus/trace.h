// SPDX-License-Identifier: BSD-2-Clause
// The kernel's counters and its trace ring: what host_counters and
// host_trace_read return. Both are monotonic since boot.
#pragma once

#include <stdint.h>

// CORVUS_COUNTERS(C): C(name, "text"). Order is part of the ABI; append only.
#define CORVUS_COUNTERS(C)                                                                         \
    C(MESSAGES_SLOW, "messages delivered outside the fast path")                                   \
    C(SERVICES, "kernel services called")                                                          \
    C(SERVICE_ERRORS, "kernel services refused")                                                   \
    C(PAGE_FAULTS, "page faults turned into messages")                                             \
    C(EXCEPTIONS, "exceptions turned into messages")                                               \
    C(INTERRUPTS, "device interrupts")                                                             \
    C(INTERRUPTS_SPURIOUS, "interrupts that no one had asked for")                                 \
    C(TIMER_INTERRUPTS, "timer interrupts")                                                        \
    C(SWITCHES, "thread switches by the scheduler")                                                \
    C(PREEMPTIONS, "threads preempted")                                                            \
    C(NOTIFICATIONS, "event notifications")                                                        \
    C(NOTICES_LOST, "kernel notices that found no memory or no taker")                             \
    C(COPY_RETRIES, "message copies restarted after a missing page")                               \
    C(VCPU_EXITS, "guest exits of all vCPUs")                                                      \
    C(VCPU_UPCALLS, "event entries into vCPU servers")                                             \
    C(VECTOR_SWITCHES, "vector unit handed to another thread")                                     \
    C(CR3_WRITES, "address-space register writes outside the fast path")                           \
    C(IRQS_OFF_MAX, "longest stretch with interrupts off, TSC ticks (set with measurement on)")    \
    C(STATE_REFUSED, "hostile register states refused")

#define CORVUS_COUNTER_ENUM(name, text) COUNTER_##name,
enum corvus_counter { CORVUS_COUNTERS(CORVUS_COUNTER_ENUM) COUNTER_COUNT };
#undef CORVUS_COUNTER_ENUM

// What a trace record tells; the meaning of a and b per kind.
#define CORVUS_TRACE_KINDS(K)                                                                      \
    K(SEND, 1, "message send: a = tag | id << 32, b = destination name")                           \
    K(DELIVER, 2, "message delivered: a = receiver's thread id, b = label")                        \
    K(SWITCH, 3, "thread switch: a = from, b = to (thread ids)")                                   \
    K(FAULT, 4, "page fault: a = address, b = ip")                                                 \
    K(EXCEPTION, 5, "exception: a = vector, b = ip")                                               \
    K(INTERRUPT, 6, "interrupt: a = vector, b = event bits")                                       \
    K(SERVICE, 7, "kernel service: a = id, b = result")                                            \
    K(VCPU_RUN, 8, "guest entered: a = guest task id, b = ip")                                     \
    K(VCPU_EXIT, 9, "guest left: a = reason, b = ip")                                              \
    K(MARK, 10, "mark set by host_trace_mark: a, b as given")                                      \
    K(SERVICE_ERROR, 11, "kernel service refused: a = id, b = error")

#define CORVUS_TRACE_ENUM(name, number, text) TRACE_##name = (number),
enum corvus_trace_kind { CORVUS_TRACE_KINDS(CORVUS_TRACE_ENUM) TRACE_KIND_COUNT };
#undef CORVUS_TRACE_ENUM

// One record: 32 bytes.
struct trace_record {
    uint64_t tsc;
    uint32_t thread; // id of the thread that was running, 0 for none
    uint32_t kind;   // enum corvus_trace_kind
    uint64_t a;
    uint64_t b;
};
