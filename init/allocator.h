// SPDX-License-Identifier: BSD-2-Clause
// Tasks made for others (corvus/allocator.def), each with an account of memory and two
// ports: one by which its memory is asked for, and whose last right is its life; and its
// threads' pager, which does not keep it alive.
#pragma once

#include "child.h"

#include "lib/message.h"

// The number in a label says which task, the rest which of all that ever had this number.
#define LABEL_ALLOCATOR        2u
#define LABEL_TASK_MEMORY      0x1000u // + number, | generation << LABEL_GENERATION_SHIFT
#define LABEL_TASK_PAGER       0x2000u // likewise
#define LABEL_TASK_KINDS       0xf000u
#define LABEL_TASK_NUMBER      0x0fffu
#define LABEL_GENERATION_SHIFT 32

// Makes the allocator's port, in `set`, and its name, if the configuration gives such
// tasks anything; else there is none. `priority`: what their threads have at most.
corvus_error_t allocator_initialize(uint64_t limit, uint32_t priority, port_name_t set);

// Serves a message to a port of the allocator's. False: it is to one of another's.
bool allocator_request(const struct message *request, struct message *reply);

// A task port of init's has become a dead name. False when it is none of these.
bool allocator_died(port_name_t name);
// Nobody holds a right to the port of that label any more.
void allocator_abandoned(uint64_t label);
// The answer that carried a new task's rights has been given: from now on only those who
// got them keep it alive.
void allocator_settle(void);
