// SPDX-License-Identifier: BSD-2-Clause
// A machine for host tests of the kernel's memory part: an array for physical
// memory, a CR3, a TLB that remembers until told to forget, and the two or
// three functions of other parts. Include it before the kernel's sources: it
// includes the machine's headers under other names and puts its own in place.
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/x86/features.h"

#define physical_to_virtual machine_physical_to_virtual
#define virtual_to_physical machine_virtual_to_physical
#define write_cr3           machine_write_cr3
#define read_cr3            machine_read_cr3
#define rdtsc               machine_rdtsc
#define invlpg              machine_invlpg
#define invpcid             machine_invpcid
#include "kernel/x86/instructions.h"
#include "kernel/x86/panic.h"
#include "kernel/x86/paging.h"
#include "kernel/x86/tlb.h"
#undef physical_to_virtual
#undef virtual_to_physical
#undef write_cr3
#undef read_cr3
#undef rdtsc
#undef invlpg
#undef invpcid

#include "kernel/cpu.h"
#define ARENA_BYTES (96ull << 20)
#define ARENA_FIRST (1ull << 20) // below nothing is given out

static char *arena;
static uint64_t arena_end = ARENA_BYTES; // paging_reserve takes from here downwards

static inline void *physical_to_virtual(uint64_t physical)
{
    if (physical >= ARENA_BYTES) {
        fprintf(stderr, "no memory at %llx\n", (unsigned long long)physical);
        abort();
    }
    return arena + physical;
}

static inline uint64_t virtual_to_physical(const void *address)
{
    return (uint64_t)((const char *)address - arena);
}

#include "kernel/space.h"

// Steps of any length, so that tests see restarts.
#undef STEP_BUDGET
static int step_budget __attribute__((unused)) = 10000;
#define STEP_BUDGET step_budget

struct cpu cpu;
struct cpu_features cpu_features;
uint64_t kernel_pml4_physical;
const uint64_t tss_page_physical = 0x1000;
const uint64_t tss_denied_page_physical = 0x2000;

void panic(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

uint64_t paging_reserve(uint64_t bytes, uint64_t alignment)
{
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (bytes > arena_end - ARENA_FIRST)
        return 0;
    arena_end = (arena_end - bytes) & ~(alignment - 1);
    return arena_end;
}

bool boot_free_regions(uint32_t *cursor, struct free_region *region)
{
    if ((*cursor)++)
        return false;
    *region = (struct free_region){ARENA_FIRST, arena_end - ARENA_FIRST};
    return true;
}

bool task_charge(struct task *task, uint64_t bytes)
{
    if (task->terminated || bytes > task->quota.limit - task->quota.used)
        return false;
    task->quota.used += bytes;
    return true;
}

void task_uncharge(struct task *task, uint64_t bytes)
{
    KASSERT(bytes <= task->quota.used);
    task->quota.used -= bytes;
}

// --- TLB ----------------------------------------------------------------------

#define TLB_ENTRIES 64

// What the processor believes; `entry` as it was when it was read.
static struct tlb_entry {
    bool valid;
    uint64_t pcid, address, bytes, entry;
    struct task *task;
} tlb[TLB_ENTRIES];

static inline uint64_t rdtsc(void)
{
    return 0x1234567;
}

static inline uint64_t read_cr3(void)
{
    return cpu.cr3 & ~CR3_NO_FLUSH;
}

static inline void tlb_forget(uint64_t pcid, bool all, uint64_t address)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (tlb[i].pcid == pcid && (all || address - tlb[i].address < tlb[i].bytes))
            tlb[i].valid = false;
    }
}

static inline void write_cr3(uint64_t value)
{
    if (!(value & CR3_NO_FLUSH))
        tlb_forget(value & CR3_PCID_MASK, true, 0);
    cpu.cr3 = value;
}

static inline void invlpg(uint64_t address)
{
    tlb_forget(cpu.cr3 & CR3_PCID_MASK, false, address);
}

static inline void invpcid(uint64_t type, uint64_t pcid, uint64_t address)
{
    tlb_forget(pcid, type == INVPCID_CONTEXT, address);
}

static inline void machine_init(void)
{
    arena = aligned_alloc(LARGE_PAGE_BYTES, ARENA_BYTES);
    memset(arena, 0xa5, ARENA_BYTES);
    kernel_pml4_physical = 0x3000;
    memset(arena + kernel_pml4_physical, 0, PAGE_BYTES);
    cpu.cr3 = kernel_pml4_physical;
}
