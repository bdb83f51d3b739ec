// SPDX-License-Identifier: BSD-2-Clause
// Deadlines of waits and timers, in a leftist heap (Crane 1972; Knuth, volume
// 3, section 5.2.3): every operation is O(log n) at worst, so that a program
// with many timers cannot make one of them slow, and no memory is needed beyond
// the node.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    struct deadline *left, *right; // both later than this one; rank(left) >= rank(right)
    struct deadline *parent;       // NULL at the root
    uint32_t rank;                 // nodes on the way down along `right`
    bool armed;
    uint64_t time;                             // nanoseconds since boot
    void (*expire)(struct deadline *deadline); // called with the deadline disarmed
};

// Arms a disarmed deadline; re-arms an armed one.
void deadline_arm(struct deadline *deadline, uint64_t time);
void deadline_cancel(struct deadline *deadline);

// Expires what is due, but only so much at once. The caller programs the clock
// for the next event.
void deadline_run(uint64_t now);
uint64_t deadline_next(void); // UINT64_MAX: none
