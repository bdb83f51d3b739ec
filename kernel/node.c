// SPDX-License-Identifier: BSD-2-Clause
// The structure of the mapping tree: hash table, preorder list, suspended
// walks. What nodes mean to page tables is in mapping.c and revoke.c.
#include "node.h"

#include "memory.h"
#include "x86/instructions.h"
#include "x86/panic.h"

#define FRAMES_PER_BUCKET 4
#define BUCKETS_LEAST     4096ull

#define WALK_COUNT       15u // a token's low 4 bits are 1 + index
#define WALK_INDEX_BITS  4
#define WALK_GENERATIONS 256u

struct walk {
    uint32_t root; // 0: free
    uint32_t at;   // next node to look at
    uint32_t generation;
};

static uint32_t *buckets; // names of nodes
static unsigned bucket_shift;
static uint64_t hash_multiplier; // secret, so that users cannot choose pages that collide

static struct walk walks[WALK_COUNT];
static uint32_t next_walk;

void node_table_init(uint64_t memory_bytes)
{
    uint64_t count = BUCKETS_LEAST;
    uint64_t bytes, physical;

    while (count * FRAMES_PER_BUCKET * PAGE_BYTES < memory_bytes)
        count *= 2;
    bytes = count * sizeof(*buckets);
    physical = paging_reserve(bytes, PAGE_BYTES);
    if (physical == 0)
        panic("no memory for the mapping tree's hash table");
    buckets = physical_to_virtual(physical);
    for (uint64_t i = 0; i < count; i++)
        buckets[i] = 0;
    bucket_shift = 64 - (unsigned)__builtin_ctzll(count);
    hash_multiplier = (0x9e3779b97f4a7c15ull ^ rdtsc() << 16 ^ rdtsc() << 1) | 1;
}

static inline uint32_t *bucket_of(uint32_t task, uint64_t page)
{
    // Tasks lie close together, pages of one task too: keep them apart.
    uint64_t key = page ^ (uint64_t)task << 36 ^ (uint64_t)task << 13;

    return &buckets[key * hash_multiplier >> bucket_shift];
}

struct mapping_node *node_find(const struct task *task, uint64_t page)
{
    uint32_t name = node_name(task);

    for (uint32_t at = *bucket_of(name, page); at;) {
        struct mapping_node *node = node_at(at);

        if (node->page == page && node->task == name)
            return node;
        at = node->chain;
    }
    return NULL;
}

struct mapping_node *node_mapped_at(const struct task *task, uint64_t address, bool large)
{
    uint64_t bytes = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
    struct mapping_node *node = node_find(task, (address & ~(bytes - 1)) / PAGE_BYTES);

    KASSERT(node);
    return node;
}

struct mapping_node *node_allocate(struct task *task)
{
    return memory_object_allocate(task, sizeof(struct mapping_node));
}

void node_free(struct mapping_node *node)
{
    memory_object_free(node_task(node), node, sizeof(*node));
}

void node_place(struct mapping_node *node, struct task *task, uint64_t page, const void *entry)
{
    uint32_t *bucket;

    node->task = node_name(task);
    node->page = page;
    node->table = (uint32_t)(virtual_to_physical(entry) / PAGE_BYTES);
    bucket = bucket_of(node->task, page);
    node->chain = *bucket;
    *bucket = node_name(node);
}

void node_displace(struct mapping_node *node)
{
    uint32_t *link = bucket_of(node->task, node->page);
    uint32_t name = node_name(node);

    while (*link != name) {
        KASSERT(*link);
        link = &node_at(*link)->chain;
    }
    *link = node->chain;
}

static inline void link_behind(struct mapping_node *node, struct mapping_node *before)
{
    uint32_t name = node_name(node);

    node->previous = node_name(before);
    node->next = before->next;
    if (before->next)
        node_next(before)->previous = name;
    before->next = name;
}

void node_link(struct mapping_node *node, struct mapping_node *parent)
{
    if (!parent) {
        node->next = node->previous = node->parent = 0;
        node->depth = 0;
        return;
    }
    node->parent = node_name(parent);
    node->depth = parent->depth + 1;
    link_behind(node, parent);
}

void node_continue(struct mapping_node *node, void *batch)
{
    struct mapping_node *last = node;
    uint32_t following = node->next;
    uint64_t page = node->page;

    KASSERT(!node_has_children(node));
    while (batch) {
        struct mapping_node *next = batch;
        uint32_t *bucket = bucket_of(node->task, ++page);

        batch = *(void **)batch;
        *next = *node;
        next->walked = 0;
        next->page = page;
        next->chain = *bucket;
        *bucket = node_name(next);
        next->previous = node_name(last);
        last->next = node_name(next);
        last = next;
    }
    last->next = following;
    if (following)
        node_at(following)->previous = node_name(last);
}

// Walks that stopped at a node that goes continue behind it; walks over what
// was derived from it are over.
static void walks_leave(struct mapping_node *node)
{
    uint32_t name = node_name(node);

    for (unsigned i = 0; i < WALK_COUNT; i++) {
        struct walk *walk = &walks[i];

        if (walk->root == name) {
            walk->root = 0;
        } else if (walk->root && walk->at == name) {
            walk->at = node->next;
            if (walk->at)
                node_at(walk->at)->walked = 1;
        }
    }
    node->walked = 0;
}

void node_unlink(struct mapping_node *node)
{
    KASSERT(!node_has_children(node));
    if (node->walked)
        walks_leave(node);
    if (node->next)
        node_next(node)->previous = node->previous;
    if (node->previous)
        node_at(node->previous)->next = node->next;
}

bool node_is_ancestor(const struct mapping_node *ancestor, const struct mapping_node *node)
{
    while (node->depth > ancestor->depth)
        node = node_parent(node);
    return node == ancestor;
}

uint32_t node_walk_suspend(struct mapping_node *root, struct mapping_node *at)
{
    uint32_t index = next_walk++ % WALK_COUNT;
    struct walk *walk = &walks[index];

    walk->root = node_name(root);
    walk->at = node_name(at);
    walk->generation = (walk->generation + 1) % WALK_GENERATIONS;
    root->walked = 1;
    at->walked = 1;
    return walk->generation << WALK_INDEX_BITS | (index + 1);
}

struct mapping_node *node_walk_resume(uint32_t token, const struct mapping_node *root)
{
    uint32_t index = (token & ((1u << WALK_INDEX_BITS) - 1)) - 1;
    struct walk *walk;

    if (index >= WALK_COUNT)
        return NULL;
    walk = &walks[index];
    if (walk->generation != token >> WALK_INDEX_BITS || walk->root != node_name(root))
        return NULL;
    walk->root = 0;
    return node_at(walk->at);
}
