// SPDX-License-Identifier: BSD-2-Clause
// Taking mappings away: walks over what is derived from a node, and
// memory_unmap. A record of use (accessed, dirty) belongs to each node: when
// the processor's bits of a page are cleared, they go on record in its node
// and in all nodes above, so that each owner is told once, whoever asks first.
#include "revoke.h"

#include "mapping.h"
#include "x86/panic.h"

// Rough costs in instructions, for the budget.
#define LEAF_COST   210
#define VISIT_COST  90
#define SKIP_COST   12
#define LOOKUP_COST 110
#define DEPTH_COST  6

// --- One node ---------------------------------------------------------------

static inline uint64_t take_used_bits(struct mapping_node *node, uint64_t *entry)
{
    uint64_t bits = *entry & PTE_USED_BITS;
    unsigned used;

    if (!bits)
        return 0;
    *entry &= ~PTE_USED_BITS;
    used = (bits & PTE_ACCESSED ? NODE_ACCESSED : 0) | (bits & PTE_DIRTY ? NODE_DIRTY : 0);
    for (; node; node = node_parent(node))
        node->used |= used;
    return bits;
}

uint64_t revoke_used_bits(struct mapping_node *node)
{
    return node_is_io(node) ? 0 : take_used_bits(node, node_entry(node));
}

// A node without children goes, whose hash link and entry are known. Returns
// its record of use.
static inline unsigned remove_leaf(struct task *task, struct mapping_node *node, uint32_t *link,
                                   uint64_t *entry)
{
    unsigned used;

    if (take_used_bits(node, entry))
        space_flush_page(task, node_address(node));
    *entry = 0;
    task->space.mapped -= node_pages(node);
    used = node->used;
    *link = node->chain;
    node_unlink(node);
    node_free(node);
    return used;
}

void revoke_leaf(struct mapping_node *node)
{
    struct task *task = node_task(node);
    uint32_t *link = node_link_of(task, node->page);

    if (!node_is_io(node)) {
        remove_leaf(task, node, link, node_entry(node));
        return;
    }
    *node_io_entry(node) = 0xff;
    *link = node->chain;
    node_unlink(node);
    node_free(node);
}

// Takes rights and the processor's used bits from a mapping that stays.
static void restrict_node(struct mapping_node *node, uint32_t access)
{
    uint64_t *entry = node_entry(node);
    uint64_t lost = space_entry_access(*entry) & ~access;
    bool changed = revoke_used_bits(node) != 0;

    if (lost & ACCESS_WRITE)
        *entry &= ~(uint64_t)PTE_WRITE;
    if (lost & ACCESS_EXECUTE)
        *entry |= PTE_NO_EXECUTE;
    if (changed || lost)
        space_flush_page(node_task(node), node_address(node));
}

// --- Walks ------------------------------------------------------------------

bool revoke_derived(struct mapping_node *node, int *budget)
{
    struct mapping_node *at = node;

    for (;;) {
        struct mapping_node *parent;

        for (; node_has_children(at); at = node_next(at))
            *budget -= DEPTH_COST;
        if (at == node)
            return true;
        if (*budget <= 0)
            return false;
        parent = node_at(at->previous); // since it is a first child
        *budget -= LEAF_COST + (int)at->depth * DEPTH_COST;
        revoke_leaf(at);
        at = parent;
    }
}

// What a walk does to the nodes derived from `root`.
struct walk_order {
    struct mapping_node *root;
    uint32_t access; // what they may keep; without ACCESS_READ they go
    uint64_t part;   // a 4 KiB frame of a 2 MiB root: only what overlaps it...
    bool partial;    // ...if this is set
    uint32_t *token;
    int *budget;
};

static inline bool walk_concerns(const struct walk_order *order, const struct mapping_node *node)
{
    return !order->partial || node->large || (*node_entry(node) & PTE_ADDRESS_MASK) == order->part;
}

// Of a 2 MiB mapping only whole pages can lose access. So that no mapping has
// more than the one it is derived from, it goes with all that is derived from
// it when one of its parts is to lose some.
static inline bool walk_removes(const struct walk_order *order, const struct mapping_node *node)
{
    return !(order->access & ACCESS_READ) ||
           (order->partial && node->large && order->access != ACCESS_ALL);
}

