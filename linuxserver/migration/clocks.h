// SPDX-License-Identifier: GPL-2.0-only
// The clocks of other nodes. A process that has moved goes on seeing those of its home: its times
// are in its memory, its files' times and timers of descriptors are home's.
//
// What is known of another node's clock comes with messages of moves, each of which says what that
// clock was when it was sent: so it is that now, at least. What is taken for it is the most that
// any message has said; it never goes back while a process sees it, and is behind by no more than
// the fastest message took.
#pragma once

#include <linux/types.h>

struct vdso_other;

// What a message says, or is to say: CLOCK_MONOTONIC of that home, and how far its CLOCK_REALTIME
// is ahead of that. The second is no guess: Linux keeps it as one number.
struct clocks {
    u64 monotonic;
    s64 real;
};

struct clocks clocks_tell(unsigned int home);

// `anew`: no process here has seen that node's clocks, so that what was known may be of another
// life of it. 0; -ENOMEM; -EPROTO: there is no such node.
int clocks_hear(unsigned int home, const struct clocks *told, bool anew);

// Nanoseconds that a clock of that home is ahead of the one here. CLOCK_MONOTONIC, _BOOTTIME,
// _REALTIME, _TAI and those that Linux derives of them; 0 for others, and for this node itself.
s64 clocks_ahead(unsigned int home, clockid_t clock);

// The link to that node is broken: what comes next may be of another life of it.
void clocks_forget(unsigned int home);

// A time with that added; one that never comes stays so, and none becomes 0, which means none.
static inline u64 clocks_add(u64 time, s64 nanoseconds)
{
    s64 sum = (s64)time + nanoseconds;

    if (time >= 1ull << 62)
        return time;
    return sum > 0 ? (u64)sum : 1;
}

// For vdso_map. NULL: this node's own.
const struct vdso_other *clocks_vdso(unsigned int home);
