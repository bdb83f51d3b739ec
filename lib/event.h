// SPDX-License-Identifier: BSD-2-Clause
// How a thread of this task waits to be woken by another: each has a private
// port, made when first needed, on which only notifications arrive. They stay
// until taken and may be left over from earlier, so a waiter checks its own
// condition in a loop.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Gives the calling thread its event; *token is what others wake it by. False
// when there is no memory.
bool event_prepare(uint32_t *token);

// Waits for a notification, or until the absolute deadline in nanoseconds. True
// when it was the deadline that came.
bool event_wait(uint64_t deadline);

// Wakes the thread of that token. It may have ended: nothing happens then.
void event_signal(uint32_t token);

// The calling thread ends: gives its event back.
void event_destroy(void);
