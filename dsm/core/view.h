// SPDX-License-Identifier: BSD-2-Clause
// What the files about views share (view.c, view_propose.c, view_forget.c, view_members.c).
#pragma once

#include "dsm/core/internal.h"

// Numbers of views further ahead than this are no numbers of views: no cluster lives so long, and
// whoever followed one could soon count no further.
#define VIEW_LEAP_MAX (1ull << 40)

// --- view.c ---------------------------------------------------------------------------------

// Tells the server in what view this node is.
void view_tell(struct dsm *dsm);
// A peer has told the number of its view; 0: it is in none.
void view_heard(struct dsm *dsm, struct peer *peer, uint64_t number);

// --- view_propose.c -------------------------------------------------------------------------

void propose_prepare(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                     const struct wire_record *record);
void propose_promise(struct dsm *dsm, uint32_t from, const struct wire_header *header,
                     const struct wire_record *record, const uint8_t *extra);
void propose_ready(struct dsm *dsm, uint32_t from, const struct wire_record *record);
void propose_tick(struct dsm *dsm);

// --- view_forget.c --------------------------------------------------------------------------

// Forgets all pages and entries. Whoever waits fails for the reason; OK: goes on waiting.
void view_forget(struct dsm *dsm, corvus_error_t reason);
// This node is not in a majority: nothing it has may be used, for others may go on.
void view_end(struct dsm *dsm);
// The others have gone on without this node: it comes again, with nothing.
void view_start_over(struct dsm *dsm);

// --- view_members.c -------------------------------------------------------------------------

// At most DSM_MEMBERS_MAX * WIRE_MEMBER_BYTES bytes; returns how many.
size_t view_members_write(uint8_t *out, const struct view *view);
// False: no list of members in order.
bool view_members_read(struct view *view, const uint8_t *in, uint32_t bytes);
// Sends VIEW.
void view_put_members(struct dsm *dsm, uint32_t node, const struct view *view, uint32_t proposer);
// Sends READY or STABLE.
void view_put_plain(struct dsm *dsm, uint32_t node, enum wire_kind kind, uint64_t number);
