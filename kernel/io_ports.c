// SPDX-License-Identifier: BSD-2-Clause
// I/O ports take part in the mapping tree in units of 8, one byte of the I/O
// permission bitmap each (a clear bit permits). A space with I/O rights has
// its own tables under the slot of the TSS window: the TSS page itself, two
// bitmap pages of its own, and the page of ones that must follow.
#include "io_ports.h"

#include "mapping.h"
#include "memory.h"
#include "revoke.h"
#include "x86/descriptor.h"

#define PORT_COUNT   65536u
#define UNIT_PORTS   8u
#define BITMAP_PAGES 2u
#define BITMAP_WORDS (PAGE_BYTES / sizeof(uint64_t)) // of a page

#define UNIT_DENIED 0xffu
#define UNIT_COST   420 // instructions, roughly

#define WINDOW_TABLE_FLAGS  (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define WINDOW_BITMAP_FLAGS (PTE_PRESENT | PTE_ACCESSED | PTE_NO_EXECUTE)
#define WINDOW_TSS_FLAGS    (WINDOW_BITMAP_FLAGS | PTE_WRITE | PTE_DIRTY)

// The first task holds all ports without a node for each: a node is made when
// a unit is first given away.
static struct task *root_holder;

// space.io_bitmap is the page table of the window: entry 0 is the TSS page,
// 1 and 2 the bitmap.
static uint8_t *bitmap_byte(const struct task *task, uint64_t unit)
{
    const uint64_t *table = physical_to_virtual(task->space.io_bitmap);
    uint8_t *page = physical_to_virtual(table[1 + unit / PAGE_BYTES] & PTE_ADDRESS_MASK);

    return &page[unit % PAGE_BYTES];
}

// The whole bitmap, page by page.
static uint64_t *bitmap_page(const struct task *task, unsigned page)
{
    const uint64_t *table = physical_to_virtual(task->space.io_bitmap);

    return space_table_at(table[1 + page]);
}

static void bitmap_fill(const struct task *task, uint64_t value)
{
    for (unsigned page = 0; page < BITMAP_PAGES; page++) {
        uint64_t *words = bitmap_page(task, page);

        for (unsigned i = 0; i < BITMAP_WORDS; i++)
            words[i] = value;
    }
}

static bool unit_held(const struct task *task, uint64_t unit)
{
    return task->space.io_bitmap && *bitmap_byte(task, unit) != UNIT_DENIED;
}

// --- The window ---------------------------------------------------------------

enum { WINDOW_DIRECTORY_POINTERS, WINDOW_DIRECTORY, WINDOW_TABLE, WINDOW_BITMAP };
#define WINDOW_PAGES (WINDOW_BITMAP + BITMAP_PAGES)

static bool window_allocate(struct task *task, uint64_t *pages[WINDOW_PAGES])
{
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        pages[i] = memory_page_allocate(task);
        if (pages[i])
            continue;
        while (i-- > 0)
            memory_page_free(task, pages[i]);
        return false;
    }
    return true;
}

// Gives the space a window of its own with all ports denied, if it has none.
static bool window_create(struct task *task)
{
    uint64_t *pages[WINDOW_PAGES];
    uint64_t *top = space_table_at(task->space.cr3);
    uint64_t *table;

    if (task->space.io_bitmap)
        return true;
    if (!window_allocate(task, pages))
        return false;
    table = pages[WINDOW_TABLE];
    table[0] = tss_page_physical | WINDOW_TSS_FLAGS;
    for (unsigned i = 0; i < BITMAP_PAGES; i++)
        table[1 + i] = virtual_to_physical(pages[WINDOW_BITMAP + i]) | WINDOW_BITMAP_FLAGS;
    table[1 + BITMAP_PAGES] = tss_denied_page_physical | WINDOW_BITMAP_FLAGS;
    pages[WINDOW_DIRECTORY][0] = virtual_to_physical(table) | WINDOW_TABLE_FLAGS;
    pages[WINDOW_DIRECTORY_POINTERS][0] =
        virtual_to_physical(pages[WINDOW_DIRECTORY]) | WINDOW_TABLE_FLAGS;
    task->space.io_bitmap = virtual_to_physical(table);
    bitmap_fill(task, ~0ull);
    top[TSS_WINDOW_SLOT] =
        virtual_to_physical(pages[WINDOW_DIRECTORY_POINTERS]) | WINDOW_TABLE_FLAGS;
    space_flush_all(task);
    return true;
}

// The space is not loaded and never will be.
static void window_free(struct task *task)
{
    uint64_t *top = space_table_at(task->space.cr3);
    uint64_t *pointers = space_table_at(top[TSS_WINDOW_SLOT]);
    uint64_t *directory = space_table_at(pointers[0]);
    uint64_t *table = space_table_at(directory[0]);

    for (unsigned i = 0; i < BITMAP_PAGES; i++)
        memory_page_free(task, bitmap_page(task, i));
    memory_page_free(task, table);
    memory_page_free(task, directory);
    memory_page_free(task, pointers);
    top[TSS_WINDOW_SLOT] = 0;
    task->space.io_bitmap = 0;
}

// --- Map ------------------------------------------------------------------------

corvus_error_t mapping_io_root(struct task *task)
{
    if (root_holder || task->space.io_bitmap)
        return ERR_IN_USE;
    if (!window_create(task))
        return ERR_NO_MEMORY;
    bitmap_fill(task, 0);
    root_holder = task;
    return ERR_OK;
}

