// SPDX-License-Identifier: BSD-2-Clause
// Flags and states that kernel services use.
#pragma once

#define CORVUS_ABI_VERSION 1u

// Flags of task_create.
#define TASK_GUEST          1u // runs only under vcpu_run
#define TASK_PRIORITY_LIMIT 2u // no thread of it, or of a task made from it, has more than ...
#define TASK_PRIORITY_SHIFT 8  // ... what begins here, 0..255
#define TASK_PRIORITY_MAX(priority)                                                                \
    (TASK_PRIORITY_LIMIT | (uint64_t)(priority) << TASK_PRIORITY_SHIFT)

// memory_map and memory_unmap: or-ed to ACCESS_*.
#define MEMORY_GRANT 0x10u
#define MEMORY_IO    0x20u
#define MEMORY_SELF  0x40u

// thread_info's state.
#define THREAD_READY      0u // running or able to run
#define THREAD_SENDING    1u // waits for a receiver
#define THREAD_RECEIVING  2u // waits for a message
#define THREAD_CALLING    3u // waits for the answer to an RPC
#define THREAD_FAULTING   4u // waits for its pager or exception handler
#define THREAD_IDLING     5u // vcpu_run without a guest: waits for an event
#define THREAD_TERMINATED 6u

#define HOST_MEASURE_IRQS_OFF 1u

#define HOST_CACHE_OFF             0u
#define HOST_CACHE_WRITE_COMBINING 1u
#define HOST_CACHE_ON              2u

#define HOST_IRQ_LEVEL 1u
#define HOST_IRQ_LOW   2u
#define HOST_IRQ_ISA   4u
