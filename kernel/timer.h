// SPDX-License-Identifier: BSD-2-Clause
// Timer objects: OR bits into a port's events at a time, once or again and again.
#pragma once

#include "deadline.h"
#include "port.h"

struct timer {
    struct port port;
    struct deadline deadline;
    uint64_t period; // nanoseconds, 0: once
    uint64_t bits;
    struct port *target; // holds a send right
    struct task *charged;
};

// Takes over the send right to `target`. NULL when out of quota.
struct timer *timer_create(struct task *charged, struct port *target, uint64_t bits);

// Its last send right has gone.
void timer_destroy(struct timer *timer);
void timer_free(struct timer *timer);
