// SPDX-License-Identifier: BSD-2-Clause
// What the files of the model world share.
#pragma once

#include "tests/netipc/world.h"

// Memory of the model itself, zeroed; it does not fail (failing.h).
void *world_obtain(size_t bytes);
void *world_enlarge(void *memory, size_t bytes);

// --- world_network.c ---------------------------------------------------------------------

bool network_transmit(void *context, void *owner, const void *data, size_t bytes, void *cookie);
void network_close_link(void *context, void *owner);
void network_open(struct world *world, struct node *low, struct node *high);
bool network_step(struct world *world);
// Whether both nodes have the same session with each other; a node has one with itself.
bool network_is_whole(const struct world *world, uint32_t one, uint32_t other);
// Copies the first piece that is on its way. False: there is none, or it is shorter.
bool network_peek(struct world *world, void *data, size_t bytes);
// A connection to a node from somebody who is none, and what that one says over it.
struct wire_end *network_stranger(struct world *world, struct node *node);
void network_say(struct wire_end *stranger, const void *data, size_t bytes);
bool network_is_closed(const struct wire_end *stranger); // by the node

// A node dies: its links become silent.
void network_silence(struct node *node);
void network_forget(struct node *node); // after its core has gone
void network_end(struct world *world);

// --- world_kernel.c ----------------------------------------------------------------------

bool kernel_step(struct world *world);
// Something is to be done with a port, some time: see kernel_step.
void kernel_mark(struct port *port);
void kernel_die(struct port *port);
void kernel_queue(struct port *port, struct arrived *arrived); // takes the message
// The core forgets what its owner has in hand, so the owner gives it back first.
void kernel_give_back(struct node *node);
// What programs on it hold is lost with it.
void kernel_end(struct node *node);

// --- world_operations.c ------------------------------------------------------------------

extern const struct core_operations world_operations;
// Deliveries come to their ports later, in an order of the world's choosing.
bool pending_step(struct world *world);
void pending_give_back(struct node *node);
