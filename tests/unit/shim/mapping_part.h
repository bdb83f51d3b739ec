// SPDX-License-Identifier: BSD-2-Clause
// The kernel's memory part on the fake machine: its sources, tasks to play
// with, user accesses that go through the fake TLB, and a check of everything
// that must hold between two calls.
#pragma once

#include "shim/machine.h"

// NOLINTBEGIN(bugprone-suspicious-include)
#include "kernel/io_ports.c"
#include "kernel/mapping.c"
#include "kernel/memory.c"
#include "kernel/node.c"
#include "kernel/revoke.c"
#include "kernel/space.c"
// NOLINTEND(bugprone-suspicious-include)

static inline void part_init(void)
{
    static struct boot_info boot = {.command = "kmem=40"};

    machine_init();
    mapping_init(ARENA_BYTES);
    memory_init(&boot);
}

static inline struct task *task_make(void)
{
    struct task *task = memory_object_allocate(NULL, sizeof(*task));

    task->quota.limit = 64 << 20;
    if (!space_create(task))
        panic("no memory for a space");
    return task;
}

static inline void task_end(struct task *task)
{
    task->terminated = true;
    if (space_loaded(task))
        write_cr3(kernel_pml4_physical);
    while (!space_destroy_step(task))
        ;
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (tlb[i].task == task)
            tlb[i].task = NULL; // its PCID is flushed when it is used again
    }
    KASSERT(task->quota.used == 0 && task->space.mapped == 0);
    memory_object_free(NULL, task, sizeof(*task));
}

// --- User accesses ----------------------------------------------------------------

static inline struct tlb_entry *tlb_lookup(uint64_t address)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (tlb[i].valid && tlb[i].pcid == (cpu.cr3 & CR3_PCID_MASK) &&
            address - tlb[i].address < tlb[i].bytes)
            return &tlb[i];
    }
    return NULL;
}

// What the processor does for an access of the task's: false is a page fault.
// Bits that the TLB believes set are not set again.
static inline bool user_access(struct task *task, uint64_t address, bool write)
{
    struct tlb_entry *known;
    struct place place;

    if (!space_loaded(task))
        write_cr3(task->space.cr3);
    known = tlb_lookup(address);
    if (known && (!write || known->entry & PTE_DIRTY))
        return true;
    place = space_find(task, address);
    if (!(*place.entry & PTE_PRESENT) || (write && !(*place.entry & PTE_WRITE)))
        return false;
    *place.entry |= PTE_ACCESSED | (write ? PTE_DIRTY : 0);
    if (!known)
        known = &tlb[random() % TLB_ENTRIES];
    *known = (struct tlb_entry){.valid = true,
                                .pcid = cpu.cr3 & CR3_PCID_MASK,
                                .address = address & ~(LEVEL_BYTES(place.level) - 1),
                                .bytes = LEVEL_BYTES(place.level),
                                .entry = *place.entry,
                                .task = task};
    return true;
}

// --- What must hold ---------------------------------------------------------------

// No entry of the TLB that can still be used believes more than the tables.
static inline void check_tlb(void)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        const struct tlb_entry *entry = &tlb[i];
        struct place place;

        if (!entry->valid || !entry->task || (entry->pcid == 0 && !space_loaded(entry->task)))
            continue;
        place = space_find(entry->task, entry->address);
        KASSERT(*place.entry & PTE_PRESENT);
        KASSERT(((*place.entry ^ entry->entry) & PTE_ADDRESS_MASK) == 0);
        KASSERT(!(entry->entry & ~*place.entry & (PTE_WRITE | PTE_USED_BITS)));
        KASSERT(entry->entry & PTE_NO_EXECUTE || !(*place.entry & PTE_NO_EXECUTE));
    }
}

static inline void check_node(struct task *task, uint64_t address, uint64_t *entry, bool large)
{
    struct mapping_node *node = node_find(task, address / PAGE_BYTES);
    struct mapping_node *parent;

    KASSERT(node && node_entry(node) == entry && node->large == large);
    KASSERT(!node->next || node_next(node)->previous == node_name(node));
    KASSERT(!node->previous || node_at(node->previous)->next == node_name(node));
    parent = node_parent(node);
    KASSERT(parent ? node->depth == parent->depth + 1 : node->depth == 0);
    if (!parent)
        return;
    KASSERT(node_at(node->previous)->depth >= parent->depth);
    KASSERT(!(space_entry_access(*entry) & ~space_entry_access(*node_entry(parent))));
    KASSERT((*entry & PTE_ADDRESS_MASK) - (*node_entry(parent) & PTE_ADDRESS_MASK) <
            node_pages(parent) * PAGE_BYTES);
}

struct space_count {
    uint64_t tables, mapped;
    uint64_t slabs; // distinct ones with nodes
    struct slab *slab[256];
    unsigned in_slab[256];
};

static inline void count_node(const struct mapping_node *node, struct space_count *count)
{
    struct slab *slab = memory_slab_of(node);
    uint64_t i = count->slabs;

    while (i-- > 0 && count->slab[i] != slab)
        ;
    if (i == UINT64_MAX) {
        KASSERT(slab->owner == node_task(node) && count->slabs < 256);
        i = count->slabs++;
        count->slab[i] = slab;
        count->in_slab[i] = 0;
    }
    count->in_slab[i]++;
}

static inline void check_table(struct task *task, uint64_t *table, unsigned level, uint64_t address,
                               struct space_count *count)
{
    for (unsigned i = 0; i < (level == 3 ? 256 : TABLE_ENTRIES); i++) {
        uint64_t at = address + i * LEVEL_BYTES(level);
        bool leaf = level == LEVEL_SMALL || table[i] & PTE_LARGE;

        if (!table[i] || table[i] & PTE_PINNED)
            continue;
        if (leaf) {
            check_node(task, at, &table[i], level == LEVEL_LARGE);
            count_node(node_find(task, at / PAGE_BYTES), count);
            count->mapped += LEVEL_BYTES(level) / PAGE_BYTES;
        } else {
            count->tables++;
            check_table(task, space_table_at(table[i]), level - 1, at, count);
        }
    }
}

// Tables, nodes and charges of a task without I/O rights agree.
static inline void check_task(struct task *task)
{
    static struct space_count count;

    count.tables = 1;
    count.mapped = count.slabs = 0;
    check_table(task, space_table_at(task->space.cr3), 3, 0, &count);
    KASSERT(count.mapped == task->space.mapped);
    KASSERT(task->quota.used == (count.tables + count.slabs) * PAGE_BYTES);
    for (uint64_t i = 0; i < count.slabs; i++)
        KASSERT(count.slab[i]->used == count.in_slab[i]);
    KASSERT(task->quota.used <= task->quota.limit);
    KASSERT(flushes.count == 0);
}

// --- Whole calls ------------------------------------------------------------------

static inline corvus_error_t map_all(struct task *from, uint64_t source, struct task *to,
                                     uint64_t destination, uint64_t length, uint32_t access,
                                     bool grant_pages, uint64_t *done)
{
    corvus_error_t error = ERR_OK;

    *done = 0;
    while (!error && *done < length)
        error = mapping_map_step(from, source, to, destination, length, access, grant_pages, done);
    return error;
}

static inline corvus_error_t unmap_all(struct task *task, uint64_t address, uint64_t length,
                                       uint32_t access, bool self, struct unmap_result *result)
{
    corvus_error_t error;
    uint64_t cursor = 0;

    *result = (struct unmap_result){0};
    while (!mapping_unmap_step(task, address, length, access, self, &cursor, result, &error))
        ;
    return error;
}
