// SPDX-License-Identifier: BSD-2-Clause
// Giving memory: root mappings, map and grant. A page that is mapped on is
// derived from the source's page; a page that is granted keeps its place in
// the tree and what was derived from it, and changes only its holder. Ranges
// are treated page by page in ascending order, also where they overlap.
#include "mapping.h"

#include <corvus/host.h>

#include "memory.h"
#include "revoke.h"

// Rough costs in instructions, for the budget.
#define PAGE_COST        400
#define TABLE_CLEAR_COST 1600
#define SPLIT_COST       40000

// A call of mapping_map_step.
struct transfer {
    struct task *from, *to;
    uint32_t access;
    bool grant;
    uint32_t token; // of a suspended walk, see node.h
    int budget;
};

// One page of it: 2 MiB if source, destination and length allow, else 4 KiB.
struct page_pair {
    struct place source, destination;
    uint64_t source_address, destination_address;
    uint64_t frame;            // physical address
    struct mapping_node *node; // the source's
    bool large;
};

corvus_error_t mapping_check_range(uint64_t address, uint64_t length)
{
    if ((address | length) % PAGE_BYTES || length == 0)
        return ERR_INVALID_RANGE;
    if (address >= USER_MAP_END || length > USER_MAP_END - address)
        return ERR_INVALID_RANGE;
    return ERR_OK;
}

void mapping_init(uint64_t memory_bytes)
{
    node_table_init(memory_bytes);
}

static inline uint64_t pages_of(bool large)
{
    return large ? LARGE_PAGE_BYTES / PAGE_BYTES : 1;
}

// --- Splitting a large page --------------------------------------------------

corvus_error_t mapping_split(struct mapping_node *node, int *budget)
{
    struct task *task = node_task(node);
    uint64_t *directory_entry = node_entry(node);
    uint64_t part = *directory_entry & ~(uint64_t)PTE_LARGE;
    uint64_t page = node->page;
    uint64_t *table;
    void *batch;

    if (node_has_children(node))
        return ERR_IN_USE;
    table = memory_page_allocate(task);
    if (!table)
        return ERR_NO_MEMORY;
    batch = memory_batch_allocate(task, sizeof(*node), TABLE_ENTRIES - 1);
    if (!batch) {
        memory_page_free(task, table);
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < TABLE_ENTRIES; i++)
        table[i] = part + i * PAGE_BYTES;
    node_displace(node);
    node->large = 0;
    node_place(node, task, page, table);
    node_continue(node, batch);
    *directory_entry = virtual_to_physical(table) | SPACE_TABLE_FLAGS;
    space_flush_page(task, page * PAGE_BYTES);
    *budget -= SPLIT_COST;
    return ERR_OK;
}

// --- The destination ---------------------------------------------------------

// Removes all mappings in the page table behind a directory entry, and the
// table: a 2 MiB page is to take its place. *clear: all done.
static corvus_error_t clear_table(struct transfer *transfer, const struct page_pair *pair,
                                  bool *clear)
{
    uint64_t *table = space_table_at(*pair->destination.entry);

    transfer->budget -= TABLE_CLEAR_COST;
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        if (table[i] & PTE_PINNED)
            return ERR_IN_USE;
    }
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        struct mapping_node *node;

        if (!table[i])
            continue;
        if (transfer->budget <= 0)
            return ERR_OK;
        node = node_mapped_at(transfer->to, pair->destination_address + i * PAGE_BYTES, false);
        if (!revoke_derived(node, &transfer->budget))
            return ERR_OK;
        transfer->budget -= PAGE_COST;
        revoke_leaf(node);
    }
    space_table_free(transfer->to, pair->destination.entry);
    *clear = true;
    return ERR_OK;
}

// The same frame is mapped there from the same source: only rights change.
static corvus_error_t change_access(struct transfer *transfer, struct mapping_node *node,
                                    bool *done)
{
    uint64_t *entry = node_entry(node);
    uint64_t rights = PTE_WRITE | PTE_NO_EXECUTE;
    uint64_t wanted = space_entry_flags(transfer->access) & rights;
    bool narrows = space_entry_access(*entry) & ~transfer->access;

    if ((narrows || transfer->token) &&
        !revoke_access(node, transfer->access, &transfer->token, &transfer->budget))
        return ERR_OK;
    if ((*entry & rights) != wanted) {
        *entry = (*entry & ~rights) | wanted;
        space_flush_page(node_task(node), node_address(node));
    }
    *done = true;
    return ERR_OK;
}

