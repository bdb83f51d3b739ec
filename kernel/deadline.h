// SPDX-License-Identifier: BSD-2-Clause
// Deadlines of waits and timers, in a pairing heap (Fredman, Sedgewick, Sleator,
// Tarjan 1986): inserting is O(1) and no memory is needed beyond the node.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    struct deadline *child;    // first of those later than this one
    struct deadline *sibling;  // next in the parent's list
    struct deadline *previous; // previous sibling, or the parent; NULL at the root
    uint64_t time;             // nanoseconds since boot
    bool armed;
    void (*expire)(struct deadline *deadline); // called with the deadline disarmed
};

// Arms a disarmed deadline; re-arms an armed one.
void deadline_arm(struct deadline *deadline, uint64_t time);
void deadline_cancel(struct deadline *deadline);

// Expires everything due. The caller programs the clock for the next event.
void deadline_run(uint64_t now);
uint64_t deadline_next(void); // UINT64_MAX: none
