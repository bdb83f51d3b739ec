// SPDX-License-Identifier: BSD-2-Clause
// The pairing heap of deadlines. One for the node: a uniprocessor needs no more.
#include "deadline.h"

#include "cpu.h"

#include "x86/clock.h"

static struct deadline *root;

// Joins two heaps; the earlier root becomes the root.
static struct deadline *meld(struct deadline *a, struct deadline *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->time < a->time) {
        struct deadline *swap = a;
        a = b;
        b = swap;
    }
    b->sibling = a->child;
    if (a->child)
        a->child->previous = b;
    b->previous = a;
    a->child = b;
    return a;
}

// Joins a list of siblings: pairs from left to right, then the pairs from
// right to left, which is what makes the amortised bound hold.
static struct deadline *meld_siblings(struct deadline *first)
{
    struct deadline *pairs = NULL;
    struct deadline *result = NULL;

    while (first) {
        struct deadline *a = first;
        struct deadline *b = a->sibling;

        first = b ? b->sibling : NULL;
        a->sibling = NULL;
        a->previous = NULL;
        if (b) {
            b->sibling = NULL;
            b->previous = NULL;
        }
        a = meld(a, b);
        a->sibling = pairs;
        pairs = a;
    }
    while (pairs) {
        struct deadline *next = pairs->sibling;

        pairs->sibling = NULL;
        result = meld(result, pairs);
        pairs = next;
    }
    return result;
}

static void detach(struct deadline *deadline)
{
    if (deadline == root) {
        root = meld_siblings(deadline->child);
    } else {
        if (deadline->previous->child == deadline)
            deadline->previous->child = deadline->sibling;
        else
            deadline->previous->sibling = deadline->sibling;
        if (deadline->sibling)
            deadline->sibling->previous = deadline->previous;
        root = meld(root, meld_siblings(deadline->child));
    }
    if (root)
        root->previous = NULL;
    deadline->child = deadline->sibling = deadline->previous = NULL;
    deadline->armed = false;
}

void deadline_arm(struct deadline *deadline, uint64_t time)
{
    if (deadline->armed)
        detach(deadline);
    deadline->time = time;
    deadline->armed = true;
    root = meld(root, deadline);
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
    while (root && root->time <= now) {
        struct deadline *due = root;

        detach(due);
        due->expire(due);
    }
}

uint64_t deadline_next(void)
{
    return root ? root->time : UINT64_MAX;
}
