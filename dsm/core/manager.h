// SPDX-License-Identifier: BSD-2-Clause
// What the files of the manager's side share (manager.c, manager_settle.c, manager_waiting.c).
#pragma once

#include "dsm/core/internal.h"

// --- manager.c ------------------------------------------------------------------------------

// Sends a record about the page to a member.
void manager_put(struct entry *entry, uint8_t slot, enum wire_kind kind, struct wire_record record);
void manager_set_state(struct entry *entry, enum entry_state state);
// Starts with the first who waits, if the page is free.
void manager_next(struct entry *entry);

// --- manager_settle.c -----------------------------------------------------------------------

// Sends SETTLE to all who have not answered.
void manager_put_settle(struct entry *entry);
void manager_settled(struct entry *entry, uint8_t slot, const struct wire_record *record);

// --- manager_waiting.c ----------------------------------------------------------------------

// Without memory nothing is kept: the node asks again.
void waiting_add(struct entry *entry, const struct request *request);
// Takes out the first. False: there is none.
bool waiting_take(struct entry *entry, struct request *request);
// A node has got the page, for writing or for reading: what it need not wait for any more.
void waiting_drop(struct entry *entry, uint8_t slot, bool writing);
