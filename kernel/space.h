// SPDX-License-Identifier: BSD-2-Clause
// Page tables and TLB as space.c gives them to the mapping tree. Nothing here
// knows of mapping nodes; the rest of the kernel uses mapping.h.
#pragma once

#include "task.h"
#include "x86/paging.h"

#define PTE_PINNED     0x200ull // ignored by the processor: the kernel's own page, without a node
#define PTE_CACHE_BITS ((uint64_t)(PTE_WRITE_THROUGH | PTE_CACHE_DISABLE))
#define PTE_USED_BITS  ((uint64_t)(PTE_ACCESSED | PTE_DIRTY))

// An entry that leads to a table. The pages decide about access; what a walk
// sets is set, so that the processor need not write it.
#define SPACE_TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

// A step of any long operation ends when about so many instructions are done.
#define STEP_BUDGET 10000

#define TABLE_ENTRIES 512u
#define LEVEL_SMALL   0u // entries of page tables
#define LEVEL_LARGE   1u // entries of page directories

// Bytes that one entry of a level covers.
#define LEVEL_BYTES(level) (PAGE_BYTES << 9 * (level))

// Where a walk ended.
struct place {
    uint64_t *entry;
    unsigned level; // 0: page table ... 3: top table
};

static inline uint64_t *space_table_at(uint64_t entry)
{
    return physical_to_virtual(entry & PTE_ADDRESS_MASK);
}

static inline unsigned space_index(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (12 + 9 * level)) & (TABLE_ENTRIES - 1);
}

// The entry that maps the address, or the first one on the way that is absent.
// Unrolled, since every map, unmap and copy comes through here.
static inline struct place space_find(const struct task *task, uint64_t address)
{
    uint64_t *table = space_table_at(task->space.cr3);
    uint64_t *entry;

#pragma GCC unroll 3
    for (unsigned level = 3; level > LEVEL_SMALL; level--) {
        entry = &table[space_index(address, level)];
        if (__builtin_expect((*entry & (PTE_PRESENT | PTE_LARGE)) != PTE_PRESENT, 0))
            return (struct place){entry, level};
        table = space_table_at(*entry);
    }
    return (struct place){&table[space_index(address, LEVEL_SMALL)], LEVEL_SMALL};
}

// ACCESS_* as bits of an entry, and back. Present means readable.
static inline uint64_t space_entry_flags(uint32_t access)
{
    return PTE_PRESENT | PTE_USER | (access & ACCESS_WRITE ? PTE_WRITE : 0) |
           (access & ACCESS_EXECUTE ? 0 : PTE_NO_EXECUTE);
}

static inline uint32_t space_entry_access(uint64_t entry)
{
    return ACCESS_READ | (entry & PTE_WRITE ? ACCESS_WRITE : 0) |
           (entry & PTE_NO_EXECUTE ? 0 : ACCESS_EXECUTE);
}

// The entry of the level wanted (small or large), with the tables above it
// made as needed. A large page in the way ends the walk at its level. False:
// out of quota; tables made so far stay until the space dies.
bool space_reach(struct task *task, uint64_t address, unsigned level, struct place *place,
                 int *budget);

// True when no entry of the table behind a directory entry is present.
bool space_table_empty(uint64_t directory_entry);

// Frees the empty table behind a directory entry, and clears that.
void space_table_free(struct task *task, uint64_t *directory_entry);

// What the TLB may know of a page, or of the whole space, is wrong now.
// Pages are gathered; every public step ends with space_flush_commit().
void space_flush_page(struct task *task, uint64_t address);
void space_flush_all(struct task *task);
void space_flush_commit(void);
