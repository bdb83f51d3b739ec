// SPDX-License-Identifier: BSD-2-Clause
// Page tables and TLB as space.c gives them to the mapping tree. Nothing here
// knows of mapping nodes; the rest of the kernel uses mapping.h.
#pragma once

#include "task.h"
#include "x86/paging.h"

// Bits that the processor ignores.
#define PTE_PINNED 0x200ull // the kernel's own page, without a node
#define PTE_DEVICE 0x400ull // not memory: the kernel must not touch it

#define PTE_USED_BITS ((uint64_t)(PTE_ACCESSED | PTE_DIRTY))

// What a mapping has from the one it is derived from, beside the frame.
#define PTE_INHERITED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_DEVICE)

// An entry that leads to a table has just these flags. The pages decide about
// access; what a walk sets is set, so that the processor need not write it.
#define SPACE_TABLE_FLAGS ((uint64_t)(PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED))

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
// Unrolled, and without the flags of an entry the address is left of it, since
// every map, unmap and copy comes through here.
static inline struct place space_find(const struct task *task, uint64_t address)
{
    uint64_t table = task->space.cr3 & PTE_ADDRESS_MASK;
    uint64_t *entry;

#pragma GCC unroll 3
    for (unsigned level = 3; level > LEVEL_SMALL; level--) {
        entry = (uint64_t *)physical_to_virtual(table) + space_index(address, level);
        table = *entry ^ SPACE_TABLE_FLAGS;
        if (__builtin_expect((table & (PAGE_BYTES - 1)) != 0, 0))
            return (struct place){entry, level};
    }
    entry = (uint64_t *)physical_to_virtual(table) + space_index(address, LEVEL_SMALL);
    return (struct place){entry, LEVEL_SMALL};
}

// Likewise the entry of a 4 KiB page; NULL when there is no table for it.
static inline uint64_t *space_find_small(const struct task *task, uint64_t address)
{
    struct place place = space_find(task, address);

    return place.level == LEVEL_SMALL ? place.entry : NULL;
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

// Whether an entry is present with all the access of these flags.
static inline bool space_entry_allows(uint64_t entry, uint64_t flags)
{
    return !((flags ^ PTE_NO_EXECUTE) & ~(entry ^ PTE_NO_EXECUTE));
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
// Pages are gathered; every public step ends with space_flush_commit(). A page
// whose entry was not marked accessed is not in the TLB.
void space_flush_page(struct task *task, uint64_t address);
void space_flush_all(struct task *task);
void space_flush_commit(void);
