// SPDX-License-Identifier: BSD-2-Clause
// Address spaces: four-level page tables in kernel pages charged to the task,
// PCIDs, the TLB, pinned pages. The kernel half is shared by all spaces. An
// empty table is kept until its space dies or a 2 MiB page takes its place.
#include "space.h"

#include "cpu.h"
#include "io_ports.h"
#include "mapping.h"
#include "memory.h"
#include "revoke.h"
#include "x86/features.h"
#include "x86/instructions.h"
#include "x86/panic.h"
#include "x86/tlb.h"

#define KERNEL_FIRST_SLOT 256u

#define TABLE_COST 700 // instructions to make a table, most of them to clear it

#define TABLE_SEARCH_COST 1000 // instructions at most to find an entry of a table

#define PCID_COUNT      4096u
#define FLUSH_PAGES_MAX 32u // beyond, forgetting the whole space is cheaper

static uint64_t pcids_used[PCID_COUNT / 64] = {1}; // 0 is for spaces that found no other

// Pages of one space that the TLB has to forget before the step ends.
static struct {
    struct task *task;
    uint32_t count;
    uint64_t addresses[FLUSH_PAGES_MAX];
} flushes;

// --- TLB --------------------------------------------------------------------

static inline bool space_loaded(const struct task *task)
{
    return ((cpu.cr3 ^ task->space.cr3) & PTE_ADDRESS_MASK) == 0;
}

static inline uint64_t space_pcid(const struct task *task)
{
    return task->space.cr3 & CR3_PCID_MASK;
}

// Loads a space that is not the loaded one and comes back: everything known
// under its PCID is forgotten.
static void flush_by_loading(const struct task *task)
{
    uint64_t loaded = read_cr3();

    write_cr3(task->space.cr3 & ~CR3_NO_FLUSH);
    write_cr3(loaded | CR3_NO_FLUSH);
}

void space_flush_all(struct task *task)
{
    if (space_loaded(task))
        write_cr3(task->space.cr3 & ~CR3_NO_FLUSH);
    else if (space_pcid(task) == 0)
        return; // flushed whenever it is loaded
    else if (cpu_features.invpcid)
        invpcid(INVPCID_CONTEXT, space_pcid(task), 0);
    else
        flush_by_loading(task);
}

static void flush_pages(const struct task *task)
{
    if (space_loaded(task)) {
        for (uint32_t i = 0; i < flushes.count; i++)
            invlpg(flushes.addresses[i]);
    } else if (space_pcid(task) == 0) {
        return;
    } else if (cpu_features.invpcid) {
        for (uint32_t i = 0; i < flushes.count; i++)
            invpcid(INVPCID_ADDRESS, space_pcid(task), flushes.addresses[i]);
    } else {
        flush_by_loading(task);
    }
}

void space_flush_commit(void)
{
    if (flushes.count == 0)
        return;
    if (flushes.count > FLUSH_PAGES_MAX)
        space_flush_all(flushes.task);
    else
        flush_pages(flushes.task);
    flushes.count = 0;
}

void space_flush_page(struct task *task, uint64_t address)
{
    if (task != flushes.task) {
        space_flush_commit();
        flushes.task = task;
    }
    if (flushes.count < FLUSH_PAGES_MAX)
        flushes.addresses[flushes.count] = address;
    if (flushes.count <= FLUSH_PAGES_MAX)
        flushes.count++;
}

// --- Tables -----------------------------------------------------------------

bool space_reach(struct task *task, uint64_t address, unsigned level, struct place *place,
                 int *budget)
{
    *place = space_find(task, address);
    while (place->level > level && !(*place->entry & PTE_LARGE)) {
        uint64_t *table = memory_page_allocate(task);

        if (!table)
            return false;
        *place->entry = virtual_to_physical(table) | SPACE_TABLE_FLAGS;
        place->level--;
        place->entry = &table[space_index(address, place->level)];
        *budget -= TABLE_COST;
    }
    // A 2 MiB page is to go where there is a table for smaller ones.
    if (place->level < level) {
        uint64_t *top = space_table_at(task->space.cr3);
        uint64_t *pointers = space_table_at(top[space_index(address, 3)]);
        uint64_t *directory = space_table_at(pointers[space_index(address, 2)]);

        *place = (struct place){&directory[space_index(address, level)], level};
    }
    return true;
}