// Treats the node; *next is the one to go on with. False: out of budget, the
// node has to be treated again.
static bool walk_visit(const struct walk_order *order, struct mapping_node *node,
                       struct mapping_node **next)
{
    *order->budget -= SKIP_COST;
    if (!walk_concerns(order, node)) {
        *next = node_next(node);
        return true;
    }
    if (!walk_removes(order, node)) {
        *order->budget -= VISIT_COST + (int)node->depth * DEPTH_COST;
        restrict_node(node, order->access);
        *next = node_next(node);
        return true;
    }
    if (!revoke_derived(node, order->budget))
        return false;
    *next = node_next(node);
    *order->budget -= LEAF_COST;
    revoke_leaf(node);
    return true;
}

// The list is in preorder, so the first node that is no deeper than the root
// ends what is derived from it. Nodes that are derived meanwhile in front of a
// suspended walk need no visit: they cannot have more access than their
// parents, which it has seen.
static bool walk_derived(const struct walk_order *order)
{
    struct mapping_node *root = order->root;
    struct mapping_node *node = node_walk_resume(*order->token, root);

    *order->token = 0;
    if (!node)
        node = node_next(root);
    while (node && node->depth > root->depth) {
        if (*order->budget <= 0 || !walk_visit(order, node, &node)) {
            *order->token = node_walk_suspend(root, node);
            return false;
        }
    }
    return true;
}

bool revoke_access(struct mapping_node *node, uint32_t access, uint32_t *token, int *budget)
{
    struct walk_order order = {
        .root = node,
        .access = access | ACCESS_READ,
        .token = token,
        .budget = budget,
    };

    restrict_node(node, order.access);
    return walk_derived(&order);
}

// --- Unmap ------------------------------------------------------------------

// One call of mapping_unmap_step at one page.
struct unmap {
    struct task *task;
    struct mapping_node *node;
    uint32_t access; // to take away
    bool self;
    bool partial;     // one 4 KiB part of a 2 MiB page
    uint64_t address; // in the page
    uint64_t index;   // of the page in the range, 0 = first
    uint64_t bytes;   // of the page that lie in the range
    struct unmap_result *result;
};

// Tells what the record says of some pages.
static inline void report(struct unmap_result *result, uint64_t pages, unsigned used)
{
    result->accessed |= used & NODE_ACCESSED ? pages : 0;
    result->dirty |= used & NODE_DIRTY ? pages : 0;
}

// Tells it of the pages of which that can be told.
static void report_used(const struct unmap *unmap, unsigned used)
{
    uint64_t count = unmap->bytes / PAGE_BYTES;

    if (unmap->index < 64)
        report(unmap->result, (count >= 64 ? ~0ull : (1ull << count) - 1) << unmap->index, used);
}

// What was derived from one 4 KiB part of a 2 MiB page. The page's own record
// is one for all parts: what is found now is told, and does not go into it.
static bool unmap_part(const struct unmap *unmap, const struct walk_order *order)
{
    struct mapping_node *node = unmap->node;
    unsigned before = node->used;
    bool done = walk_derived(order);

    report_used(unmap, node->used);
    node->used = before;
    return done;
}