// A page of the same size is mapped at the destination. *clear: no more.
// *done: nothing else is to be done for this page.
static corvus_error_t replace(struct transfer *transfer, const struct page_pair *pair, bool *clear,
                              bool *done)
{
    struct mapping_node *source = pair->node;
    struct mapping_node *node =
        node_mapped_at(transfer->to, pair->destination_address, pair->large);

    transfer->budget -= PAGE_COST;
    if (node == source)
        return change_access(transfer, node, done);
    if (node_is_ancestor(node, source))
        return ERR_IN_USE;
    if (!transfer->grant && node_parent(node) == source &&
        (*pair->destination.entry & PTE_ADDRESS_MASK) == pair->frame)
        return change_access(transfer, node, done);
    if (!revoke_derived(node, &transfer->budget))
        return ERR_OK;
    revoke_leaf(node);
    *clear = true;
    return ERR_OK;
}

// Makes room at a destination that is not empty.
static corvus_error_t make_room(struct transfer *transfer, const struct page_pair *pair,
                                bool *clear, bool *done)
{
    uint64_t entry = *pair->destination.entry;

    if (entry & PTE_PINNED)
        return ERR_IN_USE;
    if (pair->large && !(entry & PTE_LARGE))
        return clear_table(transfer, pair, clear);
    if (!pair->large && pair->destination.level == LEVEL_LARGE)
        return mapping_split(node_mapped_at(transfer->to, pair->destination_address, true),
                             &transfer->budget);
    return replace(transfer, pair, clear, done);
}

// --- Map and grant -----------------------------------------------------------

static inline uint64_t entry_for(const struct transfer *transfer, const struct page_pair *pair)
{
    return pair->frame | space_entry_flags(transfer->access) |
           (*pair->source.entry & PTE_INHERITED) | (pair->large ? PTE_LARGE : 0);
}

// Derives a page at an empty destination.
static corvus_error_t derive(struct transfer *transfer, const struct page_pair *pair)
{
    struct mapping_node *node = node_allocate(transfer->to);

    if (!node)
        return ERR_NO_MEMORY;
    node_add(node, pair->node, transfer->to, pair->destination_address / PAGE_BYTES, pair->large,
             pair->destination.entry);
    *pair->destination.entry = entry_for(transfer, pair);
    transfer->to->space.mapped += pages_of(pair->large);
    return ERR_OK;
}

// What the destination gets the source no longer has.
static void take_source(struct transfer *transfer, const struct page_pair *pair)
{
    revoke_used_bits(pair->node);
    *pair->source.entry = 0;
    space_flush_page(transfer->from, pair->source_address);
    transfer->from->space.mapped -= pages_of(pair->large);
    node_displace(pair->node);
}

// Moves the source's place in the tree to an empty destination. *done stays
// false while what was derived from it has yet to lose the access that is not
// granted.
static corvus_error_t grant(struct transfer *transfer, const struct page_pair *pair, bool *done)
{
    struct mapping_node *node = pair->node;
    uint64_t entry = entry_for(transfer, pair);
    bool narrows = space_entry_access(*pair->source.entry) & ~transfer->access;
    bool moves = transfer->from != transfer->to;
    struct mapping_node *home = moves ? node_allocate(transfer->to) : node;

    if (!home)
        return ERR_NO_MEMORY;
    if ((narrows || transfer->token) &&
        !revoke_access(node, transfer->access, &transfer->token, &transfer->budget)) {
        if (moves)
            node_free(home);
        return ERR_OK;
    }
    take_source(transfer, pair);
    if (moves)
        transfer->budget -= node_replace(node, home);
    node_place(home, transfer->to, pair->destination_address / PAGE_BYTES, pair->destination.entry);
    *pair->destination.entry = entry;
    transfer->to->space.mapped += pages_of(pair->large);
    *done = true;
    return ERR_OK;
}

// Finds the source page and checks what it allows.
static corvus_error_t find_source(const struct transfer *transfer, struct page_pair *pair,
                                  uint64_t room)
{
    uint64_t both = pair->source_address | pair->destination_address;
    uint64_t entry, offset;

    pair->source = space_find(transfer->from, pair->source_address);
    entry = *pair->source.entry;
    if (!(entry & PTE_PRESENT))
        return ERR_NOT_MAPPED;
    if (entry & PTE_PINNED || !space_entry_allows(entry, space_entry_flags(transfer->access)))
        return ERR_ACCESS_DENIED;
    offset = pair->source_address & (LEVEL_BYTES(pair->source.level) - 1);
    pair->frame = (entry & PTE_ADDRESS_MASK) + offset;
    pair->large = pair->source.level == LEVEL_LARGE && both % LARGE_PAGE_BYTES == 0 &&
                  room >= LARGE_PAGE_BYTES;
    return ERR_OK;
}

