// SPDX-License-Identifier: BSD-2-Clause
// The services of this node by name: send rights that servers have checked in,
// and callers that wait for one.
#pragma once

#include "child.h"

#define NAMES_MAX  64
#define NAME_BYTES 32 // NUL-padded

struct service_name {
    char text[NAME_BYTES + 1];
};

// From the four words of a message; false when it is no name.
bool names_from_words(struct service_name *name, const uint64_t words[4]);

// Keeps the right, also when the name is taken by a port that has died. IN_USE,
// NO_MEMORY; the right is the caller's then.
corvus_error_t names_check_in(const struct child *child, const struct service_name *name,
                              port_name_t service);
// PORT_NULL when nobody has checked in. The right stays the table's.
port_name_t names_find(const struct service_name *name);
// Answers the caller behind a saved reply right when the name is checked in.
// Owns the reply right from then on. NO_MEMORY: it is the caller's still.
corvus_error_t names_wait(const struct child *child, const struct service_name *name,
                          port_name_t reply);

// A right of init's has become a dead name. False when it is none of these.
bool names_died(port_name_t service);
// A child has ended: its names and its waits go.
void names_forget(const struct child *child);
