// SPDX-License-Identifier: BSD-2-Clause
// The frames under way, the next one first; those of one time in the order in which they were put.
#pragma once

#include <stdbool.h>

#include "deploy/wire/core.h"

// Takes over the reference. False when there is no room.
bool heap_put(struct wire *wire, struct delivery delivery);

// Takes out the first; there must be one.
struct delivery heap_take(struct wire *wire);