corvus_error_t mapping_io_check_range(uint64_t first, uint64_t count)
{
    if ((first | count) % UNIT_PORTS || count == 0 || count > PORT_COUNT ||
        first > PORT_COUNT - count)
        return ERR_INVALID_RANGE;
    return ERR_OK;
}

// The node of a unit that the task holds; NULL when one has to be made and the
// task is out of quota.
static struct mapping_node *unit_node(struct task *task, uint64_t unit)
{
    struct mapping_node *node = node_find(task, IO_PAGE_FIRST + unit);

    if (node)
        return node;
    node = node_allocate(task);
    if (!node)
        return NULL;
    node_add_root(node, task, IO_PAGE_FIRST + unit, false, bitmap_byte(task, unit));
    return node;
}

// Removes what is derived from a unit, and with `self` the task's own right.
static bool unit_remove(struct task *task, uint64_t unit, bool self, int *budget)
{
    struct mapping_node *node = node_find(task, IO_PAGE_FIRST + unit);

    if (node && !revoke_derived(node, budget))
        return false;
    if (node && self)
        revoke_leaf(node);
    else if (self)
        *bitmap_byte(task, unit) = UNIT_DENIED;
    return true;
}

// The two tasks are not the same.
static corvus_error_t unit_grant(struct mapping_node *node, struct task *to, uint64_t unit,
                                 int *budget)
{
    struct mapping_node *home;

    if (!node_replaceable(node))
        return ERR_IN_USE;
    home = node_allocate(to);
    if (!home)
        return ERR_NO_MEMORY;
    *node_io_entry(node) = UNIT_DENIED;
    node_displace(node);
    *budget -= node_replace(node, home);
    node_place(home, to, IO_PAGE_FIRST + unit, bitmap_byte(to, unit));
    *node_io_entry(home) = 0;
    return ERR_OK;
}

static corvus_error_t unit_derive(struct mapping_node *parent, struct task *to, uint64_t unit)
{
    struct mapping_node *node;

    if (parent->depth == NODE_DEPTH_MAX)
        return ERR_NO_MEMORY;
    node = node_allocate(to);
    if (!node)
        return ERR_NO_MEMORY;
    node_add(node, parent, to, IO_PAGE_FIRST + unit, false, bitmap_byte(to, unit));
    *node_io_entry(node) = 0;
    return ERR_OK;
}

// One unit; *done stays false when the budget ended it.
static corvus_error_t unit_transfer(struct task *from, struct task *to, uint64_t unit, bool grant,
                                    int *budget, bool *done)
{
    struct mapping_node *source;

    if (!unit_held(from, unit))
        return ERR_NOT_MAPPED;
    *done = true;
    if (from == to)
        return ERR_OK;
    source = unit_node(from, unit);
    if (!source || !window_create(to))
        return ERR_NO_MEMORY;
    if (unit_held(to, unit)) {
        struct mapping_node *old = node_find(to, IO_PAGE_FIRST + unit);

        // Without a node it is the first task's own.
        if (!old || node_is_ancestor(old, source))
            return ERR_IN_USE;
        if (!grant && node_parent(old) == source)
            return ERR_OK;
        *done = unit_remove(to, unit, true, budget);
        if (!*done)
            return ERR_OK;
    }
    return grant ? unit_grant(source, to, unit, budget) : unit_derive(source, to, unit);
}

corvus_error_t mapping_io_map_step(struct task *from, struct task *to, uint64_t first,
                                   uint64_t count, bool grant, uint64_t *done)
{
    int budget = STEP_BUDGET;
    corvus_error_t error = ERR_OK;

    if (to->terminated)
        return ERR_TERMINATED;
    while (!error && *done < count && budget > 0) {
        bool unit_done = false;

        budget -= UNIT_COST;
        error = unit_transfer(from, to, (first + *done) / UNIT_PORTS, grant, &budget, &unit_done);
        if (!error && unit_done)
            *done += UNIT_PORTS;
    }
    return error;
}

// --- Unmap ------------------------------------------------------------------------

bool mapping_io_unmap_step(struct task *task, uint64_t first, uint64_t count, bool self,
                           uint64_t *cursor, uint64_t *units)
{
    int budget = STEP_BUDGET;

    if (!task->space.io_bitmap)
        *cursor = count;
    while (*cursor < count && budget > 0) {
        uint64_t unit = (first + *cursor) / UNIT_PORTS;

        budget -= UNIT_COST / 8;
        if (unit_held(task, unit)) {
            budget -= UNIT_COST;
            if (!unit_remove(task, unit, self, &budget))
                return false;
            ++*units;
        }
        *cursor += UNIT_PORTS;
    }
    return *cursor >= count;
}

// Removes the units of one word of the bitmap.
static bool destroy_word(struct task *task, uint64_t first, int *budget)
{
    for (uint64_t unit = first; unit < first + sizeof(uint64_t); unit++) {
        if (!unit_held(task, unit))
            continue;
        *budget -= UNIT_COST;
        if (*budget <= 0 || !unit_remove(task, unit, true, budget))
            return false;
    }
    return true;
}

bool io_ports_destroy(struct task *task, int *budget)
{
    if (!task->space.io_bitmap)
        return true;
    for (unsigned page = 0; page < BITMAP_PAGES; page++) {
        const uint64_t *words = bitmap_page(task, page);

        for (unsigned i = 0; i < BITMAP_WORDS; i++) {
            uint64_t first = page * PAGE_BYTES + i * sizeof(uint64_t);

            if (words[i] != ~0ull && !destroy_word(task, first, budget))
                return false;
        }
    }
    if (root_holder == task)
        root_holder = NULL;
    window_free(task);
    return true;
}