// One page. *done stays false when it has to be looked at again.
static corvus_error_t transfer_page(struct transfer *transfer, struct page_pair *pair, bool *done)
{
    bool large_source = pair->source.level == LEVEL_LARGE;
    bool clear = true;
    corvus_error_t error = ERR_OK;

    pair->node = node_mapped_at(transfer->from, pair->source_address, large_source);
    if (transfer->grant && large_source && !pair->large)
        return mapping_split(pair->node, &transfer->budget);
    if (transfer->grant && transfer->from != transfer->to && !node_replaceable(pair->node))
        return ERR_IN_USE;
    if (!transfer->grant && pair->node->depth == NODE_DEPTH_MAX)
        return ERR_NO_MEMORY;
    if (!space_reach(transfer->to, pair->destination_address,
                     pair->large ? LEVEL_LARGE : LEVEL_SMALL, &pair->destination,
                     &transfer->budget))
        return ERR_NO_MEMORY;
    if (__builtin_expect(*pair->destination.entry != 0, 0)) {
        clear = false;
        error = make_room(transfer, pair, &clear, done);
    }
    if (!clear)
        return error;
    if (transfer->grant)
        return grant(transfer, pair, done);
    *done = true;
    return derive(transfer, pair);
}

// Apart from the straight path, whose registers it would cost.
static corvus_error_t __attribute__((noinline))
map_range(struct task *from, uint64_t source, struct task *to, uint64_t destination,
          uint64_t length, uint32_t access, bool grant_pages, uint64_t *done)
{
    uint64_t position = *done & ~WALK_TOKEN_MASK;
    corvus_error_t error = to->terminated ? ERR_TERMINATED : ERR_OK;
    struct transfer transfer = {
        .from = from,
        .to = to,
        .access = access | ACCESS_READ,
        .grant = grant_pages,
        .token = *done & WALK_TOKEN_MASK,
        .budget = STEP_BUDGET,
    };

    while (!error && position < length && transfer.budget > 0) {
        struct page_pair pair = {
            .source_address = source + position,
            .destination_address = destination + position,
        };
        bool page_done = false;

        transfer.budget -= PAGE_COST;
        error = find_source(&transfer, &pair, length - position);
        if (!error)
            error = transfer_page(&transfer, &pair, &page_done);
        if (!error && page_done)
            position += pages_of(pair.large) * PAGE_BYTES;
    }
    space_flush_commit();
    *done = error ? position : position | transfer.token;
    return error;
}

// The straight path, which answers most page faults: one page of 4 KiB, to an
// empty place whose tables are there. False: nothing was done.
static inline bool derive_page(struct task *from, uint64_t source, struct task *to,
                               uint64_t destination, uint32_t access)
{
    const uint64_t *at = space_find_small(from, source);
    uint64_t *home = space_find_small(to, destination);
    uint64_t flags = space_entry_flags(access);
    struct mapping_node *parent, *node;

    if (!at || !home || *home || *at & PTE_PINNED || !space_entry_allows(*at, flags))
        return false;
    parent = node_mapped_at(from, source, false);
    if (parent->depth == NODE_DEPTH_MAX)
        return false;
    node = node_allocate(to);
    if (!node)
        return false;
    node_add(node, parent, to, destination / PAGE_BYTES, false, home);
    *home = (*at & (PTE_ADDRESS_MASK | PTE_INHERITED)) | flags;
    to->space.mapped++;
    return true;
}

corvus_error_t mapping_map_step(struct task *from, uint64_t source, struct task *to,
                                uint64_t destination, uint64_t length, uint32_t access,
                                bool grant_pages, uint64_t *done)
{
    if (length == PAGE_BYTES && !grant_pages && *done == 0 &&
        derive_page(from, source, to, destination, access | ACCESS_READ)) {
        *done = PAGE_BYTES;
        return ERR_OK;
    }
    return map_range(from, source, to, destination, length, access, grant_pages, done);
}

// --- Roots -------------------------------------------------------------------

// Write combining is what the memory type range registers make of UC-; without
// them it is uncached.
static uint64_t cache_flags(uint32_t cache)
{
    switch (cache & ~MAPPING_DEVICE) {
    case HOST_CACHE_ON:
        return 0;
    case HOST_CACHE_WRITE_COMBINING:
        return PTE_CACHE_DISABLE;
    default:
        return PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;
    }
}

corvus_error_t mapping_root(struct task *task, uint64_t address, uint64_t physical, bool large,
                            uint32_t access, uint32_t cache)
{
    int budget = 0;
    struct place place;
    struct mapping_node *node;

    if (!space_reach(task, address, large ? LEVEL_LARGE : LEVEL_SMALL, &place, &budget))
        return ERR_NO_MEMORY;
    if (*place.entry) {
        if (!large || *place.entry & PTE_LARGE || !space_table_empty(*place.entry))
            return ERR_IN_USE;
        space_table_free(task, place.entry);
    }
    node = node_allocate(task);
    if (!node)
        return ERR_NO_MEMORY;
    node_add_root(node, task, address / PAGE_BYTES, large, place.entry);
    *place.entry = physical | space_entry_flags(access) | cache_flags(cache) |
                   (cache & MAPPING_DEVICE ? PTE_DEVICE : 0) | (large ? PTE_LARGE : 0);
    task->space.mapped += pages_of(large);
    return ERR_OK;
}