bool space_table_empty(uint64_t directory_entry)
{
    const uint64_t *table = space_table_at(directory_entry);

    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        if (table[i])
            return false;
    }
    return true;
}

void space_table_free(struct task *task, uint64_t *directory_entry)
{
    void *table = space_table_at(*directory_entry);

    *directory_entry = 0;
    space_flush_all(task); // the processor may have noted where the table was
    memory_page_free(task, table);
}

// --- Life -------------------------------------------------------------------

// The lowest free PCID, 0 when there is none.
static uint64_t pcid_allocate(void)
{
    if (!cpu_features.pcid)
        return 0;
    for (unsigned i = 0; i < PCID_COUNT / 64; i++) {
        if (~pcids_used[i]) {
            unsigned bit = (unsigned)__builtin_ctzll(~pcids_used[i]);

            pcids_used[i] |= 1ull << bit;
            return i * 64 + bit;
        }
    }
    return 0;
}

static void pcid_free(uint64_t pcid)
{
    if (pcid)
        pcids_used[pcid / 64] &= ~(1ull << pcid % 64);
}

bool space_create(struct task *task)
{
    const uint64_t *kernel = physical_to_virtual(kernel_pml4_physical);
    uint64_t *table = memory_page_allocate(task);
    uint64_t pcid;

    if (!table)
        return false;
    for (unsigned i = KERNEL_FIRST_SLOT; i < TABLE_ENTRIES; i++)
        table[i] = kernel[i];
    pcid = pcid_allocate();
    task->space = (struct space){
        .cr3 = virtual_to_physical(table) | pcid | (pcid ? CR3_NO_FLUSH : 0),
        .pcid_slot = pcid,
    };
    space_flush_all(task); // of what the PCID's last user left
    return true;
}

// The first present entry of the first `entries` of a table.
static uint64_t *first_entry(uint64_t *table, unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        if (table[i])
            return &table[i];
    }
    return NULL;
}

// Takes down the first thing in the user half that has nothing below it: some
// mappings of one page table, a 2 MiB page, or an empty table. The space is
// not loaded, and its PCID is flushed before it is used again. False when the
// user half is empty.
static bool destroy_some(struct task *task, uint64_t *top, int *budget)
{
    uint64_t *above = first_entry(top, KERNEL_FIRST_SLOT);
    uint64_t address, *entry;

    if (!above)
        return false;
    address = (uint64_t)(above - top) * LEVEL_BYTES(3);
    for (unsigned level = 2;; level--) {
        uint64_t *table = space_table_at(*above);

        *budget -= TABLE_SEARCH_COST;
        entry = first_entry(table, TABLE_ENTRIES);
        if (!entry) {
            memory_page_free(task, table);
            *above = 0;
            return true;
        }
        address += (uint64_t)(entry - table) * LEVEL_BYTES(level);
        if (level == LEVEL_SMALL || *entry & PTE_LARGE) {
            revoke_entries(task, address, entry, level, budget);
            return true;
        }
        above = entry;
    }
}

bool space_destroy_step(struct task *task)
{
    uint64_t *top = space_table_at(task->space.cr3);
    int budget = STEP_BUDGET;

    if ((task->space.cr3 & PTE_ADDRESS_MASK) == kernel_pml4_physical)
        return true;
    KASSERT(!space_loaded(task));
    if (!io_ports_destroy(task, &budget))
        return false;
    while (budget > 0) {
        if (destroy_some(task, top, &budget))
            continue;
        memory_page_free(task, top);
        pcid_free(task->space.pcid_slot);
        // Still a space to whoever asks, with nothing in its user half.
        task->space = (struct space){.cr3 = kernel_pml4_physical};
        return true;
    }
    return false;
}