static bool unmap_derived(const struct unmap *unmap, uint32_t *token, int *budget)
{
    uint64_t part = unmap->address & (LARGE_PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    struct walk_order order = {
        .root = unmap->node,
        .access = ACCESS_ALL & ~unmap->access,
        .part = (*node_entry(unmap->node) & PTE_ADDRESS_MASK) + part,
        .partial = unmap->partial,
        .token = token,
        .budget = budget,
    };

    if (unmap->partial)
        return unmap_part(unmap, &order);
    if (unmap->access & ACCESS_READ)
        return revoke_derived(unmap->node, budget);
    return walk_derived(&order);
}

// The page's own mapping comes first when it keeps some access, so that none
// of what it loses can be given away meanwhile.
static bool unmap_page(const struct unmap *unmap, uint32_t *token, int *budget)
{
    struct mapping_node *node = unmap->node;
    bool removes_self = unmap->self && unmap->access & ACCESS_READ;

    *budget -= VISIT_COST + (int)node->depth * DEPTH_COST;
    if (!removes_self)
        restrict_node(node, unmap->self ? ACCESS_ALL & ~unmap->access : ACCESS_ALL);
    if (!unmap_derived(unmap, token, budget))
        return false;
    if (removes_self && revoke_used_bits(node))
        space_flush_page(unmap->task, node_address(node));
    unmap->result->pages += unmap->bytes / PAGE_BYTES;
    report_used(unmap, node->used);
    if (removes_self) {
        *budget -= LEAF_COST;
        revoke_leaf(node);
    } else if (!unmap->partial && unmap->index < 64) {
        node->used = 0;
    }
    return true;
}

// One page, or the hole, at the cursor. ERR_OK with the cursor unmoved: out of
// budget, or to be looked at again.
static corvus_error_t unmap_at(struct unmap *unmap, uint64_t room, uint64_t *cursor, int *budget)
{
    struct place place = space_find(unmap->task, unmap->address);
    uint64_t span = LEVEL_BYTES(place.level) - (unmap->address & (LEVEL_BYTES(place.level) - 1));
    uint32_t token = *cursor & WALK_TOKEN_MASK;

    *budget -= LOOKUP_COST;
    unmap->bytes = span < room ? span : room;
    if (*place.entry & PTE_PRESENT && !(*place.entry & PTE_PINNED)) {
        bool large = place.level == LEVEL_LARGE;

        unmap->node = node_mapped_at(unmap->task, unmap->address, large);
        unmap->partial = large && unmap->bytes < LARGE_PAGE_BYTES;
        if (unmap->partial && unmap->self && unmap->access)
            return mapping_split(unmap->node, budget);
        if (unmap->partial)
            unmap->bytes = PAGE_BYTES;
        if (!unmap_page(unmap, &token, budget)) {
            *cursor = (*cursor & ~WALK_TOKEN_MASK) | token;
            return ERR_OK;
        }
    }
    *cursor = (*cursor & ~WALK_TOKEN_MASK) + unmap->bytes;
    return ERR_OK;
}

// Apart from the straight path, whose registers it would cost.
static bool __attribute__((noinline))
unmap_range(struct task *task, uint64_t address, uint64_t length, uint32_t access, bool self,
            uint64_t *cursor, struct unmap_result *result, corvus_error_t *error)
{
    int budget = STEP_BUDGET;
    struct unmap unmap = {.task = task, .access = access, .self = self, .result = result};

    do {
        uint64_t position = *cursor & ~WALK_TOKEN_MASK;

        if (position >= length)
            break;
        unmap.address = address + position;
        unmap.index = position / PAGE_BYTES;
        *error = unmap_at(&unmap, length - position, cursor, &budget);
    } while (!*error && budget > 0);
    space_flush_commit();
    return *error || *cursor >= length;
}

// The straight path: a page of 4 KiB goes from which nothing is derived. False:
// nothing was done.
static inline bool unmap_leaf(struct task *task, uint64_t address, struct unmap_result *result)
{
    uint64_t *entry = space_find_small(task, address);
    uint32_t *link;

    if (!entry || (*entry & (PTE_PRESENT | PTE_PINNED)) != PTE_PRESENT)
        return false;
    link = node_link_of(task, address / PAGE_BYTES);
    KASSERT(*link);
    if (node_has_children(node_named(*link)))
        return false;
    report(result, 1, remove_leaf(task, node_named(*link), link, entry));
    result->pages++;
    return true;
}

bool mapping_unmap_step(struct task *task, uint64_t address, uint64_t length, uint32_t access,
                        bool self, uint64_t *cursor, struct unmap_result *result,
                        corvus_error_t *error)
{
    *error = ERR_OK;
    if (length == PAGE_BYTES && self && access & ACCESS_READ && *cursor == 0 &&
        unmap_leaf(task, address, result)) {
        space_flush_commit();
        *cursor = PAGE_BYTES;
        return true;
    }
    return unmap_range(task, address, length, access, self, cursor, result, error);
}

void revoke_entries(struct task *task, uint64_t address, uint64_t *entry, unsigned level,
                    int *budget)
{
    unsigned end = level == LEVEL_LARGE ? space_index(address, level) + 1 : TABLE_ENTRIES;

    for (unsigned i = space_index(address, level); i < end; i++, entry++) {
        if (*entry & PTE_PINNED) {
            *entry = 0;
        } else if (*entry) {
            struct mapping_node *node = node_mapped_at(task, address, level == LEVEL_LARGE);

            if (!revoke_derived(node, budget))
                break;
            *budget -= LEAF_COST;
            revoke_leaf(node);
        }
        address += LEVEL_BYTES(level);
        *budget -= SKIP_COST;
        if (*budget <= 0)
            break;
    }
    space_flush_commit();
}
