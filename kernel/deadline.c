// SPDX-License-Identifier: BSD-2-Clause
// The heap of deadlines. One for the node: a uniprocessor needs no more.
#include "deadline.h"

#include "cpu.h"
#include "x86/clock.h"

// Deadlines that one timer interrupt expires.
#define EXPIRE_AT_ONCE 16

static struct deadline *root;

static uint32_t rank_of(const struct deadline *heap)
{
    return heap ? heap->rank : 0;
}

// Puts the higher rank to the left. True when the node's own rank has changed.
static bool settle(struct deadline *node)
{
    uint32_t rank;

    if (rank_of(node->left) < rank_of(node->right)) {
        struct deadline *swap = node->left;

        node->left = node->right;
        node->right = swap;
    }
    rank = rank_of(node->right) + 1;
    if (rank == node->rank)
        return false;
    node->rank = rank;
    return true;
}

// Settles from a node upwards. Ranks grow by one a step while they change, so
// the way is no longer than the logarithm of the heap's size.
static void settle_upwards(struct deadline *node)
{
    while (node && settle(node))
        node = node->parent;
}

// Joins two heaps along their right spines.
static struct deadline *meld(struct deadline *a, struct deadline *b)
{
    struct deadline *top = NULL;
    struct deadline *last = NULL; // of the joined spine

    while (a && b) {
        if (b->time < a->time) {
            struct deadline *swap = a;

            a = b;
            b = swap;
        }
        a->parent = last;
        if (last)
            last->right = a;
        else
            top = a;
        last = a;
        a = a->right;
    }
    if (!a)
        a = b;
    if (!last)
        return a;
    last->right = a;
    if (a)
        a->parent = last;
    for (; last; last = last->parent)
        settle(last);
    return top;
}

static void detach(struct deadline *node)
{
    struct deadline *parent = node->parent;
    struct deadline *heirs;

    if (node->left)
        node->left->parent = NULL;
    if (node->right)
        node->right->parent = NULL;
    heirs = meld(node->left, node->right);
    if (heirs)
        heirs->parent = parent;
    if (!parent)
        root = heirs;
    else if (parent->left == node)
        parent->left = heirs;
    else
        parent->right = heirs;
    settle_upwards(parent);
    node->left = node->right = node->parent = NULL;
    node->armed = false;
}

void deadline_arm(struct deadline *deadline, uint64_t time)
{
    if (deadline->armed)
        detach(deadline);
    deadline->time = time;
    deadline->armed = true;
    deadline->rank = 1;
    root = meld(root, deadline);
    root->parent = NULL;
    if (root == deadline)
        clock_arm(cpu.slice_armed && cpu.slice_end < time ? cpu.slice_end : time);
}

void deadline_cancel(struct deadline *deadline)
{
    // The clock is left as it is: an interrupt without work is cheaper than
    // programming the timer for every wait that ends in time.
    if (deadline->armed)
        detach(deadline);
}

void deadline_run(uint64_t now)
{
    for (unsigned i = 0; i < EXPIRE_AT_ONCE && root && root->time <= now; i++) {
        struct deadline *due = root;

        detach(due);
        due->expire(due);
    }
}

uint64_t deadline_next(void)
{
    return root ? root->time : UINT64_MAX;
}
