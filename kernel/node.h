// SPDX-License-Identifier: BSD-2-Clause
// Nodes of the mapping tree. A node stands for one page (or 8 I/O ports) of
// one task. The tree is kept as a list in preorder with a depth in each node:
// what is derived from a node are the nodes behind it that are deeper, so
// inserting and removing take constant time and revoking is a walk. Nodes are
// found by task and page through a hash table.
#pragma once

#include "space.h"

// Nodes, tasks and tables are named by physical address, shortened.
#define NODE_SHIFT     5
#define NODE_DEPTH_MAX 255u // bounds the climb from a node to its root

// I/O ports take page numbers above user space, 8 ports a page.
#define IO_PAGE_FIRST (USER_END / PAGE_BYTES)

struct mapping_node {
    uint32_t chain; // next in the hash bucket
    uint32_t next;
    uint32_t previous;
    uint32_t parent;    // 0: a root
    uint32_t task;      // whose page it is, and whose quota pays
    uint32_t table;     // frame of the page table, directory or I/O bitmap with its entry
    uint64_t page : 36; // virtual page number
    uint64_t depth : 8;
    uint64_t used : 2;   // NODE_ACCESSED | NODE_DIRTY: here or below, since the owner last asked
    uint64_t large : 1;  // 2 MiB
    uint64_t walked : 1; // a suspended walk may point here
};
_Static_assert(sizeof(struct mapping_node) == 32, "addresses are shortened by 5 bits");

#define NODE_ACCESSED 1u
#define NODE_DIRTY    2u

static inline struct mapping_node *node_at(uint32_t name)
{
    return name ? physical_to_virtual((uint64_t)name << NODE_SHIFT) : NULL;
}

static inline uint32_t node_name(const void *object)
{
    return (uint32_t)(virtual_to_physical(object) >> NODE_SHIFT);
}

static inline struct task *node_task(const struct mapping_node *node)
{
    return physical_to_virtual((uint64_t)node->task << NODE_SHIFT);
}

static inline struct mapping_node *node_next(const struct mapping_node *node)
{
    return node_at(node->next);
}

static inline struct mapping_node *node_parent(const struct mapping_node *node)
{
    return node_at(node->parent);
}

static inline bool node_has_children(const struct mapping_node *node)
{
    return node->next && node_next(node)->depth > node->depth;
}

static inline bool node_is_io(const struct mapping_node *node)
{
    return node->page >= IO_PAGE_FIRST;
}

static inline uint64_t node_address(const struct mapping_node *node)
{
    return (uint64_t)node->page * PAGE_BYTES;
}

static inline uint64_t node_pages(const struct mapping_node *node)
{
    return node->large ? LARGE_PAGE_BYTES / PAGE_BYTES : 1;
}

// Its entry in page table or directory; not for I/O ports.
static inline uint64_t *node_entry(const struct mapping_node *node)
{
    uint64_t *table = physical_to_virtual((uint64_t)node->table * PAGE_BYTES);

    return &table[(node->large ? node->page >> 9 : node->page) & (TABLE_ENTRIES - 1)];
}

// The byte of 8 ports in an I/O bitmap.
static inline uint8_t *node_io_entry(const struct mapping_node *node)
{
    uint8_t *bitmap = physical_to_virtual((uint64_t)node->table * PAGE_BYTES);

    return &bitmap[(node->page - IO_PAGE_FIRST) & (PAGE_BYTES - 1)];
}

void node_table_init(uint64_t memory_bytes);

struct mapping_node *node_find(const struct task *task, uint64_t page);

// The node of a present entry that is not pinned: there always is one.
struct mapping_node *node_mapped_at(const struct task *task, uint64_t address, bool large);

// A node in no list and no bucket, charged to the task; NULL when out of quota.
struct mapping_node *node_allocate(struct task *task);
void node_free(struct mapping_node *node);

// Gives the node its place (task, page, entry's table) and makes it findable.
void node_place(struct mapping_node *node, struct task *task, uint64_t page, const void *entry);
void node_displace(struct mapping_node *node);

// Links a node as the first child of a parent (NULL: as a root).
void node_link(struct mapping_node *node, struct mapping_node *parent);

// Makes a run of pages out of a placed node without children: each of a batch
// of nodes becomes a sibling like it, for the next page.
void node_continue(struct mapping_node *node, void *batch);

// Takes a node without children out of its tree.
void node_unlink(struct mapping_node *node);

bool node_is_ancestor(const struct mapping_node *ancestor, const struct mapping_node *node);

// A walk over what is derived from `root` that ran out of its budget. The
// token finds it again; when too many are suspended the oldest is forgotten,
// and then (NULL) the walk has to start over, which does no harm.
#define WALK_TOKEN_MASK (PAGE_BYTES - 1) // never 0, so that 0 means: from the start
uint32_t node_walk_suspend(struct mapping_node *root, struct mapping_node *at);
struct mapping_node *node_walk_resume(uint32_t token, const struct mapping_node *root);
