// SPDX-License-Identifier: BSD-2-Clause
// From the machine's being ready to the first user instruction: initialises the
// kernel's parts in order and starts the first task.
#include "counters.h"
#include "cpu.h"
#include "first_task.h"
#include "host.h"
#include "mapping.h"
#include "memory.h"
#include "vector.h"
#include "x86/boot.h"
#include "x86/clock_page.h"
#include "x86/features.h"
#include "x86/panic.h"
#include "x86/paging.h"
#include "x86/print.h"

_Noreturn void kernel_leave(void);

static uint64_t usable_memory(const struct boot_info *boot)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < boot->region_count; i++)
        if (boot->regions[i].type == BOOT_REGION_USABLE)
            bytes += boot->regions[i].length;
    return bytes;
}

// The end of usable memory: sizes what grows with physical addresses.
_Noreturn void kernel_main(const struct boot_info *boot)
{
    uint64_t memory = usable_memory(boot);

    panic_trace_hook = trace_print_last;
    schedule_init();
    memory_init(boot);
    mapping_init(memory);
    host_init(memory);
    vector_init();
    clock_page_init();
    cpu.cr3 = kernel_pml4_physical;
    if (!cpu_features.fsgsbase)
        cpu.hazard |= CPU_HAZARD_NO_FSGSBASE;
    first_task_start(boot);
    kprintf("corvus: kernel ready, %lu KiB for kernel objects\n", memory_total_bytes() / 1024);
    kernel_leave();
}
