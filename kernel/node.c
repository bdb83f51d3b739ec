// SPDX-License-Identifier: BSD-2-Clause
// The structure of the mapping tree: hash table, preorder list, suspended
// walks. What nodes mean to page tables is in mapping.c and revoke.c.
#include "node.h"

#include "x86/instructions.h"

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

#define REPLACE_COST 12 // instructions to visit a node that is derived, roughly

struct node_table node_table;

_Static_assert(sizeof(struct mapping_node) <= 32, "class 0 holds nodes");

static struct walk walks[WALK_COUNT];
static uint32_t next_walk;

void node_table_init(uint64_t memory_bytes)
{
    uint64_t count = BUCKETS_LEAST;
    uint64_t bytes, physical;

    while (count * FRAMES_PER_BUCKET * PAGE_BYTES < memory_bytes)
        count *= 2;
    bytes = count * sizeof(*node_table.buckets);
    physical = paging_reserve(bytes, PAGE_BYTES);
    if (physical == 0)
        panic("no memory for the mapping tree's hash table");
    node_table.buckets = physical_to_virtual(physical);
    for (uint64_t i = 0; i < count; i++)
        node_table.buckets[i] = 0;
    node_table.shift = 64 - (unsigned)__builtin_ctzll(count);
    node_table.multiplier = (0x9e3779b97f4a7c15ull ^ rdtsc() << 16 ^ rdtsc() << 1) | 1;
}

void node_continue(struct mapping_node *node, void *batch)
{
    struct mapping_node *last = node;
    uint32_t following = node->next;
    uint64_t page = node->page;

    KASSERT(!node_has_children(node));
    while (batch) {
        struct mapping_node *next = batch;
        uint32_t *bucket = node_bucket(node->task, ++page);

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

// Walks over what was derived from it are over.
void node_walks_leave(struct mapping_node *node)
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

bool node_replaceable(const struct mapping_node *node)
{
    const struct mapping_node *at = node_next(node);
    unsigned count = 0;

    for (; at && at->depth > node->depth && count <= NODE_REPLACE_MAX; at = node_next(at))
        count++;
    return count <= NODE_REPLACE_MAX;
}

static void walks_follow(uint32_t name, uint32_t by)
{
    for (unsigned i = 0; i < WALK_COUNT; i++) {
        if (walks[i].root == name)
            walks[i].root = by;
        if (walks[i].at == name)
            walks[i].at = by;
    }
}

int node_replace(struct mapping_node *node, struct mapping_node *by)
{
    uint32_t old = node_name(node), name = node_name(by);
    struct mapping_node *at = node_next(node);
    int cost = 0;

    *by = *node;
    if (by->walked)
        walks_follow(old, name);
    if (at)
        at->previous = name;
    if (by->previous)
        node_named(by->previous)->next = name;
    for (; at && at->depth > by->depth; at = node_next(at)) {
        if (at->parent == old)
            at->parent = name;
        cost += REPLACE_COST;
    }
    node_free(node);
    return cost;
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
