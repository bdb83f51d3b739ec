// SPDX-License-Identifier: BSD-2-Clause
// The heap of deadlines against a plain array: random arming, re-arming,
// cancelling and running; order, completeness, and the shape that bounds the
// time of each operation.
#include <stdlib.h>

#include "tap.h"

#include "../../kernel/deadline.c"

// What deadline.c needs of the kernel.
struct cpu cpu;

void clock_arm(uint64_t deadline_ns)
{
    (void)deadline_ns;
}

#define COUNT  500
#define ROUNDS 40000

static struct deadline deadlines[COUNT];
static uint64_t expected[COUNT]; // time, 0: disarmed
static uint64_t now;
static bool right_order = true;

static void expired(struct deadline *deadline)
{
    size_t index = (size_t)(deadline - deadlines);

    if (deadline->armed || expected[index] != deadline->time || deadline->time > now)
        right_order = false;
    for (size_t i = 0; i < COUNT; i++)
        if (expected[i] && expected[i] < deadline->time)
            right_order = false;
    expected[index] = 0;
}

static unsigned check_shape(const struct deadline *node, bool *good)
{
    unsigned left, right;

    if (!node)
        return 0;
    if ((node->left && (node->left->parent != node || node->left->time < node->time)) ||
        (node->right && (node->right->parent != node || node->right->time < node->time)) ||
        rank_of(node->left) < rank_of(node->right) || node->rank != rank_of(node->right) + 1)
        *good = false;
    left = check_shape(node->left, good);
    right = check_shape(node->right, good);
    return left + right + 1;
}

static unsigned armed_count(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < COUNT; i++)
        count += expected[i] != 0;
    return count;
}

int main(void)
{
    bool shape = true;
    bool complete = true;

    srand(7);
    for (size_t i = 0; i < COUNT; i++)
        deadlines[i].expire = expired;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t i = (size_t)rand() % COUNT;

        if (rand() % 3) {
            expected[i] = now + 1 + (uint64_t)(rand() % 1000);
            deadline_arm(&deadlines[i], expected[i]);
        } else if (rand() % 2) {
            expected[i] = 0;
            deadline_cancel(&deadlines[i]);
        } else {
            now += (uint64_t)(rand() % 20);
            deadline_run(now);
        }
        if (round % 100 == 0) {
            complete = complete && check_shape(root, &shape) == armed_count();
            shape = shape && (!root || !root->parent);
        }
    }
    tap_ok(right_order, "deadlines expire in order, disarmed, and not too early");
    tap_ok(shape, "the heap keeps its order and its leaning to the left");
    tap_ok(complete, "none is lost and none is there twice");
    now = UINT64_MAX;
    for (unsigned i = 0; i < COUNT; i++)
        deadline_run(now);
    tap_ok(armed_count() == 0 && deadline_next() == UINT64_MAX, "in the end all have expired");
    for (size_t i = 0; i < 40; i++)
        deadline_arm(&deadlines[i], expected[i] = 5);
    now = 10;
    deadline_run(now);
    tap_ok(armed_count() == 24, "one run expires a bounded number");
    return tap_end();
}
