// SPDX-License-Identifier: BSD-2-Clause
// Nodes of the mapping tree. A node stands for one page (or 8 I/O ports) of
// one task. The tree is kept as a list in preorder with a depth in each node:
// what is derived from a node are the nodes behind it that are deeper, so
// inserting and removing take constant time and revoking is a walk. Nodes are
// found by task and page through a hash table.
#pragma once

#include "memory.h"
#include "space.h"
#include "x86/panic.h"

// Nodes, tasks and tables are named by physical address, shortened.
#define NODE_SHIFT     5
#define NODE_DEPTH_MAX 255u // bounds the climb from a node to its root

// I/O ports take page numbers above user space, 8 ports a page.
#define IO_PAGE_FIRST (USER_END / PAGE_BYTES)

struct mapping_node {
    uint32_t chain; // next in the hash bucket
    uint32_t next;
    uint32_t previous;
    uint32_t parent;     // 0: a root
    uint32_t task;       // whose page it is, and whose slab the node is in
    uint32_t table;      // frame of the page table, directory or I/O bitmap with its entry
    uint64_t used : 2;   // NODE_ACCESSED | NODE_DIRTY: here or below, since the owner last asked
    uint64_t large : 1;  // 2 MiB
    uint64_t walked : 1; // a suspended walk may point here
    uint64_t : 4;
    uint64_t depth : 8;
    uint64_t : 12;
    uint64_t page : 36; // virtual page number; last, since it is wanted most
};
_Static_assert(sizeof(struct mapping_node) == 32, "addresses are shortened by 5 bits");

#define NODE_ACCESSED 1u
#define NODE_DIRTY    2u

static inline struct mapping_node *node_named(uint32_t name)
{
    return physical_to_virtual((uint64_t)name << NODE_SHIFT);
}

static inline struct mapping_node *node_at(uint32_t name)
{
    return name ? node_named(name) : NULL;
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
    return node->next && node_named(node->next)->depth > node->depth;
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

// --- Nodes by task and page ---------------------------------------------------
// In the open, as all that a single page needs: most page faults end here.

struct node_table {
    uint32_t *buckets;   // names of nodes
    uint64_t multiplier; // secret, so that users cannot choose pages that collide
    unsigned shift;
};
extern struct node_table node_table;

static inline uint32_t node_table_of(const void *entry)
{
    return (uint32_t)(virtual_to_physical(entry) / PAGE_BYTES);
}

void node_table_init(uint64_t memory_bytes);

static inline uint32_t *node_bucket(uint32_t task, uint64_t page)
{
    uint64_t key = page + ((uint64_t)task << 32); // few pages have bits up there

    return &node_table.buckets[key * node_table.multiplier >> node_table.shift];
}

// The link of the hash chain that names the node of a page; it holds 0 when
// there is none.
static inline uint32_t *node_link_of(const struct task *task, uint64_t page)
{
    uint32_t owner = node_name(task);
    uint32_t *link = node_bucket(owner, page);

    while (*link) {
        struct mapping_node *node = node_named(*link);

        if (node->page == page && node->task == owner)
            break;
        link = &node->chain;
    }
    return link;
}

static inline struct mapping_node *node_find(const struct task *task, uint64_t page)
{
    return node_at(*node_link_of(task, page));
}

// The node of a present entry that is not pinned: there always is one.
static inline struct mapping_node *node_mapped_at(const struct task *task, uint64_t address,
                                                  bool large)
{
    uint64_t bytes = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
    uint32_t *link = node_link_of(task, (address & ~(bytes - 1)) / PAGE_BYTES);

    KASSERT(*link);
    return node_named(*link);
}

// Gives the node its place (task, page, entry's table) and makes it findable.
static inline void node_place(struct mapping_node *node, struct task *task, uint64_t page,
                              const void *entry)
{
    uint32_t *bucket = node_bucket(node_name(task), page);

    node->page = page;
    node->task = node_name(task);
    node->table = node_table_of(entry);
    node->chain = *bucket;
    *bucket = node_name(node);
}

static inline void node_displace(struct mapping_node *node)
{
    *node_link_of(node_task(node), node->page) = node->chain;
}

// --- Their life and their tree ------------------------------------------------

#define NODE_CLASS 0u // memory_class(sizeof(struct mapping_node))

// Memory of the task for a node; NULL when out of quota.
static inline struct mapping_node *node_allocate(struct task *task)
{
    struct chain **list = &task->slabs[NODE_CLASS];

    if (__builtin_expect(task->terminated, 0))
        return NULL;
    if (__builtin_expect(!*list, 0) && !memory_slab_open(task, NODE_CLASS))
        return NULL;
    return memory_slab_pop(list);
}

static inline void node_free(struct mapping_node *node)
{
    memory_slab_push(node);
}

// Makes a root of it.
static inline void node_add_root(struct mapping_node *node, struct task *task, uint64_t page,
                                 bool large, const void *entry)
{
    *node = (struct mapping_node){.large = large};
    node_place(node, task, page, entry);
}

// Makes the first child of a parent of it.
static inline void node_add(struct mapping_node *node, struct mapping_node *parent,
                            struct task *task, uint64_t page, bool large, const void *entry)
{
    uint32_t *bucket = node_bucket(node_name(task), page);
    uint32_t name = node_name(node), above = node_name(parent);
    uint32_t next = parent->next;

    *node = (struct mapping_node){
        .chain = *bucket,
        .next = next,
        .previous = above,
        .parent = above,
        .task = node_name(task),
        .table = node_table_of(entry),
        .large = large,
        .depth = parent->depth + 1,
        .page = page,
    };
    *bucket = name;
    if (next)
        node_named(next)->previous = name;
    parent->next = name;
}

// Walks that stopped at a node that goes continue behind it.
void node_walks_leave(struct mapping_node *node);

// Takes a node without children out of its tree.
static inline void node_unlink(struct mapping_node *node)
{
    KASSERT(!node_has_children(node));
    if (__builtin_expect(node->walked, 0))
        node_walks_leave(node);
    if (node->next)
        node_named(node->next)->previous = node->previous;
    if (node->previous)
        node_named(node->previous)->next = node->next;
}

// Makes a run of pages out of a placed node without children: each of a batch
// of nodes becomes a sibling like it, for the next page.
void node_continue(struct mapping_node *node, void *batch);

// Puts a node of another task's memory in the place of one that was displaced,
// and frees that. All that is derived from it is visited: returns the
// instructions it took, roughly.
int node_replace(struct mapping_node *node, struct mapping_node *by);

// Whether that can be done in a step. The answer is not taken from a step's
// budget: it may be asked before each step of what comes first.
#define NODE_REPLACE_MAX 2048u
bool node_replaceable(const struct mapping_node *node);

bool node_is_ancestor(const struct mapping_node *ancestor, const struct mapping_node *node);

// A walk over what is derived from `root` that ran out of its budget. The
// token finds it again; when too many are suspended the oldest is forgotten,
// and then (NULL) the walk has to start over, which does no harm.
#define WALK_TOKEN_MASK (PAGE_BYTES - 1) // never 0, so that 0 means: from the start
uint32_t node_walk_suspend(struct mapping_node *root, struct mapping_node *at);
struct mapping_node *node_walk_resume(uint32_t token, const struct mapping_node *root);
