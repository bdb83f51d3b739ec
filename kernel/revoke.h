// SPDX-License-Identifier: BSD-2-Clause
// Taking mappings away: what mapping.c, io_ports.c and space.c need of
// revoke.c. `budget` counts instructions down, roughly; whatever returns false
// for want of it left a consistent tree and is to be called again.
#pragma once

#include "node.h"

// Removes one mapping from which nothing is derived. What the processor noted
// of its use stays on record in the nodes above.
void revoke_leaf(struct mapping_node *node);

// Removes all that is derived from a node, the deepest first.
bool revoke_derived(struct mapping_node *node, int *budget);

// Takes access that is not in `access` from a mapping and all derived from
// it. *token: 0 at the first call, then as it was left.
bool revoke_access(struct mapping_node *node, uint32_t access, uint32_t *token, int *budget);

// Moves the processor's accessed and dirty bits of a node to the records of
// the node and all above it. The caller flushes the page if it stays mapped.
// Returns the bits found.
uint64_t revoke_used_bits(struct mapping_node *node);

// Removes the mappings (and unpins the pages) of a dying space from the entry
// of `address` to the end of its table; of a 2 MiB page just that.
void revoke_entries(struct task *task, uint64_t address, uint64_t *entry, unsigned level,
                    int *budget);

// Replaces a 2 MiB mapping from which nothing is derived by 512 of 4 KiB with
// the same place in the tree. ERR_IN_USE, ERR_NO_MEMORY. It takes more than a
// step's budget, so that the step ends after it.
corvus_error_t mapping_split(struct mapping_node *node, int *budget);