// --- Pinned pages -----------------------------------------------------------

corvus_error_t space_pin(struct task *task, uint64_t address, uint64_t physical, uint32_t access)
{
    corvus_error_t error = mapping_check_range(address, PAGE_BYTES);

    return error ? error : space_pin_kernel(task, address, physical, access);
}

corvus_error_t space_pin_kernel(struct task *task, uint64_t address, uint64_t physical,
                                uint32_t access)
{
    struct place place;
    int budget = 0;

    if (!space_reach(task, address, LEVEL_SMALL, &place, &budget))
        return ERR_NO_MEMORY;
    if (*place.entry)
        return ERR_IN_USE;
    *place.entry = physical | space_entry_flags(access) | PTE_PINNED;
    return ERR_OK;
}

void space_unpin(struct task *task, uint64_t address)
{
    struct place place = space_find(task, address);

    if (!(*place.entry & PTE_PINNED))
        return;
    *place.entry = 0;
    space_flush_page(task, address);
    space_flush_commit();
}

// --- Questions --------------------------------------------------------------

// What an entry must be for an access by the kernel in a task's place.
struct access_check {
    uint64_t bits, value;
};

#define CHECK_ALWAYS (PTE_PRESENT | PTE_ACCESSED | PTE_DEVICE)
#define CHECK_MARKED (PTE_PRESENT | PTE_ACCESSED)
#define CHECK_WRITE  (PTE_WRITE | PTE_DIRTY)

// By ACCESS_*; READ is implied.
static const struct access_check access_checks[ACCESS_ALL + 1] = {
    {CHECK_ALWAYS, CHECK_MARKED},
    {CHECK_ALWAYS, CHECK_MARKED},
    {CHECK_ALWAYS | CHECK_WRITE | PTE_PINNED, CHECK_MARKED | CHECK_WRITE},
    {CHECK_ALWAYS | CHECK_WRITE | PTE_PINNED, CHECK_MARKED | CHECK_WRITE},
    {CHECK_ALWAYS | PTE_NO_EXECUTE, CHECK_MARKED},
    {CHECK_ALWAYS | PTE_NO_EXECUTE, CHECK_MARKED},
    {CHECK_ALWAYS | CHECK_WRITE | PTE_PINNED | PTE_NO_EXECUTE, CHECK_MARKED | CHECK_WRITE},
    {CHECK_ALWAYS | CHECK_WRITE | PTE_PINNED | PTE_NO_EXECUTE, CHECK_MARKED | CHECK_WRITE},
};

// What is no 4 KiB page that is marked used already.
static uint64_t __attribute__((noinline))
translate_marking(struct task *task, uint64_t address, const struct access_check *check)
{
    struct place place = space_find(task, address);
    uint64_t marked = *place.entry | (check->value & PTE_USED_BITS);

    if ((marked & check->bits) != check->value)
        return 0;
    *place.entry = marked;
    return (marked & PTE_ADDRESS_MASK) + (address & (LEVEL_BYTES(place.level) - 1));
}

uint64_t space_translate(struct task *task, uint64_t address, uint32_t access)
{
    const struct access_check *check = &access_checks[access];
    const uint64_t *entry;

    if (__builtin_expect(address >= USER_END, 0))
        return 0;
    entry = space_find_small(task, address);
    if (__builtin_expect(!entry || (*entry & check->bits) != check->value, 0))
        return translate_marking(task, address, check);
    return (*entry & PTE_ADDRESS_MASK) + (address & (PAGE_BYTES - 1));
}

uint64_t space_page_bytes(struct task *task, uint64_t address, uint32_t *access)
{
    struct place place;

    *access = 0;
    if (address >= USER_END)
        return 0;
    place = space_find(task, address);
    if (!(*place.entry & PTE_PRESENT))
        return 0;
    *access = space_entry_access(*place.entry);
    return LEVEL_BYTES(place.level) - (address & (LEVEL_BYTES(place.level) - 1));
}
